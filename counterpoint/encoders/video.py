"""Videos: (b, c, t, h, w), uint8 or floating point in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Modality
from counterpoint.encoders.convolutions import Pixels, Residual, Stages
from counterpoint.encoders.stacking import expect


class SmallCnn(nn.Module):
    """See `small_cnn`."""

    def __init__(self, modality: Modality, channels: tuple[int, ...], stem: int, stride: int, depth: int, dropout: float) -> None:
        super().__init__()
        self.pixels = Pixels(modality)
        # A frame, and how it differs from the one before.
        self.frames = Stages(2, 2 * modality.shape[0], stem, stride, channels, 1)
        self.dropout = nn.Dropout(dropout)
        self.time = nn.Sequential(*(Residual(1, channels[-1], channels[-1], 1) for _ in range(depth)))
        self.width = 2 * channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.pixels(x)
        change = torch.diff(x, dim=2, prepend=x[:, :, :1])
        x = torch.cat([x, change], 1).transpose(1, 2)
        each = self.frames(x.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        rows = self.time(self.dropout(each).unflatten(0, x.shape[:2]).transpose(1, 2))
        return torch.cat([rows.mean(2), rows.amax(2)], 1)


def small_cnn(
    modality: Modality,
    *,
    channels: tuple[Count, ...] = (32, 64, 128),
    stem: Count = 16,
    stride: Count | None = None,
    depth: Count = 2,
    dropout: Share = 0.0,
) -> SmallCnn:
    """A small image network on every frame and its change, residual convolutions over time, mean and maximum over time.

    channels: width of each stage of the image network; each after the first halves the resolution.
    stem: channels of the first convolution.
    stride: of the first convolution; 1 below 12 pixels, 2 below 48 and 4 above where not given.
    depth: residual blocks over time.
    dropout: share of a frame's features that are dropped while training.
    """
    expect(modality, "video", "video.small_cnn")
    side = max(modality.shape[2:])
    return SmallCnn(modality, channels, stem, stride or (1 if side < 12 else 2 if side < 48 else 4), depth, dropout)
