"""Series: (b, c, t) float32, NaN = past the end (ragged) or missing; a padded series gives the same rows as the bare one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Modality
from counterpoint.encoders.stacking import expect


class DilatedBlock(nn.Module):
    """(x + conv(gelu(conv(gelu(norm(x)))))) · mask with dilated convolutions, over (b, channels, 1, t).

    A series lies in memory as an image of height one with channels last: the norm over channels needs no copy, and the convolution is
    half as long again as fast on a CPU as the one of one axis.
    """

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.first = nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation))
        self.second = nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = functional.gelu(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)) * mask
        inner = functional.gelu(self.first(inner)) * mask
        return (x + self.dropout(self.second(inner))) * mask


class Dilated(nn.Module):
    """See `dilated`."""

    def __init__(self, modality: Modality, width: int, channels: int, depth: int, stride: int, dropout: float) -> None:
        super().__init__()
        kernel = 2 * stride + 1 if stride > 1 else 7
        self.stride = stride
        # Values and, beside them, which of them are there.
        self.enter = nn.Conv2d(2 * modality.shape[0], channels, (1, kernel), (1, stride), (0, kernel // 2))
        self.blocks = nn.ModuleList(DilatedBlock(channels, 2**i, dropout) for i in range(depth))
        self.leave = nn.Conv2d(channels, (width + 1) // 2, 1)
        self.token_width = (width + 1) // 2
        self.width = 2 * self.token_width

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(*self.tokens(x))

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(b, t', width / 2) a vector for every `stride` steps, and (b, t') which of them are there."""
        x = x.to(self.enter.weight.dtype)
        there = ~x.isnan()
        observed = there.any(1)
        # Past the last observation nothing is valid; a gap inside is part of the series. An empty series counts as one gap.
        valid = observed.flip(1).cummax(1).values.flip(1)
        valid[:, 0] = True
        valid = valid[:, None, None, :: self.stride]
        mask = valid.to(x.dtype)
        x = torch.cat([x.nan_to_num(nan=0.0), there.to(x.dtype)], 1).unsqueeze(2)
        x = self.enter(x.contiguous(memory_format=torch.channels_last)) * mask
        for block in self.blocks:
            x = block(x, mask)
        return self.leave(x).float().squeeze(2).transpose(1, 2), valid[:, 0, 0]

    def pool(self, tokens: Tensor, there: Tensor) -> Tensor:
        """(b, width): mean and maximum of the tokens that are there."""
        mask = there[:, :, None]
        mean = (tokens * mask).sum(1) / mask.sum(1)
        return torch.cat([mean, tokens.masked_fill(~mask, -torch.inf).amax(1)], 1)


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
    depth: number of blocks; as many as see the whole series, 3 to 6, where not given.
    stride: of the first convolution; so that at most 256 steps remain, where not given.
    dropout: share of units that are dropped while training.
    """
    expect(modality, "series", "series.dilated")
    length = max(modality.shape[1], 1)
    stride = stride or max(1, -(-length // 256))
    reach = length // stride
    depth = depth or min(max(reach.bit_length() - 2, 3), 6)
    return Dilated(modality, width, channels, depth, stride, dropout)
