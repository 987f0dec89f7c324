"""Volumes: (b, c, d, h, w), uint8 or floating point in [0, 1]."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from counterpoint.core.options import Count
from counterpoint.core.recipe import Modality
from counterpoint.encoders.convolutions import Pixels, Stages
from counterpoint.encoders.stacking import expect


class SmallCnn(nn.Module):
    """See `small_cnn`."""

    def __init__(self, modality: Modality, channels: tuple[int, ...], depth: int, stem: int, stride: int) -> None:
        super().__init__()
        self.voxels = Pixels(modality)
        self.stages = Stages(3, modality.shape[0], stem, stride, channels, depth)
        self.width = self.stages.width

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.stages(self.voxels(x)))


def small_cnn(
    modality: Modality,
    *,
    channels: tuple[Count, ...] = (32, 64, 128),
    depth: Count = 1,
    stem: Count = 16,
    stride: Count | None = None,
) -> SmallCnn:
    """A compact residual network over three axes, for volumes of about 16 to 64 voxels a side.

    channels: width of each stage; each after the first halves the resolution.
    depth: residual blocks in a stage.
    stem: channels of the first convolution.
    stride: of the first convolution; 1 below 12 voxels, 2 below 48 and 4 above where not given.
    """
    expect(modality, "volume", "volume.small_cnn")
    side = max(modality.shape[1:])
    return SmallCnn(modality, channels, depth, stem, stride or (1 if side < 12 else 2 if side < 48 else 4))
