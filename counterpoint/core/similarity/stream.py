"""What is found by going through the tiles without a gradient: sums of weights that have no closed form, and the best candidates."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.similarity.plan import plan_of
from counterpoint.core.similarity.relation import Relation
from counterpoint.core.similarity.roads import tiles_of
from counterpoint.core.similarity.scores import Scores

_NEVER = 1e38  # the score of who is no candidate
STRIPE = 1 << 20  # weights at a time


def stream_mass(relation: Relation, shape: tuple[int, int], device: torch.device, indicator: bool) -> Tensor:
    """Σ_j w_ij, or the number of w_ij > 0, (n,) float64."""
    n, m = shape
    step = max(STRIPE // max(m, 1), 1)
    columns = torch.arange(m, device=device)[None, :]
    sums = torch.zeros(n, dtype=torch.float64, device=device)  # made first: small parts between large ones would leave the memory in pieces
    for r0 in range(0, n, step):
        W = relation.at(torch.arange(r0, min(r0 + step, n), device=device)[:, None], columns)
        torch.sum((W > 0) if indicator else W, 1, dtype=torch.float64, out=sums[r0 : r0 + len(W)])
    return sums


def top_columns(scores: Scores, relation: Relation, k: int, largest: bool) -> Tensor:
    """The columns (n, k) of the best scores, −1 where a row has fewer."""
    plan = plan_of(relation, scores.shape, scores.device, False)
    tiles = tiles_of(scores, plan)
    scratch = tiles.scratch()
    worst = -_NEVER if largest else _NEVER
    n = scores.shape[0]
    best, where = (torch.full((n, k), fill, dtype=kind, device=scores.device) for fill, kind in ((worst, tiles.A.dtype), (-1, torch.int64)))
    for r0, r1, cells in plan.stripes:
        left = tiles.left(r0, r1)
        for cell in cells:
            S = tiles.scores(left, cell)
            plan.mask(cell, S, worst, scratch)
            found, column = S.topk(min(k, cell.c1 - cell.c0), 1, largest=largest)
            merged, places = torch.cat([best[r0:r1], found], 1), torch.cat([where[r0:r1], column + cell.c0], 1)
            best[r0:r1], order = merged.topk(k, 1, largest=largest)
            where[r0:r1] = places.gather(1, order)
    where = where.masked_fill(best.abs() >= 0.5 * _NEVER, -1)
    if plan.column_order is not None:
        where = torch.where(where < 0, where, plan.column_order[where.clamp(min=0)])
    if plan.row_order is None:
        return where
    out = torch.empty_like(where)
    out[plan.row_order] = where
    return out
