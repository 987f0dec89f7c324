"""boosted (paper 119) against the matrices of its definition."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.losses.boosting import difference


def _setting():
    g = torch.Generator().manual_seed(0)
    a, c, ra, rc = (torch.randn(6, 4, generator=g, dtype=torch.float64, requires_grad=True) for _ in range(4))
    twin = Relation.sparse(torch.tensor([0]), torch.tensor([3]))  # another caption of the same picture
    return (a, c, ra, rc), Pairs(Relation.itself(), Relation.all().without(twin), (6, 6))


def _cosine(a, c):
    return functional.normalize(a) @ functional.normalize(c).T


@pytest.mark.parametrize("hardest", [True, False])
@pytest.mark.parametrize("boost", ["absolute", "relative"])
def test_equals_the_matrices(boost, hardest):
    (a, c, ra, rc), pairs = _setting()
    s, r = _cosine(a, c), _cosine(ra, rc).detach()
    far = pairs.negatives.dense((6, 6)) > 0
    own, theirs = s.diagonal()[:, None], r.diagonal()[:, None]

    def over(cost):
        cost = torch.where(far, torch.relu(cost), 0.0)
        return cost.amax(1) if hardest else cost.sum(1)

    rank = over(0.3 + s - own)
    if boost == "absolute":
        extra = torch.relu((theirs + 0.4 * 0.3).clamp(max=1.0) - own)[:, 0] + over(0.6 * 0.3 + s - r)
    else:
        extra = over(0.3 + (theirs - r) - (own - s))
    hand = (rank + 0.7 * extra).mean()
    expected = torch.autograd.grad(hand, (a, c))
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        x, y, rx, ry = (t.detach().to(dtype).requires_grad_() for t in (a, c, ra, rc))
        options = {"margin": 0.3, "boost": boost, "balance": 0.4, "hardest": hardest, "strength": 0.7}
        result = losses.boosted(similarity.cosine(x, y), pairs, similarity.cosine(rx, ry), **options)
        assert result.mean().item() == pytest.approx(hand.item(), rel=tolerance)
        found = torch.autograd.grad(result.mean(), (x, y))
        assert all(torch.allclose(one.double(), two, rtol=tolerance, atol=tolerance) for one, two in zip(found, expected, strict=True))


def test_the_reference_gets_no_gradient():
    (a, c, ra, rc), pairs = _setting()
    losses.boosted(similarity.cosine(a, c), pairs, similarity.cosine(ra, rc)).mean().backward()
    assert ra.grad is None and rc.grad is None and a.grad.abs().sum() > 0 and c.grad.abs().sum() > 0


def test_equal_models_have_every_hinge_at_its_margin():
    """s = r: the boost is m for both forms, whatever the scores (paper 119, pitfalls)."""
    (a, c, _, _), pairs = _setting()
    scores = similarity.cosine(a, c)
    plain = losses.boosted(scores, pairs, scores, strength=0.0)
    for boost in ("absolute", "relative"):
        extra = losses.boosted(scores, pairs, scores, boost=boost, margin=0.2, cap=False).values - plain.values
        assert torch.allclose(extra, torch.full_like(extra, 0.2), atol=1e-12)


def test_the_cap_ends_the_pull_at_the_limit():
    (a, _, _, _), _ = _setting()
    pairs = Pairs(Relation.itself(), Relation.all(), (6, 6))
    scores = similarity.cosine(a, a * 2)
    with_cap, without = (losses.boosted(scores, pairs, scores, margin=0.2, cap=cap).values for cap in (True, False))
    assert torch.allclose(without - with_cap, torch.full_like(without, 0.1), atol=1e-12)


def test_difference_carries_scales_and_biases():
    (a, c, ra, rc), _ = _setting()
    bias = torch.arange(6.0, dtype=torch.float64)
    one = similarity.dot(a, c).times(2.0).plus(bias)
    two = similarity.negative_squared_distance(ra, rc).times(torch.rand(6, dtype=torch.float64).add(0.5).detach())
    expected = one.matrix() - two.matrix()
    assert torch.allclose(difference(one, two).matrix(), expected)
    assert torch.allclose(difference(similarity.learned(one.matrix()), two).matrix(), expected)


def test_ranges_that_cannot_be_compared_are_refused():
    (a, c, ra, rc), pairs = _setting()
    with pytest.raises(OptionError, match="one range"):
        losses.boosted(similarity.cosine(a, c), pairs, similarity.dot(ra, rc))


@pytest.mark.parametrize("boost", ["absolute", "relative"])
def test_chance_is_the_value_of_equal_scores(boost):
    pairs = Pairs(Relation.itself(), Relation.all(), (6, 6))
    flat = similarity.learned(torch.zeros(6, 6))
    found = losses.boosted(flat, pairs, flat, boost=boost, hardest=False, balance=0.3)
    assert found.chance == pytest.approx(found.mean().item()) and losses.boosted(flat, pairs, flat).chance is None
