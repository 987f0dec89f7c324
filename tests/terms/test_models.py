"""Terms over a second model, clusters, several heads: the rows they hand to their loss, and in which order."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses, pairs, terms
from counterpoint.core import similarity, values
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Rows

NOW = Progress(step=5, steps=10)
ROLES = ("global", "global")


def _rows(n=5, d=4, seed=0, views=2):
    g = torch.Generator().manual_seed(seed)
    keys = {"item": torch.arange(n).repeat(views), "view": torch.arange(views).repeat_interleave(n)}
    return Rows(torch.randn(views * n, d, generator=g), keys, False, ROLES[:views])


def test_the_second_model_is_put_in_order():
    z, teacher = _rows(), _rows(seed=1)
    term = use(terms.referenced, pairs=use(pairs.same), loss=use(losses.boosted, strength=use(values.linear, start=0.0, end=2.0)))
    plain = term({"z": z, "teacher": teacher}, {}, NOW).values
    mixed = term({"z": z, "teacher": teacher.where(torch.randperm(10))}, {}, NOW).values
    assert torch.allclose(plain, mixed, atol=1e-6)
    scores, other = similarity.cosine(z.z, z.z), similarity.cosine(teacher.z, teacher.z)
    assert torch.allclose(plain, losses.boosted(scores, pairs.same(z, z, {}), other, strength=1.0).values)
    with pytest.raises(RequirementError, match="no counterpart"):
        term({"z": z, "teacher": teacher.where(torch.arange(7))}, {}, NOW)


def test_two_modalities_with_their_references():
    image, text, r_image, r_text = (_rows(seed=s, views=1) for s in range(4))
    names = {"anchors": "image", "candidates": "text", "reference_anchors": "r_image", "reference_candidates": "r_text"}
    term = use(terms.referenced, pairs=use(pairs.same), loss=use(losses.similarity_distillation), aligned=("item",), **names)
    apart = [Rows(r.z, {"item": r.keys["item"]}) for r in (image, text, r_image, r_text)]
    out = dict(zip(("image", "text", "r_image", "r_text"), apart, strict=True))
    out["r_text"] = out["r_text"].where(torch.tensor([3, 1, 4, 0, 2]))
    expected = losses.similarity_distillation(
        similarity.cosine(image.z, text.z), pairs.same(apart[0], apart[1], {}), similarity.cosine(r_image.z, r_text.z)
    )
    assert torch.allclose(term(out, {}, NOW).values, expected.values, atol=1e-6)


def test_clusters_come_from_a_key():
    z = _rows()
    z.keys["cluster"] = torch.arange(10) % 3
    term = use(terms.clustered, pairs=use(pairs.same), loss=use(losses.cluster_proxies))
    found = term({"z": z}, {}, NOW)
    scores = similarity.cosine(z.z, z.z)
    assert torch.allclose(found.values, losses.cluster_proxies(scores, pairs.same(z, z, {}), z.keys["cluster"]).values)
    with pytest.raises(RequirementError, match="which a round has to write"):
        use(terms.clustered, pairs=use(pairs.same), loss=use(losses.cluster_proxies), key="group")({"z": z}, {}, NOW)


def test_heads_with_a_network_of_pairs():
    """The halves of the first layer give the very network on [z_i ; z_j]."""
    torch.manual_seed(0)
    out, total = {}, 0.0
    for c in range(3):
        z = _rows(seed=c)
        first, last = torch.nn.Linear(8, 6), torch.nn.Linear(6, 1)
        with torch.no_grad():
            u, v = z.z @ first.weight[:, :4].T + first.bias, z.z @ first.weight[:, 4:].T
        out[f"head/{c}"] = z
        out[f"heat/{c}"] = Rows(torch.cat([u, v], 1), z.keys, False, ROLES)
        out[f"heat_out/{c}"] = Rows(torch.cat([last.weight, last.bias[:, None]], 1).detach(), {}, True)

        def network(i, j, z=z, first=first, last=last):
            return last(functional.relu(first(torch.cat([z.z[i], z.z[j]], 1))))[:, 0]

        total = total + losses.adaptive(similarity.cosine(z.z, z.z), pairs.same(z, z, {}), network, hardest=2).values
    term = use(terms.adaptive_heads, pairs=use(pairs.same), loss=use(losses.adaptive, hardest=2))
    assert torch.allclose(term(out, {}, NOW).values, total, atol=1e-5)
    with pytest.raises(RequirementError, match="several heads"):
        term({"z": _rows()}, {}, NOW)


def test_views_predict_the_teacher_of_the_others():
    z, teacher = _rows(), _rows(seed=1)
    centre = torch.linspace(-1, 1, 4)
    out = {"z": z, "teacher": teacher.where(torch.randperm(10)), "centre": Rows(centre[None], {}, True)}
    found = terms.distilled(out, {}, NOW, loss=use(losses.distillation), centre="centre")
    hand = [losses.distillation(z.z[5:], teacher.z[:5], centre).values, losses.distillation(z.z[:5], teacher.z[5:], centre).values]
    assert found.mean().item() == pytest.approx(torch.cat(hand).mean().item(), rel=1e-5)
    with pytest.raises(OptionError, match="two views"):
        terms.distilled(out, {}, NOW, loss=use(losses.distillation), teach=("big",))
