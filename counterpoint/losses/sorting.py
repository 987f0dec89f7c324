"""Contrast by order: positives belong above the nearest negatives, judged by a differentiable sorting network (GroCo, paper 074)."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from counterpoint.core import similarity
from counterpoint.core.options import Count, Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, guard


def soft_ranks(values: Tensor, *, low: int, steepness: float = 1.0, present: Tensor | None = None) -> Tensor:
    """Probability (n, m) that each of the m values of a row ends on one of the `low` lowest ranks.

    Odd-even transposition network of m layers, ascending; the comparator of the neighbours (a, b) keeps them in place with
    c = ½ + atan(β (b − a)) / π, so that low = c a + (1 − c) b and high = (1 − c) a + c b (Petersen et al., "Monotonic Differentiable
    Sorting Networks", ICLR 2022). The products of comparators are applied to the indicator of the low ranks from the last layer to the
    first: O(n m²) time, where the permutation matrices would take O(n m³).

    values: (n, m).   low: number of low ranks.   steepness: β > 0.
    present: (n, m) bool, one run per row; what is not there stays on its wire, and the rest is sorted as if it were alone.
    """
    n, m = values.shape
    present = torch.ones_like(values, dtype=torch.bool) if present is None else present
    place = torch.arange(m, device=values.device)
    size = present.sum(1, keepdim=True)
    first = present.to(torch.int8).argmax(1, keepdim=True)
    both, odd = present[:, 1:] & present[:, :-1], (place[:-1] - first) % 2
    layers = []
    for layer in range(m):
        active = both & (odd == layer % 2) & (layer < size)
        swap = torch.where(active, 0.5 - torch.atan(steepness * values.diff(dim=1)) / math.pi, 0.0)
        layers.append(swap)
        values = _mix(values, swap)
    chance = (place < low).to(values.dtype).expand(n, m)
    for swap in reversed(layers):
        chance = _mix(chance, swap)
    return chance


def _mix(x: Tensor, swap: Tensor) -> Tensor:
    """One layer: neighbours (a, b) become (c a + (1 − c) b, (1 − c) a + c b), swap = 1 − c. Its matrix is symmetric: its own transpose."""
    moved = swap * x.diff(dim=1)
    return x + pad(moved, (0, 1)) - pad(moved, (1, 0))


def groco(scores: Scores, pairs: Pairs, *, nearest: Count = 10, steepness: Positive | Part = 1.0, detach: bool = True) -> RowLoss:
    """Positives among the high ranks, the nearest negatives among the low ones, (n,): Shvetsova et al., "Learning by Sorting", ICCV 2023.

    An anchor's P positives and n nearest negatives are put in ascending order and sorted softly (`soft_ranks`); π_j is the chance of j
    to end in its own group (ranks below n for negatives). L_i = mean_j −log π_j, the paper's two binary cross-entropies, which are equal.
    Order inside a group is free. Rows without positives or without negatives do not count.
    No chance level: the nearest negatives are chosen by score, so random rows do worse than equal ones.

    nearest: n, negatives per anchor; fewer where there are not as many.
    steepness: β > 0 of the comparators: how much a difference of scores decides; cosines differ by at most 2.
    detach: whether only the anchor gets a gradient, as published; needs scores of rows.
    """
    beta = float(steepness)  # type: ignore[arg-type]
    if detach and scores.dense is None:
        scores = replace(scores, candidates=scores.candidates.detach())
    count = similarity.positive_count(pairs)
    near = similarity.top_k(scores, pairs, max(int(count.max()) if len(count) else 0, 1), over="positives")
    far = similarity.top_k(scores, pairs, nearest, over="negatives")
    # By place, not by score: a NaN is there, and shows. Ascending; what is missing is first among negatives, last among positives.
    here = (near.columns >= 0).flip(1)
    last = (~here).to(torch.int8).argsort(dim=1, stable=True)
    values = torch.cat([far.scores.flip(1), near.scores.flip(1).gather(1, last)], 1)
    there, border = torch.cat([(far.columns >= 0).flip(1), here.gather(1, last)], 1), far.columns.shape[1]
    counted = there[:, :border].any(1) & there[:, border:].any(1)
    below = soft_ranks(guard(values, there), low=border, steepness=beta, present=there)
    right = torch.cat([below[:, :border], 1 - below[:, border:]], 1)
    return finish((-right.clamp(1e-7, 1).log() * there).sum(1) / there.sum(1).clamp(min=1), counted)
