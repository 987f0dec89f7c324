"""Decoders' loss, and density ratios given as such, against slow twins."""

from __future__ import annotations

import math

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import DataError
from counterpoint.core.similarity import Pairs, Relation


@pytest.mark.parametrize("measure", ["absolute", "square"])
def test_reconstruction_is_the_mean_gap_over_known_entries(measure: str) -> None:
    first, second = torch.randn(4, 5), torch.randn(4, 5)
    second[1, 2:] = math.nan
    second[3] = math.nan
    first.requires_grad_()
    found = losses.reconstruction(first, second, measure=measure)
    power = 1 if measure == "absolute" else 2
    for i, known in enumerate((5, 2, 5)):
        gap = [abs(float(first.detach()[i, k]) - float(second[i, k])) ** power for k in range(known)]
        assert found.values[i].item() == pytest.approx(sum(gap) / known, rel=1e-5)
    assert found.counted.tolist() == [True, True, True, False]
    found.mean().backward()
    assert bool(torch.isfinite(first.grad).all()) and not first.grad[1, 2:].any() and not first.grad[3].any()


def test_the_target_gets_no_gradient() -> None:
    first, second = torch.randn(3, 2, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    losses.reconstruction(first, second).mean().backward()
    assert second.grad is None and first.grad is not None
    with pytest.raises(DataError, match="reconstruction"):
        losses.reconstruction(first, second[:2])


@pytest.mark.parametrize("measure", ["logistic", "exponential", "square"])
@pytest.mark.parametrize("noise", [None, 1.0, 3.0])
def test_a_ratio_is_the_exponential_of_its_logarithm(measure: str, noise: float | None) -> None:
    """The loss of scores g as ratios is that of scores log g as logarithms, value and gradient."""
    a, c = torch.rand(6, 4, dtype=torch.float64) + 0.2, torch.rand(6, 4, dtype=torch.float64) + 0.2
    a.requires_grad_()
    pairs = Pairs(Relation.index(torch.arange(6).roll(1)), Relation.all(), (6, 6))
    one = losses.density_ratio(similarity.dot(a, c), pairs, form="ratio", measure=measure, noise=noise)
    two = losses.density_ratio(similarity.learned((a @ c.T).log()), pairs, measure=measure, noise=noise)
    assert torch.allclose(one.values, two.values, rtol=1e-6)
    gradients = [torch.autograd.grad(each.mean(), a)[0] for each in (one, two)]
    assert torch.allclose(*gradients, rtol=1e-5)


def test_a_ratio_of_nothing_has_a_finite_slope() -> None:
    a = torch.zeros(3, 2, requires_grad=True)
    pairs = Pairs(Relation.itself(), Relation.all(), (3, 3))
    for measure in ("logistic", "exponential", "square"):
        found = losses.density_ratio(similarity.dot(a, torch.ones(3, 2)), pairs, form="ratio", measure=measure)
        (slope,) = torch.autograd.grad(found.mean(), a)
        assert bool(torch.isfinite(slope).all()) and bool((slope < 0).all()), measure
