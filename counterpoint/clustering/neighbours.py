"""Exact nearest neighbours in tiles: never a matrix of all pairs."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, check

Metric = Literal["cosine", "dot", "euclidean"]


def nearest(
    queries: Tensor,
    reference: Tensor,
    *,
    k: Count,
    metric: Metric = "cosine",
    itself: bool = True,
    tile: Count = 16384,
) -> tuple[Tensor, Tensor]:
    """The k nearest rows of `reference` (m, d) for each of `queries` (n, d): scores (n, k) from best to worst, and indices (n, k) int64.

    A score is the cosine, the inner product, or minus the Euclidean distance: higher is nearer. Exact; extra memory is about
    1024 × `tile` numbers, whatever n and m are. Which of several equally near rows is returned is not defined. Cosine with a zero row is 0.

    k: neighbours of each query, 1 ≤ k ≤ m (m − 1 where `itself` is false).
    metric: "cosine", "dot" or "euclidean".
    itself: false where queries *are* the reference rows and a row must not find itself (row i is then never given for query i).
    tile: reference rows looked at in one go.

    Raises DataError where shapes do not fit or k is larger than the number of rows there are.
    """
    check(k, Count, "nearest: k")
    check(metric, Metric, "nearest: metric")
    if queries.ndim != 2 or reference.ndim != 2 or queries.shape[1] != reference.shape[1]:
        raise DataError(f"queries of shape {tuple(queries.shape)} against {tuple(reference.shape)}; both must be (rows, d) with the same d")
    if not itself and len(queries) != len(reference):
        raise DataError(f"{len(queries)} queries and {len(reference)} rows; itself=False needs the queries to be the rows themselves")
    there = len(reference) - (not itself)
    if k > there:
        raise DataError(f"k = {k} neighbours of {there} rows; k must be at most {there}")
    a, b = (_prepared(x, metric) for x in (queries, reference))
    if metric == "euclidean":  # around zero, float32 keeps more digits of |a|² + |b|² − 2 a·b
        a, b = a - b.mean(0), b - b.mean(0)
    square = (b * b).sum(1) if metric == "euclidean" else None
    rows = max(1, min(1024, 2**24 // min(tile, len(b))))
    scores, indices = a.new_empty(len(a), k), torch.empty(len(a), k, dtype=torch.int64, device=a.device)
    for start in range(0, len(a), rows):
        block = a[start : start + rows]
        best: tuple[Tensor, Tensor] | None = None
        for left in range(0, len(b), tile):
            part = block @ b[left : left + tile].T
            if square is not None:
                part = part.mul_(2).sub_(square[left : left + tile])
            if not itself:
                _hide_diagonal(part, start - left)
            value, index = part.topk(min(k, part.shape[1]), dim=1)
            index = index + left
            if best is not None:
                value, order = torch.cat([best[0], value], 1).topk(min(k, best[0].shape[1] + value.shape[1]), dim=1)
                index = torch.cat([best[1], index], 1).gather(1, order)
            best = value, index
        assert best is not None
        scores[start : start + rows], indices[start : start + rows] = best if square is None else _measured(block, b, best[1])
    return scores, indices


def _prepared(x: Tensor, metric: str) -> Tensor:
    x = x if x.dtype == torch.float64 else x.float()
    return F.normalize(x, dim=1) if metric == "cosine" else x


def _measured(block: Tensor, reference: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the distances to the rows found, from their differences (|a|² + |b|² − 2 a·b is wrong for close rows), in order again."""
    distance = torch.stack([(block - reference[column]).norm(dim=1) for column in index.T], 1)
    value, order = (-distance).sort(1, descending=True)
    return value, index.gather(1, order)


def _hide_diagonal(part: Tensor, offset: int) -> None:
    """Set part[i, i + offset] to −inf where it lies inside."""
    first, last = max(0, -offset), min(part.shape[0], part.shape[1] - offset)
    if first < last:
        i = torch.arange(first, last, device=part.device)
        part[i, i + offset] = -torch.inf
