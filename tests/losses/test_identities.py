"""Exact identities of the papers' notes, and that the order of rows means nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from counterpoint import losses, pairs
from counterpoint.core import similarity
from counterpoint.core.options import use
from counterpoint.core.recipe import Rows
from counterpoint.core.similarity import Pairs, Relation
from tests.losses.test_memory import EVERY

RANDOM = (losses.mixed_negatives, losses.transformed)


def _rows(n=6, d=5):
    g = torch.Generator().manual_seed(0)
    keys = {"item": torch.arange(n).repeat(2), "view": torch.arange(2).repeat_interleave(n), "label": (torch.arange(n) // 2).repeat(2)}
    return Rows(torch.randn(2 * n, d, generator=g, dtype=torch.float64), keys, False, ("global", "global"))


@pytest.mark.parametrize("key", ["item", "label"])
@pytest.mark.parametrize("loss", [p for p in EVERY if p.make not in RANDOM], ids=lambda p: p.make.__name__)
def test_the_order_of_rows_means_nothing(loss, key):
    rows = _rows()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    found = []
    for given in (rows, rows.where(order)):
        found.append(loss(similarity.cosine(given.z, given.z), pairs.same(given, given, {}, key=key)))
    assert torch.allclose(found[0].values[order], found[1].values, atol=1e-9)
    assert torch.equal(found[0].counted[order], found[1].counted)


def _cacr(z, rule=None, **options):
    return losses.cacr(similarity.cosine(z, z), rule or _two(len(z)), **options)


def _two(n):
    return Pairs(Relation.index(torch.arange(n).roll(n // 2)), Relation.all().without(Relation.itself()), (n, n))


def test_one_positive_is_pulled_by_its_distance_whatever_the_sharpness():
    z = _rows().z
    d = (functional.normalize(z) - functional.normalize(z).roll(6, 0)).square().sum(1)
    for sharpness in (0.0, 1.0, 9.0):
        assert torch.allclose(_cacr(z, attraction=0.7, repulsion=0.0, positive_sharpness=sharpness).values, 0.7 * d)


def test_repulsion_is_linear_in_its_factor_and_uniform_among_equals():
    z = _rows().z
    once, twice = (_cacr(z, attraction=0.0, repulsion=b).values for b in (1.0, 2.0))
    assert torch.allclose(2 * once, twice)
    same = torch.eye(5, dtype=torch.float64)[:4]
    anchor, others = same[:1], same[1:].clone().requires_grad_()
    scores = similarity.cosine(anchor, torch.cat([anchor, others]))
    losses.cacr(scores, Pairs(Relation.index(torch.tensor([0])), Relation.all(), (1, 4))).mean().backward()
    assert torch.allclose(others.grad[:, 0], others.grad[0, 0].expand(3))  # orthogonal, so equally near: pushed alike
    assert others.grad[0, 0] > 0 and others.grad[:, 1:].abs().max() < 1e-12


def test_the_nearest_negative_is_pushed_hardest():
    z = _rows().z
    found = losses.diagnose(use(losses.cacr, negative_sharpness=2.0), similarity.cosine(z, z), _two(12))
    s = (functional.normalize(z) @ functional.normalize(z).T).masked_fill(_two(12).negatives.dense((12, 12)) == 0, -2)
    assert torch.equal(found.weights.masked_fill(s == -2, -9).argmax(1), s.argmax(1))


def test_sharp_repulsion_is_the_nearest_negative_and_dull_repulsion_the_mean():
    z = _rows().z
    d = 2 - 2 * functional.normalize(z) @ functional.normalize(z).T
    far = _two(12).negatives.dense((12, 12)) > 0
    sharp = _cacr(z, attraction=0.0, negative_sharpness=1e4).values
    assert torch.allclose(-sharp, d.masked_fill(~far, 9).amin(1), atol=1e-4)
    dull = _cacr(z, attraction=0.0, negative_sharpness=0.0).values
    assert torch.allclose(-dull, (d * far).sum(1) / far.sum(1))


def test_hard_targets_are_supervised_contrast():
    """Dialog2Flow's cross-entropy with targets [y_i = y_j] / count is SupCon with the mean outside."""
    rows = _rows()
    one_hot = functional.one_hot(rows.keys["label"], 3).double()
    me = Relation.itself()
    soft = Pairs(Relation.product(one_hot, one_hot).without(me), Relation.all().without(me), (12, 12))
    scores = similarity.cosine(rows.z, rows.z)
    hard = losses.supervised(scores, pairs.same(rows, rows, {}, key="label"))
    assert torch.allclose(losses.supervised(scores, soft).values, hard.values)


def test_averaged_negatives_with_the_row_itself_as_positive():
    """log p = c/t − log(e^{c/t} + mean over the others of e^{c_ij/t}), c = 1 (paper 007)."""
    g = torch.Generator().manual_seed(0)
    z = Rows(torch.randn(7, 4, generator=g, dtype=torch.float64), {"item": torch.arange(7), "view": torch.zeros(7, dtype=torch.int64)})
    found = losses.info_nce(similarity.cosine(z.z, z.z), pairs.itself(z, z, {}), temperature=0.3, negatives="mean")
    s = functional.normalize(z.z) @ functional.normalize(z.z).T / 0.3
    for i in range(7):
        others = sum(math.exp(s[i, j]) for j in range(7) if j != i) / 6
        assert found.values[i].item() == pytest.approx(-(1 / 0.3 - math.log(math.exp(1 / 0.3) + others)))
    alone = z.where(torch.tensor([0]))
    assert losses.info_nce(similarity.cosine(alone.z, alone.z), pairs.itself(alone, alone, {}), negatives="mean").mean() == 0
    assert found.chance == pytest.approx(math.log(2))


def test_info_nce_with_averaged_negatives_hardly_sees_the_batch_size():
    g = torch.Generator().manual_seed(0)
    values = {}
    for negatives in ("sum", "mean"):
        means = []
        for n in (16, 256):
            a = torch.randn(n, 16, generator=g)
            b = a + torch.randn(n, 16, generator=g)
            p = Pairs(Relation.itself(), Relation.all(), (n, n))
            means.append(losses.info_nce(similarity.cosine(a, b), p, temperature=0.5, negatives=negatives).mean().item())
        values[negatives] = means
    assert abs(values["mean"][1] - values["mean"][0]) < 0.1 < 1.0 < abs(values["sum"][1] - values["sum"][0])


def test_several_positives_each_alone_with_one_positive_is_info_nce():
    z = _rows().z
    scores = similarity.cosine(z, z)
    one, two = (losses.info_nce(scores, _two(12), several=s) for s in ("together", "each"))
    assert torch.allclose(one.values, two.values)
    assert one.chance == pytest.approx(two.chance)


def test_no_hardness_is_info_nce():
    z = _rows().z
    scores = similarity.cosine(z, z)
    assert torch.allclose(
        losses.reweighted(scores, _two(12), hardness=0.0, temperature=0.1).values, losses.info_nce(scores, _two(12), temperature=0.1).values
    )
