"""Series: (b, c, t) float32, NaN = past the end (ragged) or missing; a padded series gives the same rows as the bare one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Modality
from counterpoint.encoders.stacking import expect


class DilatedBlock(nn.Module):
    """x + conv(gelu(conv(gelu(norm(x))))): two dilated convolutions over (b, t, channels) held as an image of height one."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.first = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        inner = functional.gelu(self.norm(x.transpose(1, 2)).transpose(1, 2)) * valid
        inner = functional.gelu(self.first(inner)) * valid
        return (x + self.dropout(self.second(inner))) * valid


class Dilated(nn.Module):
    """See `dilated`."""

    def __init__(self, modality: Modality, width: int, channels: int, depth: int, stride: int, dropout: float) -> None:
        super().__init__()
        kernel = 2 * stride + 1 if stride > 1 else 7
        self.stride = stride
        # Values and, beside them, which of them are there.
        self.enter = nn.Conv1d(2 * modality.shape[0], channels, kernel, stride, kernel // 2)
        self.blocks = nn.ModuleList(DilatedBlock(channels, 2**i, dropout) for i in range(depth))
        self.leave = nn.Conv1d(channels, (width + 1) // 2, 1)
        self.width = 2 * ((width + 1) // 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.enter.weight.dtype)
        there = ~x.isnan()
        observed = there.any(1)
        # Past the last observation nothing is valid; a gap inside is part of the series. An empty series counts as one gap.
        valid = observed.flip(1).cummax(1).values.flip(1)
        valid[:, 0] = True
        x = torch.cat([x.nan_to_num(nan=0.0), there.to(x.dtype)], 1)
        valid = valid[:, :: self.stride].unsqueeze(1)
        mask = valid.to(x.dtype)
        x = self.enter(x) * mask
        for block in self.blocks:
            x = block(x, mask)
        x = self.leave(x).float()
        mean = (x * mask).sum(2) / mask.sum(2)
        return torch.cat([mean, x.masked_fill(~valid, -torch.inf).amax(2)], 1)


def dilated(
    modality: Modality,
    *,
    width: Count = 256,
    channels: Count = 64,
    depth: Count | None = None,
    stride: Count | None = None,
    dropout: Share = 0.0,
) -> Dilated:
    """Residual convolutions whose dilation doubles from block to block, then mean and maximum over time (in the manner of TS2Vec).

    width: of the output, half of it means, half of it maxima.
    channels: of the convolutions.
    depth: number of blocks; as many as see the whole series, 3 to 7, where not given.
    stride: of the first convolution; so that at most 512 steps remain, where not given.
    dropout: share of units that are dropped while training.
    """
    expect(modality, "series", "series.dilated")
    length = max(modality.shape[1], 1)
    stride = stride or max(1, -(-length // 512))
    reach = length // stride
    depth = depth or min(max(reach.bit_length() - 2, 3), 7)
    return Dilated(modality, width, channels, depth, stride, dropout)
