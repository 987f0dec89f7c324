"""What the methods of the loss papers change, and what their objective does to a batch."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses, pairs
from counterpoint.core import registry, similarity
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Rows

CHANGES = {
    "amcl": {"encoder.latent", "encoder.projector", "objective.contrast", "objective.heads"},
    "cacr": {"objective.contrast.loss", "objective.contrast.pairs.same_view"},
    "dbl": {"encoder.teacher", "objective.image_to_series", "objective.series_to_image", "stages.0", "stages.1"},
    "feature_transformation": {"objective.contrast.loss"},
    "groco": {"objective.contrast.loss", "objective.contrast.pairs.negatives"},
    "hydra": {"encoder.latent", "objective.contrast", "views"},
    "mochi": {"objective.contrast.loss"},
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
