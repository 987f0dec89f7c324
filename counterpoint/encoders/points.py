"""Points: (b, c, n), the first three channels coordinates; NaN = no such point."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from counterpoint.core.options import Count
from counterpoint.core.recipe import Modality
from counterpoint.encoders.stacking import expect


class PointNet(nn.Module):
    """See `pointnet`."""

    def __init__(self, modality: Modality, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = modality.shape[0]
        for wide in channels:
            layers += [nn.Linear(width, wide, bias=False), nn.LayerNorm(wide), nn.ReLU()]
            width = wide
        self.each = nn.Sequential(*layers)
        self.width = 2 * width

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(cast(nn.Linear, self.each[0]).weight.dtype)
        there = ~x.isnan().any(1)
        there[:, 0] |= ~there.any(1)
        weight = there.unsqueeze(1).to(x.dtype)
        x = x.nan_to_num(nan=0.0) * weight
        count = weight.sum(2, keepdim=True)
        # Centre of mass at the origin, mean distance from it 1: where and how large the cloud is says nothing of its form.
        place = (x[:, :3] - x[:, :3].sum(2, keepdim=True) / count) * weight
        size = (place.square().sum(1, keepdim=True).sqrt().sum(2, keepdim=True) / count).clamp(min=1e-6)
        rows = self.each(torch.cat([place / size, x[:, 3:]], 1).transpose(1, 2)).float()
        mean = (rows * weight.transpose(1, 2)).sum(1) / count.squeeze(2)
        return torch.cat([mean, rows.masked_fill(~there.unsqueeze(2), -torch.inf).amax(1)], 1)


def pointnet(modality: Modality, *, channels: tuple[Count, ...] = (64, 128, 256)) -> PointNet:
    """A perceptron on every point, then mean and maximum over points, so that their order does not matter (Qi et al., CVPR 2017).

    channels: widths of the perceptron's layers; the output is twice the last.
    """
    expect(modality, "points", "points.pointnet")
    return PointNet(modality, channels)
