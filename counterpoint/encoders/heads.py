"""Heads: small networks on a row, (n, width_in) -> (n, width), and prototypes."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from counterpoint.core.options import Count
from counterpoint.core.recipe import UNKNOWN, Embeddings, Modality, Progress, Rows

Norm = Literal["batch", "layer", "none"]


class Head(nn.Sequential):
    """A sequence of layers that knows its output width."""

    def __init__(self, width: int, *layers: nn.Module) -> None:
        super().__init__(*layers)
        self.width = width


def linear(width_in: int, *, width: Count = 128, bias: bool = False) -> Head:
    """One matrix, as in CLIP.

    width: of the output.
    bias: whether a constant is added.
    """
    return Head(width, nn.Linear(width_in, width, bias=bias))


def positive(width_in: int, *, width: Count = 16, bias: bool = True) -> Head:
    """One matrix and a softplus: rows without negative entries, such as the factors of a probability.

    width: of the output.
    bias: whether a constant is added before the softplus.
    """
    return Head(width, nn.Linear(width_in, width, bias=bias), nn.Softplus())


def mlp(
    width_in: int,
    *,
    width: Count = 128,
    hidden: Count | None = None,
    layers: Count = 2,
    norm: Norm = "batch",
    last_norm: bool = False,
) -> Head:
    """A perceptron with a normalisation and a ReLU between its layers (SimCLR's projector, BYOL's projector and predictor).

    width: of the output.
    hidden: width between the layers; the input's where not given.
    layers: number of matrices.
    norm: normalisation between the layers.
    last_norm: whether the output is normalised too, without learned scale (SimCLR's, Barlow Twins' and SimSiam's choice).
    """
    found: list[nn.Module] = []
    inner = hidden or width_in
    for _ in range(layers - 1):
        found += [nn.Linear(width_in, inner, bias=norm == "none"), *_norm(norm, inner), nn.ReLU(inplace=True)]
        width_in = inner
    found.append(nn.Linear(width_in, width, bias=not (last_norm and norm != "none")))
    if last_norm:
        found += _norm(norm, width, affine=False)
    return Head(width, *found)


def _norm(norm: Norm, width: int, affine: bool = True) -> list[nn.Module]:
    if norm == "batch":
        return [nn.BatchNorm1d(width, affine=affine)]
    return [nn.LayerNorm(width, elementwise_affine=affine)] if norm == "layer" else []


def prototypes(width: int, *, count: Count = 300) -> Prototypes:
    """Learned unit directions (SwAV, DeepCluster, proxies), emitted as shared rows.

    count: number of prototypes.
    """
    return Prototypes(width, count)


class Prototypes(nn.Module):
    """(count, width) directions of length one; put back to that length after every update."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(functional.normalize(torch.randn(count, width)))

    def forward(self) -> Rows:
        """Rows (count, width) with the keys "prototype" (0 … count-1) and "item" (unknown)."""
        numbers = torch.arange(len(self.weight), device=self.weight.device)
        return Rows(self.weight, {"item": torch.full_like(numbers, UNKNOWN), "prototype": numbers}, shared=True)

    @torch.no_grad()
    def after_update(self, out: Embeddings, now: Progress) -> None:
        self.weight.copy_(functional.normalize(self.weight))


def centres(width: int, *, count: Count = 10) -> Centres:
    """Learned points of any length (deep embedded clustering), emitted as shared rows; clustering.start_centres sets them by k-means.

    count: number of points.
    """
    return Centres(width, count)


class Centres(nn.Module):
    """(count, width) points."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.width = width
        self.weight = nn.Parameter(torch.randn(count, width))

    def forward(self) -> Rows:
        """Rows (count, width) with the keys "prototype" (0 … count-1) and "item" (unknown)."""
        numbers = torch.arange(len(self.weight), device=self.weight.device)
        return Rows(self.weight, {"item": torch.full_like(numbers, UNKNOWN), "prototype": numbers}, shared=True)


def decoder(width_in: int, modality: Modality, *, hidden: tuple[Count, ...] = (64, 256)) -> Head:
    """A perceptron back to the input's numbers, the mirror of a perceptron that encodes.

    hidden: widths between.
    """
    width = math.prod(modality.shape)
    widths = [width_in, *hidden, width]
    layers: list[nn.Module] = []
    for one, two in itertools.pairwise(widths):
        layers += [nn.Linear(one, two), nn.ReLU(inplace=True)]
    return Head(width, *layers[:-1])
