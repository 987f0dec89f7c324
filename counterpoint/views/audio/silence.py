"""What of a wave is there: silence where a shorter wave has ended, its own length and its own level."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from counterpoint.core.errors import DataError


def silent(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """The waves with silence for NaN, and where NaN was: None where there is none, as their sum tells."""
    if x.dim() != 3:
        raise DataError(f"waves of shape {tuple(x.shape)} were given; a batch is (items, channels, samples)")
    return (x, None) if bool(x.sum().isfinite()) else (x.nan_to_num(0.0), x.isnan())


def again(view: Tensor, gap: Tensor | None) -> Tensor:
    """NaN where it was."""
    return view if gap is None else view.masked_fill(gap, float("nan"))


def ends(gap: Tensor) -> Tensor:
    """(b,) int64: places along the last axis of `gap` (b, …, t) up to the last one that is not missing."""
    there = (~gap).flatten(1, -2).any(1)
    return (there * torch.arange(1, gap.shape[-1] + 1, device=gap.device)).amax(1)


def level(clean: Tensor, gap: Tensor | None = None) -> Tensor:
    """(b,) root mean square of what is there."""
    size = torch.linalg.vector_norm(clean, dim=(1, 2))
    if gap is None:
        return size / math.sqrt(clean.shape[1] * clean.shape[2])
    return size / (~gap).sum((1, 2)).clamp(min=1).sqrt()


def pieces(x: Tensor, start: Tensor, length: int) -> Tensor:
    """(b, …, length): of each item what begins at its start along the last axis."""
    return x.unfold(-1, length, 1)[torch.arange(len(x), device=x.device), ..., start, :]
