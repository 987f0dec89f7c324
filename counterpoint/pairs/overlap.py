"""Keys with several values per row: who shares one, and how many."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import UNKNOWN
from counterpoint.core.similarity import Relation


def overlapping(first: Tensor, second: Tensor, weights: str = "any") -> Relation:
    """Edges between rows that share a value: first (n, k), second (m, l) int, −1 = no value; never an n × m matrix.

    weights: "any" 1 per pair; "count" the number of shared values; "share" that over the number of values of both (Jaccard).
    """
    if first.ndim == 1:
        first = first[:, None]
    if second.ndim == 1:
        second = second[:, None]
    if first.is_floating_point() or second.is_floating_point():
        raise RequirementError("a key with several values per row must hold whole numbers, −1 where there is none")
    left, right = _entries(first), _entries(second)
    rows, columns = _join(left, right)
    edges, count = (rows * len(second) + columns).unique(return_counts=True)
    rows, columns = edges // max(len(second), 1), edges % max(len(second), 1)
    if weights == "any":
        return Relation.sparse(rows, columns)
    shared = count.to(torch.float32)
    if weights == "share":
        sizes = [torch.bincount(e[0], minlength=len(k)) for e, k in ((left, first), (right, second))]
        shared = shared / (sizes[0][rows] + sizes[1][columns] - count)
    return Relation.sparse(rows, columns, shared)


def _entries(key: Tensor) -> tuple[Tensor, Tensor]:
    """(row, value) of every known value, once per row."""
    rows = torch.arange(len(key), device=key.device)[:, None].expand_as(key)
    known = key != UNKNOWN
    entries = torch.stack([rows[known], key[known]], dim=1).unique(dim=0)
    return entries[:, 0].contiguous(), entries[:, 1].contiguous()


def _join(left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """All (row of left, row of right) with an equal value."""
    values, order = right[1].sort(stable=True)
    begin, end = torch.searchsorted(values, left[1]), torch.searchsorted(values, left[1], right=True)
    length = end - begin
    which = torch.repeat_interleave(torch.arange(len(length), device=length.device), length)
    offset = torch.arange(len(which), device=which.device) - (length.cumsum(0) - length)[which]
    return left[0][which], right[0][order[begin[which] + offset]]
