"""Skeletons: (b, c, t, joints) coordinates over time; NaN = past the end or not seen."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from counterpoint.core.options import Count, Share, Whole
from counterpoint.core.recipe import Modality
from counterpoint.encoders import series
from counterpoint.encoders.stacking import expect


class Joints(nn.Module):
    """See `dilated`."""

    def __init__(self, modality: Modality, root: int, width: int, channels: int, dropout: float) -> None:
        super().__init__()
        axes, length, joints = modality.shape
        flat = Modality("series", (2 * axes * joints + axes, length))
        self.root = root
        self.body = series.dilated(flat, width=width, channels=channels, dropout=dropout)
        self.width = self.body.width

    def forward(self, x: Tensor) -> Tensor:
        path = x[..., self.root]
        posture = x - path.unsqueeze(3)
        # The posture about the root, how every joint moves, and how the root moves.
        motion = torch.diff(x, dim=2, prepend=x[:, :, :1])
        walk = torch.diff(path, dim=2, prepend=path[:, :, :1])
        flat = [posture.transpose(2, 3).flatten(1, 2), motion.transpose(2, 3).flatten(1, 2), walk]
        return cast(Tensor, self.body(torch.cat(flat, 1)))


def dilated(modality: Modality, *, root: Whole = 0, width: Count = 256, channels: Count = 64, dropout: Share = 0.0) -> Joints:
    """Posture about a root joint and its motion as a series of many channels, under dilated convolutions.

    root: number of the joint that the others are seen from.
    width: of the output, half of it means over time, half of it maxima.
    channels: of the convolutions.
    dropout: share of units that are dropped while training.
    """
    expect(modality, "skeleton", "skeleton.dilated")
    return Joints(modality, root, width, channels, dropout)
