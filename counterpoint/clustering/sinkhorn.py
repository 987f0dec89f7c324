"""Balanced soft assignment: optimal transport with entropy, solved by alternating normalisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Positive, check


def sinkhorn(
    scores: Tensor,
    *,
    epsilon: Positive = 0.05,
    iterations: Count = 3,
    reduce: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Assign b rows to k columns so that every column gets about b / k of the mass: (b, k) → (b, k), each row sums to 1.

    Q = diag(u) exp(scores / ε) diag(v); each iteration first evens out the columns, then makes every row sum to 1
    (Cuturi, "Sinkhorn Distances", NeurIPS 2013; as in Caron et al., SwAV, NeurIPS 2020, equation 3 and appendix A).
    All of it in log space and in float32 at least, so that no ε under- or overflows. Gradients pass; a caller that wants codes without
    gradient gives detached scores. More iterations come nearer to even columns: they are exactly even only in the limit.

    scores: (b, k), finite; the higher, the better row and column fit. Integers and half precision are computed in float32.
    epsilon: the smoothness, > 0, in the unit of the scores; small is hard, large is uniform.
    iterations: rounds of normalisation of columns and rows, ≥ 1.
    reduce: for several devices: takes the (k,) log-sum-exp of this device's rows and gives that over the rows of all devices.

    Raises DataError where scores are not a (b, k) matrix with k ≥ 1 or not finite.
    """
    check(epsilon, Positive, "sinkhorn: epsilon")
    check(iterations, Count, "sinkhorn: iterations")
    if scores.ndim != 2 or scores.shape[1] == 0:
        raise DataError(f"sinkhorn: scores of shape {tuple(scores.shape)}; they must be a matrix (rows, columns ≥ 1)")
    if not bool(torch.isfinite(scores).all()):
        bad = int((~torch.isfinite(scores)).sum())
        raise DataError(f"sinkhorn: {bad} of {scores.numel()} scores are NaN or infinite; they must be finite")
    log = (scores if scores.dtype == torch.float64 else scores.float()) / epsilon
    for _ in range(iterations):
        columns = torch.logsumexp(log, dim=0)
        log = log - (columns if reduce is None else reduce(columns))
        log = log - torch.logsumexp(log, dim=1, keepdim=True)
    return log.exp()
