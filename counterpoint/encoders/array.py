"""Plain arrays: (b, d) or (b, …), flattened; a missing value counts as zero, the mean of a standardised column."""

from __future__ import annotations

import math
from typing import Literal, cast

from torch import Tensor, nn

from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Modality

Norm = Literal["batch", "layer", "none"]


class ResidualMlp(nn.Module):
    """(b, width_in) → (b, width): a matrix, then blocks x + matrix(relu(norm(matrix(relu(norm(x)))))), then a norm."""

    def __init__(self, width_in: int, width: int, blocks: int, dropout: float = 0.0, norm: Norm = "batch") -> None:
        super().__init__()
        made = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm, "none": nn.Identity}[norm]
        self.enter = nn.Linear(width_in, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                made(width),
                nn.ReLU(),
                nn.Linear(width, width, bias=norm == "none"),
                made(width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(width, width),
            )
            for _ in range(blocks)
        )
        self.leave = made(width)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        for block in self.blocks:
            x = x + block(x)
        return cast(Tensor, self.leave(x))


class Mlp(nn.Module):
    """See `mlp`."""

    def __init__(self, width_in: int, width: int, layers: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        self.body = ResidualMlp(width_in, width, layers, dropout, norm)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.body(x.flatten(1).to(self.body.enter.weight.dtype).nan_to_num(nan=0.0)))


def mlp(modality: Modality, *, width: Count = 128, layers: Count = 2, dropout: Share = 0.0, norm: Norm = "batch") -> Mlp:
    """A residual perceptron for vectors of any meaning; items of more axes are flattened.

    width: of the hidden layers and of the output.
    layers: residual blocks, of two matrices each.
    dropout: share of hidden units that are dropped while training.
    norm: between the layers; "none" where a row must not depend on its batch and its distance from the mean must not be lost.
    """
    return Mlp(math.prod(modality.shape), width, layers, dropout, norm)


class Itself(nn.Module):
    """See `itself`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).float()


def itself(modality: Modality) -> Itself:
    """The numbers as they are, for a projector that does all: a table where items are one-hot, a linear map otherwise."""
    return Itself(math.prod(modality.shape))
