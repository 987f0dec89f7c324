"""Conformer blocks: attention for what is far, convolution for what is near, half a perceptron on either side (Gulati et al., 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def places(steps: int, width: int, like: Tensor) -> Tensor:
    """(steps, width) sines and cosines of the position, as in the Transformer (Vaswani et al., NeurIPS 2017, section 3.5)."""
    pace = torch.exp(torch.arange(0, width, 2, device=like.device) * (-math.log(10_000.0) / width))
    angle = torch.arange(steps, device=like.device)[:, None] * pace
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)[:, :width].to(like.dtype)


def _half(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(4 * width, width), nn.Dropout(dropout)
    )


class ConformerBlock(nn.Module):
    """(b, t, width) → (b, t, width); steps that are not there (b, t) neither give nor take anything.

    x ← x + ½ perceptron; x ← x + attention; x ← x + depthwise convolution; x ← x + ½ perceptron; norm. Norms are over the width of a
    step, also inside the convolution, so that an item does not depend on its batch.
    """

    def __init__(self, width: int, heads: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = _half(width, dropout), _half(width, dropout)
        self.attend = nn.LayerNorm(width)
        self.both = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.enter = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GLU())
        self.near = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.SiLU(), nn.Linear(width, width), nn.Dropout(dropout))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        b, t, width = x.shape
        x = x + self.before(x) / 2
        q, k, v = self.both(self.attend(x)).view(b, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None, :])
        x = x + self.dropout(self.out(found.transpose(1, 2).reshape(b, t, width)))
        local = self.near((self.enter(x) * there[:, :, None]).transpose(1, 2)).transpose(1, 2)
        x = x + self.leave(local)
        x = x + self.after(x) / 2
        return self.norm(x)  # type: ignore[no-any-return]
