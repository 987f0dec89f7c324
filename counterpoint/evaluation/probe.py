"""The linear probe: multinomial logistic regression on frozen embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError, LabelError, OptionError
from counterpoint.core.options import Count, Whole, check
from counterpoint.evaluation.inputs import codes, matrix, pair
from counterpoint.evaluation.splits import holdout

GRID = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
WIDEST = 4096  # the curvature of wider features is not factorised: its cube would cost more than it saves


@dataclass(frozen=True)
class Probe:
    """A fitted probe: weights (d, c) and bias (c,) on standardised features, classes (c,), C, was C chosen, did the fit converge."""

    weights: Tensor
    bias: Tensor
    mean: Tensor
    scale: Tensor
    classes: Tensor
    c: float
    chosen: bool
    converged: bool

    def scores(self, z: Any) -> Tensor:
        """Logits (n, c) of rows (n, d)."""
        return ((matrix(z).to(self.weights) - self.mean) / self.scale) @ self.weights + self.bias

    def predict(self, z: Any) -> Tensor:
        """Classes (n,) int64 of rows (n, d)."""
        return self.classes[self.scores(z).argmax(1)]


def linear_probe(
    train: Any,
    train_labels: Any,
    test: Any,
    test_labels: Any,
    *,
    grid: Sequence[float] = GRID,
    groups: Any = None,
    seed: Whole = 0,
) -> float:
    """Share of test rows that a linear probe fitted on the train rows classifies rightly, in [0, 1]; rows with label −1 are left out.

    Options as in `fit_probe`. A class that train does not have cannot be guessed and counts as wrong.
    """
    train_z, test_z = pair(train, test, ("the train embeddings", "the test embeddings"), rows=False)
    truth = codes(test_labels, len(test_z), "test labels")
    known = truth >= 0
    if not bool(known.any()):
        raise DataError(f"none of the {len(truth)} test rows has a label; at least one is needed")
    found = fit_probe(train_z, train_labels, grid=grid, groups=groups, seed=seed).predict(test_z[known])
    return float((found.cpu() == truth[known]).double().mean())


def fit_probe(train: Any, labels: Any, *, grid: Sequence[float] = GRID, groups: Any = None, seed: Whole = 0, rounds: Count = 500) -> Probe:
    """Multinomial logistic regression: minimises ½|W|² + C · ∑ cross-entropy, the bias free, as scikit-learn's `LogisticRegression`.

    Features are standardised by the train rows (constant ones become 0). C is chosen on a fifth of *train* (classes even, groups whole),
    then all of train is fitted. L-BFGS in the metric of the curvature at zero (Böhning, "Multinomial logistic regression algorithm", Ann.
    Inst. Stat. Math. 1992), which converges in tens of steps however correlated the features are.

    grid: values of C, > 0, tried from small to large until two in a row are worse than the best; of equals the smallest is taken. One value
    is used as it is.
    groups: (n,) group of each train row, kept whole when C is chosen.
    seed: of the inner split.
    rounds: most L-BFGS steps per fit.

    Raises LabelError where fewer than two classes have labels.
    """
    check(seed, Whole, "linear_probe: seed")
    values = sorted(set(grid))
    if not values or not all(0 < c < np.inf for c in values):
        raise OptionError(f"linear_probe: grid = {tuple(grid)!r} is not allowed; it must be numbers > 0")
    z = matrix(train, "the train embeddings")
    y = codes(labels, len(z), "train labels")
    part = None if groups is None else codes(groups, len(z), "groups")[y >= 0]
    z, y = z[(y >= 0).to(z.device)], y[y >= 0]
    classes, number = torch.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise LabelError(f"{len(classes)} class among {len(y)} labelled train rows; a linear probe needs two")
    number, classes = number.to(z.device), classes.to(z.device)
    z = z if z.numel() > 2**25 else z.double()
    inner = torch.as_tensor(holdout(number.cpu(), part, seed=seed)).to(z.device).bool()
    best, chosen, start = values[len(values) // 2], False, None
    if len(values) > 1 and bool(inner.any()) and len(torch.unique(number[~inner])) > 1:
        right: list[int] = []
        found: list[_Solution] = []
        mean, scale = _standard(z[~inner])
        problem = _Problem(((z[~inner] - mean) / scale).float(), number[~inner], len(classes))
        held = ((z[inner] - mean) / scale).float()
        for c in values:  # from strong to weak regularisation, each from the solution before
            found.append(problem.solve(c, rounds, found[-1] if found else None, nearness=1e-3))
            weights, bias, _ = found[-1]
            right.append(int(((held @ weights + bias).argmax(1) == number[inner]).sum()))
            if len(right) > 2 and max(right[-2:]) < max(right):
                break  # twice worse than the best: less regularisation will not help, and is the slowest to fit
        place = int(np.argmax(right))
        best, chosen, start = values[place], True, found[place]
    mean, scale = _standard(z)
    weights, bias, converged = _Problem((z - mean) / scale, number, len(classes)).solve(best, rounds, start)
    return Probe(weights, bias, mean, scale, classes, best, chosen, converged)


def _standard(z: Tensor) -> tuple[Tensor, Tensor]:
    mean = z.mean(0)
    scale = (z - mean).square().mean(0).sqrt()
    still = scale <= 1e-6 * z.abs().amax(0)  # constant, or constant up to float32's rounding
    return mean, torch.where(still, torch.inf, scale)


_Solution = tuple[Tensor, Tensor, bool]


class _Problem:
    """Rows (n, d) with classes 0 … c − 1, to be solved for several C."""

    def __init__(self, x: Tensor, y: Tensor, classes: int) -> None:
        self.basis: Tensor | None = None
        if x.shape[1] > len(x):
            # The solution lies in the span of the rows: turned into it, the problem is the same and narrower.
            self.basis, triangle = torch.linalg.qr(x.T)
            x = triangle.T
        self.x, self.y, self.classes = x, y, classes
        self.gram = x.T @ x / len(x) if x.shape[1] <= WIDEST else None

    def solve(self, c: float, rounds: int, start: _Solution | None, *, nearness: float | None = None) -> _Solution:
        """Weights, bias, converged, from `start` where given; stops where the gradient in the metric of the curvature is ≤ `nearness`,
        which leaves the mean loss about nearness² / 2 above its minimum."""
        from scipy.optimize import minimize

        x, y, k = self.x, self.y, self.classes
        n, d = x.shape
        penalty = 1 / (c * n)
        factor = None
        if self.gram is not None:
            # Features that depend on each other leave eigenvalues as small as the rounding of the largest: that much is added.
            ridge = max(penalty, 4 * torch.finfo(x.dtype).eps * d / k)
            factor, failed = torch.linalg.cholesky_ex(self.gram / k + ridge * torch.eye(d, dtype=x.dtype, device=x.device))
            factor = None if int(failed) else factor
        ease = (1 / k) ** 0.5  # curvature of the bias

        def outer(v: Tensor) -> Tensor:  # W = L⁻ᵀ V
            return v * k**0.5 if factor is None else torch.linalg.solve_triangular(factor.T, v, upper=True)

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            given = torch.as_tensor(flat, dtype=x.dtype, device=x.device).view(d + 1, k)
            weights, bias = outer(given[:d]), given[d] / ease
            logits = x @ weights + bias
            norm = torch.logsumexp(logits, 1)
            loss = (norm - logits.gather(1, y[:, None])[:, 0]).mean() + penalty / 2 * weights.square().sum()
            error = torch.exp(logits - norm[:, None])
            error[torch.arange(n, device=x.device), y] -= 1
            slope = x.T @ error / n + penalty * weights
            inside = slope * k**0.5 if factor is None else torch.linalg.solve_triangular(factor, slope, upper=False)
            gradient = torch.cat([inside, error.mean(0)[None] / ease])
            return float(loss), gradient.double().cpu().numpy().ravel()

        first = x.new_zeros(d + 1, k)
        if start is not None:
            weights = start[0].to(x) if self.basis is None else self.basis.T @ start[0].to(x)
            first[:d] = weights / k**0.5 if factor is None else factor.T @ weights
            first[d] = start[1].to(x) * ease
        nearness = nearness or (1e-5 if x.dtype == torch.float64 else 1e-4)
        options = {"maxiter": rounds, "maxfun": 2 * rounds, "gtol": nearness, "ftol": 1e-12}
        found = minimize(value, first.double().cpu().numpy().ravel(), jac=True, method="L-BFGS-B", options=options)
        solution = torch.as_tensor(found.x, dtype=x.dtype, device=x.device).view(d + 1, k)
        weights = outer(solution[:d])
        return weights if self.basis is None else self.basis @ weights, solution[d] / ease, bool(found.success)
