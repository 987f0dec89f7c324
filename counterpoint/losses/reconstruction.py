"""How far a prediction is from what it predicts, row by row: the loss of decoders."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from counterpoint.core.recipe import RowLoss
from counterpoint.losses.rows import aligned, full_precision


def reconstruction(first: Tensor, second: Tensor, *, measure: Literal["absolute", "square"] = "absolute") -> RowLoss:
    """L_i = mean_k |a_ik − b_ik|, or of its square, over the known entries of row i; first (n, d) predicts second (n, d).

    Second is what is predicted and gets no gradient; its NaN are unknown, and a row without a known entry does not count.

    measure: the absolute difference (SpecCLIP, paper 091), which forgives outliers, or the square.
    """
    aligned("reconstruction", first, second)
    a, b = full_precision(first, second.detach())
    known = ~b.isnan()
    gap = torch.where(known, a - b, 0.0)
    size = known.sum(1)
    values = (gap.abs() if measure == "absolute" else gap.square()).sum(1) / size.clamp(min=1)
    return RowLoss(values, size > 0, None)
