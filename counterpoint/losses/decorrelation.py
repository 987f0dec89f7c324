"""Losses without negatives: the views agree, and the columns of the embedding neither shrink nor repeat each other.

All take two aligned sets of rows, first and second (n, d), row i of both from the same item, and are symmetric in them. What is computed
over the batch (variance, covariance, correlation) stands in every row, so that the mean over rows is the loss of the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from counterpoint.core.errors import OptionError
from counterpoint.core.options import NotNegative, Share
from counterpoint.core.recipe import RowLoss
from counterpoint.losses.rows import aligned, full_precision, no_autocast


def vicreg(
    first: Tensor, second: Tensor, *, invariance: NotNegative = 25.0, variance: NotNegative = 25.0, covariance: NotNegative = 1.0
) -> RowLoss:
    """Variance, invariance, covariance (Bardes et al., "VICReg", ICLR 2022, equation 6).

    L = s · mean_ik (a_ik − b_ik)² + v/2 · mean_k [max(0, 1 − σ(a_k)) + max(0, 1 − σ(b_k))] + c/d · Σ_{k≠l} [C(a)_kl² + C(b)_kl²],
    σ = √(variance + 1e-4), C = covariance over the n rows (divided by n − 1). Chance: independent rows of unit variance.

    invariance: factor of the squared distance of the views, ≥ 0.
    variance: factor of the hinge that keeps the spread of every column at 1 or above, ≥ 0.
    covariance: factor of the squared covariances between columns, ≥ 0.
    """
    aligned("vicreg", first, second)
    n, d = first.shape
    with no_autocast(first):
        a, b = full_precision(first, second)
        if n < 2:
            return _nothing(a, b)
        spread = sum(functional.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean() for z in (a, b)) / 2
        shared = sum(_off_diagonal_squares(_centred(z).T @ _centred(z) / (n - 1)) for z in (a, b)) / d
        values = invariance * (a - b).square().mean(dim=1) + (variance * spread + covariance * shared)
    chance = 2 * invariance + covariance * 2 * (d - 1) / (n - 1)
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), chance)


def barlow_twins(first: Tensor, second: Tensor, *, off_diagonal: NotNegative = 5e-3) -> RowLoss:
    """Cross-correlation towards the identity (Zbontar et al., "Barlow Twins", ICML 2021, equations 1 and 2).

    L = Σ_k (1 − C_kk)² + λ Σ_{k≠l} C_kl²,   C = âᵀb̂ / n (d, d), â and b̂ standardised per column over the batch (σ² + 1e-5).
    Chance: independent rows, d + λ d (d − 1) / n.

    off_diagonal: λ, the factor of the correlations between different columns, ≥ 0.
    """
    aligned("barlow_twins", first, second)
    n, d = first.shape
    with no_autocast(first):
        a, b = full_precision(first, second)
        if n < 2:
            return _nothing(a, b)
        a, b = (_centred(z) / (z.var(dim=0, unbiased=False) + 1e-5).sqrt() for z in (a, b))
        correlation = a.T @ b / n
        loss = (1 - correlation.diagonal()).square().sum() + off_diagonal * _off_diagonal_squares(correlation)
    values = loss.expand(n)
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), d + off_diagonal * d * (d - 1) / n)


def whitening(first: Tensor, second: Tensor, *, shrink: Share = 0.01) -> RowLoss:
    """Agreement after whitening the batch (Ermolov et al., "Whitening for Self-Supervised Representation Learning", ICML 2021).

    L_i = 2 − 2 cos(W_a (a_i − ā), W_b (b_i − b̄)),   W = inverse Cholesky factor of (1 − ε) Σ + ε (tr Σ / d) I, Σ the batch's covariance.
    The paper has ε I, with ε = 0 in its runs; relative to the mean variance (Ledoit and Wolf, 2004) the loss sees no size of the rows.
    Collapsed rows cannot be whitened apart, so no negatives are needed. Rows should outnumber columns, several times over: with n ≤ d
    whitening makes any rows orthogonal and the loss learns little. Chance: 2.

    shrink: ε in [0, 1], how far the covariance is drawn to a multiple of the identity before it is inverted; 0 needs n > d.

    Raises OptionError where the covariance has no inverse (ε = 0 with n ≤ d, or with columns that repeat each other).
    """
    aligned("whitening", first, second)
    with no_autocast(first):
        a, b = full_precision(first, second)
        if len(a) < 2:
            return _nothing(a, b)
        values = 2 - 2 * functional.cosine_similarity(_whiten(a, shrink), _whiten(b, shrink), dim=1)
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), 2.0)


def _whiten(z: Tensor, shrink: float) -> Tensor:
    z = _centred(z)
    n, d = z.shape
    if not z.numel():
        return z
    # The rows' size drops out in the end; without it here no square over- or underflows.
    size = z.detach().abs().max()
    if not bool(torch.isfinite(size)):
        return z * torch.nan
    z = z / size if bool(size > 0) else z
    covariance = z.T @ z / (n - 1)
    spread = covariance.diagonal().mean() if bool(size > 0) else torch.ones_like(size)
    shrunk = (1 - shrink) * covariance + shrink * spread * torch.eye(d, dtype=z.dtype, device=z.device)
    factor, wrong = torch.linalg.cholesky_ex(shrunk)
    if bool(wrong):
        raise OptionError(
            f"whitening: with shrink = {shrink} the covariance of {n} rows of width {d} has no inverse; "
            "give several times more rows than columns, or a larger shrink"
        )
    return torch.linalg.solve_triangular(factor, z.T, upper=False).T


def _centred(z: Tensor) -> Tensor:
    return z - z.mean(dim=0)


def _off_diagonal_squares(matrix: Tensor) -> Tensor:
    return (matrix - torch.diag(matrix.diagonal())).square().sum()  # no difference of sums: it is NaN where both are infinite


def _nothing(a: Tensor, b: Tensor) -> RowLoss:
    """Fewer than two rows have no variance: zero, with the graph attached."""
    values = 0 * (a - b).sum(dim=1)
    return RowLoss(values, torch.zeros_like(values, dtype=torch.bool), None)
