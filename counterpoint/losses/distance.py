"""Rows of an item near each other, as a squared distance; what keeps them from meeting in one point stands in `terms.uniformity`."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.losses.rows import aligned, full_precision, no_autocast


def squared_distance(first: Tensor, second: Tensor, *, temperature: Positive | Part = 0.5) -> RowLoss:
    """L_i = |a_i − b_i|² / (2 τ) of aligned rows (n, d), (n,): the alignment of Wang and Isola (ICML 2020) under a Gaussian kernel.

    Neither side is normalised here. Chance (independent rows of unit variance): d / τ.

    temperature: τ > 0, the kernel's variance; may move over the run.
    """
    aligned("squared_distance", first, second)
    with no_autocast(first):
        a, b = full_precision(first, second)
        values = (a - b).square().sum(1) / (2 * float(temperature))  # type: ignore[arg-type]
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), a.shape[1] / float(temperature))  # type: ignore[arg-type]
