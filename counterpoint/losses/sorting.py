"""Contrast by order: positives belong above the nearest negatives, judged by a differentiable sorting network (GroCo, paper 074)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def soft_ranks(values: Tensor, *, low: int, steepness: float = 1.0, present: Tensor | None = None) -> Tensor:
    """Probability (n, m) that each of the m values of a row ends on one of the `low` lowest ranks.

    Odd-even transposition network of m layers, ascending; the comparator of the neighbours (a, b) keeps them in place with
    c = ½ + atan(β (b − a)) / π, so that low = c a + (1 − c) b and high = (1 − c) a + c b (Petersen et al., "Monotonic Differentiable
    Sorting Networks", ICLR 2022). The products of comparators are applied to the indicator of the low ranks from the last layer to the
    first: O(n m²) time, where the permutation matrices would take O(n m³).

    values: (n, m).   low: number of low ranks.   steepness: β > 0.
    present: (n, m) bool; a value that is not there stays on its wire and touches nothing.
    """
    n, m = values.shape
    layers: list[tuple[int, Tensor]] = []
    for layer in range(m):
        offset = layer % 2
        a, b = values[:, offset : m - 1 : 2], values[:, offset + 1 : m : 2]
        keep = 0.5 + torch.atan(steepness * (b - a)) / math.pi
        if present is not None:
            both = present[:, offset : m - 1 : 2] & present[:, offset + 1 : m : 2]
            keep = torch.where(both, keep, torch.ones_like(keep))
        layers.append((offset, keep))
        values = _mix(values, offset, keep)
    chance = torch.zeros(n, m, dtype=values.dtype, device=values.device)
    chance[:, :low] = 1
    for offset, keep in reversed(layers):
        chance = _mix(chance, offset, keep)
    return chance


def _mix(x: Tensor, offset: int, keep: Tensor) -> Tensor:
    """One layer: neighbours (a, b) become (c a + (1 − c) b, (1 − c) a + c b). Its matrix is symmetric, so this is also its transpose."""
    n, m = x.shape
    a, b = x[:, offset : m - 1 : 2], x[:, offset + 1 : m : 2]
    pairs = torch.stack([keep * a + (1 - keep) * b, (1 - keep) * a + keep * b], dim=2).reshape(n, -1)
    return torch.cat([x[:, :offset], pairs, x[:, offset + pairs.shape[1] :]], dim=1)
