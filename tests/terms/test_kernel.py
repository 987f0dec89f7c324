"""Uniformity, kernel entropy and rows at zero, written out; and the squared distance."""

from __future__ import annotations

import math

import pytest
import torch

from counterpoint import losses, terms
from counterpoint.core.recipe import Progress, Rows, Select

NOW = Progress()


def rows(n=7, d=3, seed=0):
    z = torch.randn(2 * n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    keys = {"item": torch.arange(n).repeat(2), "view": torch.arange(2).repeat_interleave(n), "target": torch.arange(n).repeat(2) % 2}
    return Rows(z, keys, False, ("global", "global"))


def kernel(z, t=0.5):
    return torch.exp(-torch.cdist(z, z).square() / (2 * t))


def test_uniformity_is_the_log_of_the_mean_kernel_of_pairs():
    found = rows()
    got = terms.uniformity({"z": found}, {}, NOW)
    for view, value in enumerate(got.values):
        k = kernel(found.z.detach()[view * 7 : view * 7 + 7])
        expected = torch.stack([k[i, j] for i in range(7) for j in range(i)]).mean().log()
        assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_kernel_entropy_includes_the_row_itself_and_is_bounded():
    found = rows()
    got = terms.kernel_entropy({"z": found}, {}, NOW, temperature=0.8)
    expected = [kernel(found.z.detach()[7 * v : 7 * v + 7], 0.8).mean(1).log().mean() for v in (0, 1)]
    assert got.values.tolist() == pytest.approx([e.item() for e in expected], rel=1e-5)
    far = Rows(torch.eye(5) * 1e4, {}, False)
    assert terms.kernel_entropy({"z": far}, {}, NOW).values.item() == pytest.approx(-math.log(5), rel=1e-6)


def test_equal_rows_repel_nobody_and_zeros_count():
    z = torch.zeros(4, 2, requires_grad=True)
    got = terms.uniformity({"z": Rows(z, {}, False)}, {}, NOW)
    assert got.values.item() == pytest.approx(0, abs=1e-6)
    got.values.sum().backward()
    assert bool((z.grad == 0).all())


def test_one_row_does_not_count_and_keeps_a_graph():
    z = torch.randn(1, 2, requires_grad=True)
    got = terms.uniformity({"z": Rows(z, {}, False)}, {}, NOW)
    assert not bool(got.counted.any())
    got.mean().backward()
    assert bool((z.grad == 0).all())


def test_only_the_selected_rows_go_to_zero():
    found = rows()
    got = terms.at_zero({"z": found}, {}, NOW, space=Select("z", None, {"target": 0}), temperature=0.25)
    mask = found.keys["target"] == 0
    assert torch.allclose(got.values, found.z[mask].float().square().sum(1) / 0.5)
    got.values.sum().backward()
    assert bool((found.z.grad[~mask] == 0).all()) and bool((found.z.grad[mask] != 0).any())


def test_squared_distance_equals_its_formula():
    wide = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        a, b = (x.to(dtype).requires_grad_() for x in wide)
        found = losses.squared_distance(a, b, temperature=0.3)
        loop = [sum((wide[0, i, k] - wide[1, i, k]) ** 2 for k in range(3)) / 0.6 for i in range(5)]
        assert torch.allclose(found.values.double(), torch.stack(loop), rtol=tolerance)
        one, two = torch.autograd.grad(found.mean(), (a, b))
        assert torch.allclose(one.double(), (wide[0] - wide[1]) / 0.3 / 5, rtol=tolerance) and torch.equal(one, -two)


def test_the_chance_of_a_squared_distance_is_that_of_independent_rows():
    a, b = torch.randn(2, 4000, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = losses.squared_distance(a, b, temperature=0.3)
    assert found.mean().item() == pytest.approx(found.chance, rel=0.03)
