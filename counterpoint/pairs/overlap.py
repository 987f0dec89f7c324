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
    one, two = join(left[1], right[1])
    rows, columns = left[0][one], right[0][two]
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


def join(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """All positions (in left (n,), in right (m,)) with an equal value."""
    values, order = right.sort(stable=True)
    which, place = ranges(torch.searchsorted(values, left), torch.searchsorted(values, left, right=True))
    return which, order[place]


def ranges(begin: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """All (i, p) with begin_i ≤ p < end_i."""
    length = end - begin
    which = torch.repeat_interleave(torch.arange(len(length), device=length.device), length)
    offset = torch.arange(len(which), device=which.device) - (length.cumsum(0) - length)[which]
    return which, begin[which] + offset
