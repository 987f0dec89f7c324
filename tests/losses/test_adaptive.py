"""adaptive (paper 121): table 2 of the notes, its smooth form, its bounds."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import Pairs, Relation


def _setting():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(8, 5, generator=g, dtype=torch.float64, requires_grad=True)
    heat = torch.randn(8, 8, generator=g, dtype=torch.float64, requires_grad=True)
    pairs = Pairs(Relation.index(torch.arange(8).roll(4)), Relation.all().without(Relation.itself()), (8, 8))
    return z, heat, pairs


def _omega(tau, m=1.0):
    return m / 2 * tau.log() + 1 / tau


@pytest.mark.parametrize("hardest", [1, 3, 6])
def test_equals_the_table(hardest):
    z, heat, pairs = _setting()
    s = functional.normalize(z) @ functional.normalize(z).T
    tau = 0.1 + 1.4 * torch.sigmoid(heat.float()).double()
    hand = 0.0
    for i in range(8):
        p = (i + 4) % 8
        far = sorted((j for j in range(8) if j not in (i, p)), key=lambda j: -float(s[i, j].detach()))[:hardest]
        x = torch.stack([s[i, j] / tau[i, j] for j in far])
        w = x.softmax(0)
        away = x.logsumexp(0) - 0.2 * sum(w[k] * _omega(tau[i, j]) for k, j in enumerate(far))
        hand = hand + (-s[i, p] / tau[i, p] + 0.2 * _omega(tau[i, p]) + away) / 8
    expected = torch.autograd.grad(hand, (z, heat))
    for dtype, tolerance in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        given = [x.detach().to(dtype).requires_grad_() for x in (z, heat)]
        found = losses.adaptive(
            similarity.cosine(given[0], given[0]),
            pairs,
            lambda i, j, heat=given[1]: heat[i, j],
            low=0.1,
            high=1.5,
            penalty=0.2,
            hardest=hardest,
        )
        assert found.mean().item() == pytest.approx(hand.item(), rel=tolerance)
        for one, two in zip(torch.autograd.grad(found.mean(), given), expected, strict=True):
            assert torch.allclose(one.double(), two, rtol=tolerance, atol=tolerance)


def test_the_best_temperature_of_a_positive():
    """tau = 2/m (1 − s/β) where s < β: the derivative of −s/τ + β Ω(τ) is 0 there."""
    s, beta, m = 0.05, 0.1, 1.5
    tau = torch.tensor(2 / m * (1 - s / beta), dtype=torch.float64, requires_grad=True)
    assert abs(torch.autograd.grad(-s / tau + beta * _omega(tau, m), tau)[0].item()) < 1e-12


def test_equal_scores_and_refusals():
    pairs = Pairs(Relation.index(torch.arange(12).roll(6)), Relation.all().without(Relation.itself()), (12, 12))
    flat = losses.adaptive(similarity.learned(torch.zeros(12, 12)), pairs, lambda i, j: 0.0 * i, hardest=5)
    assert flat.chance is None and flat.mean().item() == pytest.approx(math.log(5), abs=1e-6)
    with pytest.raises(OptionError, match="not below"):
        losses.adaptive(similarity.learned(torch.zeros(12, 12)), pairs, lambda i, j: 0.0 * i, low=2.0, high=1.0)


def test_rows_without_pairs_and_extremes():
    z = torch.zeros(4, 3, requires_grad=True)
    lonely = Pairs(Relation.index(torch.tensor([1, -1, 3, 2])), Relation.all().without(Relation.itself()), (4, 4))
    for heat in (-1e6, 1e6):
        result = losses.adaptive(similarity.cosine(z, z), lonely, lambda i, j, heat=heat: heat + 0.0 * i, hardest=9)
        assert result.counted.tolist() == [True, False, True, True] and torch.isfinite(result.values).all()
        assert torch.isfinite(torch.autograd.grad(result.mean(), z)[0]).all()
    nobody = losses.adaptive(similarity.cosine(z, z), Pairs(Relation.none(), Relation.none(), (4, 4)), lambda i, j: 0.0 * i)
    assert nobody.mean() == 0 and torch.autograd.grad(nobody.mean(), z)[0].abs().max() == 0
