"""Graphs: node features (n, d) and the field "edge_index" (2, e) beside them, of the view or of the batch's tables."""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, nearest, need
from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Modality
from counterpoint.encoders.stacking import expect


def propagate(x: Tensor, edges: Tensor) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 x, with A given as (2, e) node numbers from, to (Kipf and Welling, ICLR 2017, eq. 2)."""
    source, target = edges.long()
    degree = torch.ones(len(x), dtype=x.dtype, device=x.device).index_add_(0, target, torch.ones_like(target, dtype=x.dtype))
    scale = degree.rsqrt()
    weight = (scale[source] * scale[target]).unsqueeze(1)
    return torch.index_add(x * scale.square().unsqueeze(1), 0, target, x[source] * weight)


class Gcn(nn.Module):
    """See `gcn`."""

    extra_fields = ("edge_index",)

    def __init__(self, modality: Modality, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [modality.shape[-1], *[width] * layers]
        self.layers = nn.ModuleList(nn.Linear(one, two) for one, two in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.width = width

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = x.to(cast(nn.Linear, self.layers[0]).weight.dtype)
        for number, layer in enumerate(self.layers):
            x = functional.relu(x) if number else x
            x = layer(self.dropout(x))
            x = propagate(x.float(), edge_index)
        return x


def gcn(modality: Modality, *, width: Count = 128, layers: Count = 2, dropout: Share = 0.0) -> Gcn:
    """A graph convolutional network on nodes.

    width: of the hidden layers and of the output.
    layers: number of propagations.
    dropout: share of features that are dropped while training.
    """
    expect(modality, "graph", "graph.gcn")
    return Gcn(modality, width, layers, dropout)


class Geometric(nn.Module):
    """See `geometric`."""

    extra_fields = ("edge_index",)

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.model = model
        self.width = width

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return cast(Tensor, self.model(x, edge_index.long()))


def geometric(modality: Modality, *, name: str = "GIN", width: Count = 128, layers: Count = 2, dropout: Share = 0.0) -> Geometric:
    """A network of torch-geometric on nodes.

    name: GCN, GraphSAGE, GIN, GAT or EdgeCNN.
    width: of the hidden layers and of the output.
    layers: number of propagations.
    dropout: share of features that are dropped while training.
    """
    expect(modality, "graph", "graph.geometric")
    models = need("torch_geometric.nn.models", "graph")
    names = ("GCN", "GraphSAGE", "GIN", "GAT", "EdgeCNN")
    if name not in names:
        raise OptionError(f"graph.geometric: name = {name!r} is not known{nearest(name, names)}")
    return Geometric(getattr(models, name)(modality.shape[-1], width, layers, dropout=dropout), width)
