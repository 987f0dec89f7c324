"""What a decoder reproduces: an observation as a standardised row of bounded width, whatever its kind."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.core.recipe import Modality
from counterpoint.encoders.audio import LogMel

_DENSE = ("array", "series", "image", "video", "volume", "audio")


def standardised(modality: Modality, *, most: Count = 1024) -> Standardised:
    """(b, …) -> (b, width): the observation, pooled to at most `most` numbers, at mean 0 and deviation 1, beside asinh of its mean and the
    logarithm of its deviation, which standardising takes away (SpecCLIP, paper 091, keeps the deviation as a token of its own).

    Sounds become log-mel bands first; bytes are taken as fractions of 255. NaN are unknown and stay NaN where a whole cell is unknown. A
    constant observation is 0 with the smallest deviation. Kinds without a grid of numbers (text, graphs, tables …) are refused.

    most: numbers that are kept.
    """
    if modality.kind not in _DENSE:
        raise RequirementError(f"{modality.kind} data have no grid of numbers to reproduce; these have: {', '.join(_DENSE)}")
    return Standardised(modality, most)


class Standardised(nn.Module):
    """See `standardised`. Holds no parameters."""

    def __init__(self, modality: Modality, most: int) -> None:
        super().__init__()
        shape = tuple(modality.shape)
        self.mel: LogMel | None = None
        if modality.kind == "audio":
            rate = float(modality.info.get("rate", 16000))
            side = max(int(math.sqrt(most)), 1)
            self.mel = LogMel(rate, shape[-1], side, 0.032, max(0.01, shape[-1] / rate / side))
            shape = (1, side, side)
        channels, grid = (shape[0], shape[1:]) if len(shape) > 1 else (1, shape)
        shrink = min(1.0, (most / (channels * math.prod(grid))) ** (1 / len(grid))) if modality.kind != "array" else 1.0
        self.grid = tuple(max(int(n * shrink), 1) for n in grid)
        self.width = channels * math.prod(self.grid) + 2

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        x = x.float() / 255 if not x.is_floating_point() else x.float()
        if self.mel is not None:
            x = self.mel(x)
        x = x.unsqueeze(1) if x.dim() == 2 else x
        known = ~x.isnan()
        share = self._pool(known.float())
        values = (self._pool(x.nan_to_num()) / share.clamp(min=1e-6)).flatten(1)
        there = share.flatten(1) > 0
        count = there.sum(1, keepdim=True).clamp(min=1)
        mean = (values * there).sum(1, keepdim=True) / count
        spread = (((values - mean) * there).square().sum(1, keepdim=True) / count).sqrt()
        # rounding of a constant observation is no deviation
        level = torch.where(spread > 1e-5 * mean.abs(), spread, 0.0)
        scaled = torch.where(level > 0, (values - mean) / level.clamp(min=1e-12), 0.0)
        scaled = torch.where(there, scaled, math.nan)
        return torch.cat([scaled, mean.asinh(), (level + 1e-6).log()], dim=1)

    def _pool(self, x: Tensor) -> Tensor:
        if tuple(x.shape[2:]) == self.grid:
            return x
        pool = {1: functional.adaptive_avg_pool1d, 2: functional.adaptive_avg_pool2d, 3: functional.adaptive_avg_pool3d}[len(self.grid)]
        return pool(x, self.grid if len(self.grid) > 1 else self.grid[0])  # type: ignore[arg-type]
