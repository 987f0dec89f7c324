"""What the methods of the loss papers change, and what their objective does to a batch."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from counterpoint import losses, pairs
from counterpoint.core import registry, similarity
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Rows, View
from counterpoint.losses import hard_negatives, transformation

CHANGES = {
    "amcl": {"encoder.latent", "encoder.projector", "objective.contrast", "objective.heads"},
    "cacr": {"objective.contrast.loss", "objective.contrast.pairs.same_view"},
    "dbl": {"encoder.teacher", "objective.image_to_series", "objective.series_to_image", "stages.0", "stages.1"},
    "feature_transformation": {"objective.contrast.loss", "objective.contrast.pairs.unknown"},
    "groco": {"objective.contrast.loss", "objective.contrast.pairs.negatives"},
    "hydra": {"encoder.latent", "objective.contrast", "views"},
    "mochi": {"objective.contrast.loss", "objective.contrast.pairs.unknown"},
}


@pytest.mark.parametrize("slug", CHANGES)
def test_a_method_changes_what_it_says(slug):
    found = registry.get(slug).changes()
    assert found and all(any(path == c or path.startswith(f"{c}.") for c in CHANGES[slug]) for path in found), found
    assert all(any(path == c or path.startswith(f"{c}.") for path in found) for c in CHANGES[slug]), found


def test_hydra_needs_labels_and_provides_partners():
    assert registry.get("hydra").needs() == ["column label"]


def test_cacr_with_several_positives_makes_as_many_views():
    spec = registry.example_spec("array")
    recipe = registry.get("cacr")(spec, positives=3)
    assert recipe.get("views.globals") == 4 and recipe.get("views.locals") == 0


def _hydra_rows():
    labels, partner = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([1, 2, 2, 0, 3, 0])
    keys = {"item": torch.arange(6).repeat(2), "view": torch.arange(2).repeat_interleave(6)}
    keys |= {"label": labels.repeat(2), "partner": partner.repeat(2)}
    g = torch.Generator().manual_seed(0)
    return Rows(torch.randn(12, 5, generator=g), keys, False, ("global", "global"))


def test_hydra_excludes_both_classes_of_a_pair_from_the_negatives():
    """L_i = mean over {y_j = y'_i} of −log(e^{s_ip} / (e^{s_ip} + Σ over y_j not in {y_i, y'_i} of e^{s_ij})), by a loop."""
    rows = _hydra_rows()
    recipe = registry.get("hydra")(registry.example_spec("image", {"label": (10, 1.0)}))
    contrast = recipe.objective["contrast"]
    scale = Rows(torch.tensor([[0.7]]), {}, True)
    found = contrast({"gated": rows, "unit": rows, "scale": scale}, {}, Progress())
    s = rows.z @ rows.z.T * torch.tensor(0.7).exp()
    y, other = rows.keys["label"], rows.keys["partner"]
    for i in range(12):
        far = sum(s[i, j].exp() for j in range(12) if y[j] not in (y[i], other[i]))
        near = [j for j in range(12) if y[j] == other[i] and not (rows.keys["item"][j] == rows.keys["item"][i] and j == i)]
        loop = sum(-torch.log(s[i, p].exp() / (s[i, p].exp() + far)) for p in near) / len(near)
        assert found.values[i].item() == pytest.approx(loop.item(), rel=1e-4)


def test_open_gates_with_own_classes_are_a_kind_of_supervised_contrast():
    """Identical pairing, every class twice: positives against the negatives alone, one at a time."""
    rows = _hydra_rows()
    rows.keys["partner"] = rows.keys["label"]
    rule = use(pairs.same, key="partner", other="label", exclude="label")
    scores = similarity.cosine(rows.z, rows.z)
    one = losses.info_nce(scores, rule(rows, rows, {}), temperature=0.2, several="each")
    two = losses.info_nce(scores, pairs.same(rows, rows, {}, key="label"), temperature=0.2, several="each")
    assert torch.allclose(one.values, two.values, rtol=1e-5)


def test_groco_takes_its_negatives_from_the_own_view():
    rows = _hydra_rows()
    recipe = registry.get("groco")(registry.example_spec("image"))
    found = recipe.objective["contrast"].pairs(rows, rows, {})
    far = found.negatives.dense(found.shape) > 0
    same_view = rows.keys["view"][:, None] == rows.keys["view"]
    assert torch.equal(far, same_view & ~torch.eye(12, dtype=torch.bool))
    assert torch.equal(found.positives.dense(found.shape).argmax(1), torch.arange(12).roll(6))


# ---- dbl (paper 119)


@pytest.mark.parametrize("hardest", [True, False])
@pytest.mark.parametrize("boost", ["absolute", "relative"])
def test_dbl_is_its_formula_in_both_directions_with_the_teacher_by_item(boost, hardest):
    recipe = registry.get("dbl")(registry.example_spec("paired"), boost=boost, hardest=hardest, margin=0.3, strength=0.7)
    g = torch.Generator().manual_seed(0)
    names = ("image", "series", "teacher/image", "teacher/series")
    z = {name: torch.randn(6, 4, generator=g) for name in names}
    out = {name: Rows(rows.requires_grad_(), {"item": torch.arange(6)}) for name, rows in z.items()}
    for name in names[1:]:  # in any order: only items say who belongs to whom
        out[name] = out[name].where(torch.randperm(6, generator=g))
    assert set(recipe.objective) == {"image_to_series", "series_to_image"}
    found = sum(float(term.weight) * term(out, {}, Progress(step=9, steps=10)).mean() for term in recipe.objective.values())
    unit = [normalize(z[name]) for name in names]
    total = 0.0
    for s, r in ((unit[0] @ unit[1].T, unit[2] @ unit[3].T), (unit[1] @ unit[0].T, unit[3] @ unit[2].T)):
        r = r.detach()
        for i in range(6):
            far = [k for k in range(6) if k != i]

            def over(costs):
                costs = torch.stack(costs).relu()
                return costs.max() if hardest else costs.sum()

            row = over([0.3 + s[i, k] - s[i, i] for k in far])
            if boost == "absolute":
                goal = (r[i, i] + 0.15).clamp(max=1)
                row = row + 0.7 * ((goal - s[i, i]).relu() + over([0.15 + s[i, k] - r[i, k] for k in far]))
            else:
                row = row + 0.7 * over([0.3 + (r[i, i] - r[i, k]) - (s[i, i] - s[i, k]) for k in far])
            total = total + row / 6 / 2
    assert found.item() == pytest.approx(total.item(), rel=1e-5)
    found.backward()
    assert z["image"].grad.abs().sum() > 0 and z["series"].grad.abs().sum() > 0
    assert z["teacher/image"].grad is None and z["teacher/series"].grad is None


# ---- mochi and feature_transformation (papers 064, 063)


def _moco_rows(unfilled=0):
    """Two views of six items, their teacher, a queue of nine whose last rows are not filled yet; item 3 is in the queue too."""
    g = torch.Generator().manual_seed(0)
    keys = {"item": torch.arange(6).repeat(2), "view": torch.arange(2).repeat_interleave(6)}
    items = torch.tensor([3, 20, 21, 22, 23, 24, 25, 26, 27])
    items[len(items) - unfilled :] = -1
    z, teacher, queue = (torch.randn(n, 5, generator=g) for n in (12, 12, 9))
    roles = ("global", "global")
    return {"z": Rows(z, keys, False, roles), "teacher": Rows(teacher, keys, False, roles), "queue": Rows(queue, {"item": items}, True)}


def _far(i, j):
    """Whether candidate j (teacher, then queue) is a negative of anchor i."""
    if j >= 12:
        return not (j == 12 and i % 6 == 3)
    return i // 6 != j // 6 and i % 6 != j % 6


def test_mochi_is_its_formula():
    """Negatives are the teacher's other items and the queue, without an older copy; mixtures come from each anchor's hardest."""
    recipe = registry.get("mochi")(registry.example_spec("image"), hardest=4, between=3, towards=2, warmup=0.0, temperature=0.3)
    contrast, out = recipe.objective["contrast"], _moco_rows()
    now = Progress(step=9, steps=10)
    torch.manual_seed(3)
    found = contrast(out, {}, now)
    q, c = normalize(out["z"].z), normalize(torch.cat([out["teacher"].z, out["queue"].z]))
    rule = contrast.pairs(out["z"], Rows.cat([out["teacher"], out["queue"]]), {})
    torch.manual_seed(3)
    made = hard_negatives._mixtures(similarity.cosine(q, c), rule, 4, 3, 2, 0.5)
    for i in range(12):
        far = [j for j in range(21) if _far(i, j)]
        own = torch.exp(q[i] @ c[(i + 6) % 12] / 0.3)
        others = sum(torch.exp(q[i] @ c[j] / 0.3) for j in far) + sum(torch.exp(q[i] @ h / 0.3) for h in made[i])
        assert found.values[i].item() == pytest.approx(-torch.log(own / (own + others)).item(), rel=1e-4)


def test_feature_transformation_is_its_formula(monkeypatch):
    recipe = registry.get("feature_transformation")(registry.example_spec("image"), temperature=0.3)
    contrast, out = recipe.objective["contrast"], _moco_rows()
    order = torch.randperm(21, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: order)
    draws = {2.0: 0.4, 1.6: 0.3}
    monkeypatch.setattr(transformation, "_beta", lambda a, size, like: torch.full((size, 1), draws[a]))
    found = contrast(out, {}, Progress())
    q, c = normalize(out["z"].z), normalize(torch.cat([out["teacher"].z, out["queue"].z]))
    for i in range(12):
        key = c[(i + 6) % 12]
        a, k = 1.4 * q[i] - 0.4 * key, 1.4 * key - 0.4 * q[i]
        both = [(j, int(order[j])) for j in range(21) if _far(i, j) and _far(i, int(order[j]))]
        others = sum(torch.exp(a @ (0.3 * c[j] + 0.7 * c[r]) / 0.3) for j, r in both)
        own = torch.exp(a @ k / 0.3)
        assert found.values[i].item() == pytest.approx(-torch.log(own / (own + others)).item(), rel=1e-4)


@pytest.mark.parametrize("slug", ["mochi", "feature_transformation"])
def test_what_the_queue_does_not_hold_yet_is_not_mixed(slug):
    """Its random directions change nothing; plain MoCo takes them as negatives, as its code does."""
    values = {}
    for name in (slug, "moco"):
        contrast = registry.get(name)(registry.example_spec("image")).objective["contrast"]
        out, found = _moco_rows(unfilled=5), []
        for seed in (1, 2):
            out["queue"].z[4:] = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed))
            torch.manual_seed(0)
            found.append(contrast(out, {}, Progress(step=9, steps=10)).values)
        values[name] = torch.equal(*found)
    assert values == {slug: True, "moco": False}


@pytest.mark.parametrize("slug", ["mochi", "feature_transformation"])
def test_the_queue_keeps_the_keys_as_they_are(slug):
    spec = registry.example_spec("array")
    recipe = registry.get(slug)(spec, **({"warmup": 0.0} if slug == "mochi" else {}))
    torch.manual_seed(0)
    model = recipe.encoder(spec)
    views = [View("global", {"x": torch.randn(6, 16)}, {"item": torch.arange(6)}) for _ in range(2)]
    now = Progress(step=9, steps=10)
    out = model(views, now)
    keys = out["teacher"].z.clone()
    recipe.objective["contrast"](out, {}, now).mean().backward()
    model.queue.after_update(out, now)
    assert torch.equal(model.queue().z[:12], keys) and model.queue().keys["item"][:12].tolist() == [*range(6), *range(6)]
