"""Whitening in groups: what is white afterwards, and its gradient."""

from __future__ import annotations

import pytest
import torch

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.recipe import Progress, Rows
from counterpoint.core.registry import example_spec
from counterpoint.encoders.whitening import group_whitened, shuffled


def _rows(n: int = 40, d: int = 12) -> torch.Tensor:
    return torch.randn(n, d, dtype=torch.float64) @ torch.randn(d, d, dtype=torch.float64) + 3


def _covariance(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(0)).T @ (x - x.mean(0)) / len(x)


@pytest.mark.parametrize("group", [1, 3, 4, 12])
def test_every_group_is_white(group: int) -> None:
    white = group_whitened(_rows(), group=group, shrink=1e-9)
    block = torch.block_diag(*[torch.ones(group, group, dtype=torch.bool)] * (12 // group)).bool()
    assert torch.allclose(_covariance(white)[block], torch.eye(12, dtype=torch.float64)[block], atol=1e-5)
    assert torch.allclose(white.mean(0), torch.zeros(12, dtype=torch.float64), atol=1e-9)


def test_single_channels_are_batch_normalisation() -> None:
    x = _rows()
    normal = (x - x.mean(0)) / (x.var(0, correction=0) * (1 + 1e-3) + 1e-8).sqrt()
    assert torch.allclose(group_whitened(x, group=1), normal)


def test_dealt_channels_are_white_with_those_they_were_dealt_to() -> None:
    x, order = _rows(), torch.randperm(12)
    dealt = group_whitened(x, group=3, order=order)
    assert torch.allclose(dealt[:, order], group_whitened(x[:, order], group=3))
    assert not torch.allclose(dealt, group_whitened(x, group=3))


def test_the_symmetric_root_stays_nearest_to_the_rows() -> None:
    """ZCA: white rows are those without a rotation, C^(-1/2) is symmetric."""
    x = _rows(200, 4)
    c = _covariance(x)
    values, vectors = torch.linalg.eigh(c)
    root = vectors @ torch.diag(values.rsqrt()) @ vectors.T
    assert torch.allclose(group_whitened(x, group=4, shrink=1e-9), (x - x.mean(0)) @ root, atol=1e-5)


def test_the_gradient_is_exact_also_at_equal_eigenvalues() -> None:
    x = _rows(7, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: group_whitened(z, group=2, shrink=0.1), x)
    even = torch.cat([torch.eye(4, dtype=torch.float64), -torch.eye(4, dtype=torch.float64)]).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: group_whitened(z, group=4, shrink=0.1), even)
    (part,) = torch.autograd.grad(group_whitened(x, group=2, detach=True).square().sum(), x)
    (whole,) = torch.autograd.grad(group_whitened(x, group=2).square().sum(), x)
    assert part.norm() > 10 * whole.norm()  # white rows have the same size whatever x is, which only the whole gradient knows


def test_few_rows_and_constant_channels_stay_finite() -> None:
    x = torch.randn(3, 8)
    x[:, 2] = 5
    x.requires_grad_()
    white = group_whitened(x, group=8)
    white.square().sum().backward()
    assert bool(torch.isfinite(white).all()) and bool(torch.isfinite(x.grad).all())
    with pytest.raises(OptionError, match="come out even"):
        group_whitened(x, group=3)
    with pytest.raises(DataError, match="at least two"):
        group_whitened(x[:1], group=2)


def test_each_view_has_its_own_groups_and_inference_none() -> None:
    spec = example_spec("array")
    with pytest.raises(OptionError, match="does not divide"):
        shuffled(spec, 10, 10, group=4)
    module = shuffled(spec, 12, 12, group=3)
    module.head = torch.nn.Identity()
    x = _rows(20, 12).float()
    view = torch.arange(2).repeat_interleave(20)
    rows = Rows(torch.cat([x, x]), {"item": torch.arange(20).repeat(2), "view": view}, False, ("global", "global"))
    first, second = module({"h": rows}, Progress())["whitened"].z.split(20)
    assert not torch.allclose(first, second, atol=1e-3)
    mixed = torch.randperm(40)
    torch.manual_seed(3)
    one = module({"h": rows}, Progress())["whitened"].z[mixed]
    torch.manual_seed(3)
    two = module({"h": rows.where(mixed)}, Progress())["whitened"].z
    assert torch.allclose(one, two, atol=1e-4)  # the order of rows decides nothing
    module.eval()
    assert torch.equal(module({"h": rows}, Progress())["whitened"].z, rows.z)
