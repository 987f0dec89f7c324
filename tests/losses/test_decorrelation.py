"""vicreg, barlow_twins, whitening: against loops in float64, against lightly, and at the ends of their range."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses
from counterpoint.core.errors import DataError, OptionError

PARTS = [losses.vicreg, losses.barlow_twins, losses.whitening]


def _rows(n=24, d=6, seed=0, dtype=torch.float64):
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=g, dtype=dtype)
    a = torch.randn(n, d, generator=g, dtype=dtype) @ mix
    return a, a + 0.5 * torch.randn(n, d, generator=g, dtype=dtype)


def _vicreg_slow(a, b, s, v, c):
    n, d = a.shape
    total = s * sum((a[i, k] - b[i, k]) ** 2 for i in range(n) for k in range(d)) / (n * d)
    for z in (a, b):
        mean = z.sum(0) / n
        cov = sum(torch.outer(z[i] - mean, z[i] - mean) for i in range(n)) / (n - 1)
        total += v * sum(max(0.0, 1 - float(cov[k, k] + 1e-4) ** 0.5) for k in range(d)) / d / 2
        total += c * sum(float(cov[k, m]) ** 2 for k in range(d) for m in range(d) if k != m) / d
    return float(total)


def _barlow_slow(a, b, factor):
    n, d = a.shape
    hats = []
    for z in (a, b):
        mean = z.sum(0) / n
        hats.append((z - mean) / (((z - mean) ** 2).sum(0) / n + 1e-5).sqrt())
    total = 0.0
    for k in range(d):
        for m in range(d):
            value = float((hats[0][:, k] * hats[1][:, m]).sum() / n)
            total += (1 - value) ** 2 if k == m else factor * value**2
    return total


def test_vicreg_equals_the_loop():
    a, b = _rows()
    a = a * 0.3  # some columns below the hinge
    assert losses.vicreg(a, b, invariance=3.0, variance=5.0, covariance=2.0).mean().item() == pytest.approx(_vicreg_slow(a, b, 3, 5, 2))


def test_barlow_twins_equals_the_loop():
    a, b = _rows()
    assert losses.barlow_twins(a, b, off_diagonal=0.1).mean().item() == pytest.approx(_barlow_slow(a, b, 0.1))


def test_whitening_sees_no_linear_map_and_penalises_disagreement():
    a, b = _rows(200, 4)
    g = torch.Generator().manual_seed(5)
    lower = torch.tril(torch.randn(4, 4, generator=g, dtype=torch.float64)) + 3 * torch.eye(4, dtype=torch.float64)
    plain = losses.whitening(a, b, shrink=0.0).values
    mapped = losses.whitening(a @ lower.T + 7, b @ lower.T - 1, shrink=0.0).values  # the Cholesky factor undoes a lower triangular map
    assert torch.allclose(plain, mapped, atol=1e-4)
    assert losses.whitening(a, a).values.abs().max() < 1e-9
    noise = torch.randn(200, 4, generator=g, dtype=torch.float64)
    assert losses.whitening(a, noise).mean() == pytest.approx(2.0, abs=0.3)


def _whitening_slow(a, b, shrink):
    """Row by row, with an inverse Cholesky factor that is solved for by substitution."""
    white = []
    for z in (a, b):
        n, d = z.shape
        mean = sum(z[i] for i in range(n)) / n
        cov = sum(torch.outer(z[i] - mean, z[i] - mean) for i in range(n)) / (n - 1)
        size = sum(cov[k, k] for k in range(d)) / d
        lower = torch.linalg.cholesky((1 - shrink) * cov + shrink * size * torch.eye(d, dtype=z.dtype))
        rows = []
        for i in range(n):
            found = []
            for k in range(d):
                found.append((z[i, k] - mean[k] - sum(lower[k, m] * found[m] for m in range(k))) / lower[k, k])
            rows.append(torch.stack(found))
        white.append(rows)
    return torch.stack([2 - 2 * (x @ y) / (x.norm() * y.norm()) for x, y in zip(*white, strict=True)])


@pytest.mark.parametrize("shrink", [0.0, 0.01, 0.5])
def test_whitening_equals_the_loop(shrink):
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        a, b = (x.to(dtype).requires_grad_() for x in _rows(20, 4))
        slow = [x.detach().double().requires_grad_() for x in (a, b)]
        hand, found = _whitening_slow(*slow, shrink), losses.whitening(a, b, shrink=shrink)
        assert torch.allclose(found.values.double(), hand, rtol=tolerance, atol=tolerance)
        for one, two in zip(*(torch.autograd.grad(v.mean(), x) for v, x in ((found, (a, b)), (hand, slow))), strict=True):
            assert torch.allclose(one.double(), two, rtol=10 * tolerance, atol=tolerance)


def test_whitening_sees_no_size():
    """The shrinkage is relative to the mean variance, so that rows of any size lose as much."""
    a, b = (x.float() for x in _rows())
    plain = losses.whitening(a, b, shrink=0.1).values
    for size in (1e-12, 1e-3, 1e18):
        assert torch.allclose(losses.whitening(a * size, b, shrink=0.1).values, plain, atol=1e-5)


def test_what_cannot_be_whitened_is_refused():
    a, b = (x.float() for x in _rows(8, 12))
    with pytest.raises(OptionError, match=r"shrink = 0\.0 the covariance of 8 rows of width 12 has no inverse.*a larger shrink"):
        losses.whitening(a, b, shrink=0.0)
    flat = torch.ones(30, 4)
    with pytest.raises(OptionError, match="larger shrink"):
        losses.whitening(flat, flat, shrink=0.0)
    assert torch.isfinite(losses.whitening(a, b).values).all()


def test_rows_that_are_far_too_large_give_no_nan():
    """A squared covariance of 1e72 is infinite in float32, and not infinity minus infinity."""
    a, b = (x.float() * 1e18 for x in _rows())
    assert losses.vicreg(a, b).mean() == torch.inf
    assert torch.isfinite(losses.vicreg(a.double(), b.double()).mean())


def _same_gradient(mine, theirs, tensors, rtol=1e-4):
    for one, two in zip(*(torch.autograd.grad(v, tensors) for v in (mine, theirs)), strict=True):
        assert torch.allclose(one, two, rtol=rtol, atol=rtol * float(two.abs().max()))


def test_peers_agree():
    peer = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    a, b = (x.float().requires_grad_() for x in _rows(32, 8))
    for mine, theirs, rel in (
        (losses.vicreg(a, b), peer.VICRegLoss()(a, b), 1e-5),
        (losses.barlow_twins(a, b), peer.BarlowTwinsLoss()(a, b), 1e-4),
    ):
        assert mine.mean().item() == pytest.approx(theirs.item(), rel=rel)
        _same_gradient(mine.mean(), theirs, (a, b))


def test_whitening_agrees_with_lightly():
    peer = pytest.importorskip("lightly.loss.wmse_loss", reason="lightly is not installed")
    a, b = (x.float().requires_grad_() for x in _rows(16, 8))
    theirs = peer.WMSELoss(embedding_dim=8, num_samples=2, w_size=16)(torch.cat([a, b]))
    mine = losses.whitening(a, b, shrink=0.0).mean()
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-4)
    _same_gradient(mine, theirs, (a, b), 1e-3)


def test_vicreg_agrees_with_pytorch_metric_learning():
    peer = pytest.importorskip("pytorch_metric_learning.losses", reason="pytorch-metric-learning is not installed")
    a, b = ((x * 0.3).float().requires_grad_() for x in _rows(32, 8))
    mine, theirs = losses.vicreg(a, b, covariance=2.0).mean(), peer.VICRegLoss(covariance_v=2)(a, ref_emb=b)
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-5)
    _same_gradient(mine, theirs, (a, b))


@pytest.mark.parametrize("part", PARTS)
def test_gradient_reaches_both_views_and_is_right(part):
    a, b = (x.requires_grad_() for x in _rows(12, 3))
    assert torch.autograd.gradcheck(lambda x, y: part(x, y).mean(), (a, b))
    part(a, b).mean().backward()
    assert a.grad.abs().sum() > 0 and b.grad.abs().sum() > 0


@pytest.mark.parametrize("part", PARTS)
def test_chance_is_the_value_at_independent_rows(part):
    g = torch.Generator().manual_seed(1)
    a, b = (torch.randn(4000, 8, generator=g, dtype=torch.float64) for _ in range(2))
    result = part(a, b)
    assert result.mean().item() == pytest.approx(result.chance, rel=0.03)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
def test_extreme_rows_give_no_nan(part, scale):
    a, b = ((x.float() * scale).requires_grad_() for x in _rows(16, 4))
    value = part(a, b).mean()
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(a.grad).all() and torch.isfinite(b.grad).all()


@pytest.mark.parametrize("part", PARTS)
def test_one_row_counts_for_nothing(part):
    a, b = (x[:1].requires_grad_() for x in _rows())
    result = part(a, b)
    result.mean().backward()
    assert not result.counted.any() and result.mean() == 0 and a.grad.abs().sum() == 0


@pytest.mark.parametrize("part", PARTS)
def test_autocast_changes_nothing(part):
    a, b = (x.float() for x in _rows())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert part(a, b).mean().item() == pytest.approx(part(a, b).mean().item())
        half = part(a.bfloat16(), b.bfloat16()).mean()
    assert half.item() == pytest.approx(part(a, b).mean().item(), rel=1e-2)


@pytest.mark.parametrize("part", PARTS)
def test_shapes_that_differ_are_refused(part):
    a, b = _rows()
    with pytest.raises(DataError, match="both must be"):
        part(a, b[:-1])
