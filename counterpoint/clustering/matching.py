"""Cluster numbers against classes or against an earlier clustering: one Hungarian match."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.errors import LabelError


def contingency(first: Tensor, second: Tensor) -> Tensor:
    """How many items have value i in `first` and j in `second`: two (n,) int64 ≥ 0 → (max + 1, max + 1) int64."""
    if first.shape != second.shape or first.ndim != 1:
        raise LabelError(f"two labellings of shapes {tuple(first.shape)} and {tuple(second.shape)}; they must be two (n,) of equal length")
    if not len(first):
        return torch.zeros(0, 0, dtype=torch.int64)
    if int(first.min()) < 0 or int(second.min()) < 0:
        raise LabelError("a labelling holds −1 (unknown); leave these items out before counting")
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    return torch.bincount(first.long() * columns + second.long(), minlength=rows * columns).view(rows, columns)


def matched(assignment: Tensor, target: Tensor) -> Tensor:
    """`assignment` (n,) with its numbers exchanged one to one so that it equals `target` (n,) as often as possible: (n,) int64.

    One optimal match over all items (Kuhn, 1955). Numbers that find no partner (more clusters than classes) become new numbers above those
    of the target. Use it to keep cluster numbers stable from one refresh to the next, and for clustering accuracy.
    """
    from scipy.optimize import linear_sum_assignment

    table = contingency(assignment, target)
    if not table.numel():
        return assignment.long()
    rows, columns = linear_sum_assignment(table.cpu().numpy(), maximize=True)
    renamed = torch.full((table.shape[0],), -1, dtype=torch.int64)
    renamed[torch.as_tensor(rows)] = torch.as_tensor(columns)
    lonely = renamed < 0
    renamed[lonely] = table.shape[1] + torch.arange(int(lonely.sum()))
    return renamed.to(assignment.device)[assignment.long()]
