"""Assignments with even cluster sizes."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.clustering.sinkhorn import sinkhorn


def even_assignment(scores: Tensor) -> Tensor:
    """A cluster for each of n rows such that sizes differ by at most one: scores (n, k), higher is better → (n,) int64 in 0 … k − 1.

    The scores are first priced by Sinkhorn, so that even columns come almost by themselves; what is left over moves in rounds: a cluster
    that is too large keeps the rows that would lose most by leaving. Near the optimum, not exactly it (that is a transport problem, O(n³)).
    """
    n, k = scores.shape
    spread = scores - scores.amax(1, keepdim=True)
    unit = float(-spread.mean()) or 1.0
    priced = torch.log(sinkhorn(spread / unit, epsilon=0.02, iterations=30).clamp(min=1e-30))
    result = torch.full((n,), -1, dtype=torch.int64, device=scores.device)
    _fill(priced, result, n // k)
    if n % k:
        _fill(priced, result, 1)
    return result


def _fill(scores: Tensor, result: Tensor, room: int) -> None:
    """Give every column up to `room` more of the rows that have no column yet; in at most k rounds."""
    k = scores.shape[1]
    free = torch.full((k,), room, dtype=torch.int64, device=scores.device)
    while True:
        rows = torch.nonzero(result < 0).flatten()
        if not len(rows) or not bool((free > 0).any()):
            return
        open_scores = scores[rows].masked_fill(free == 0, -torch.inf)
        two = open_scores.topk(min(2, k), dim=1)
        wish = two.indices[:, 0]
        regret = two.values[:, 0] - two.values[:, -1]  # +inf where only one column is open
        # Rank the rows inside each wished column by regret; the first `free` of them stay.
        order = torch.argsort(regret, descending=True, stable=True)
        order = order[torch.argsort(wish[order], stable=True)]
        column = wish[order]
        starts = torch.searchsorted(column, torch.arange(k, device=scores.device))
        rank = torch.arange(len(order), device=scores.device) - starts[column]
        kept = rank < free[column]
        result[rows[order[kept]]] = column[kept]
        free = free - torch.bincount(column[kept], minlength=k)
