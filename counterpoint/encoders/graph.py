"""Graphs: a backbone takes a Graph (all nodes that are there, and which of them are items) and returns the rows of its items."""

from __future__ import annotations

import itertools
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from counterpoint.core.errors import OptionError, RequirementError, nearest, need
from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Graph, Modality
from counterpoint.encoders.stacking import expect

_matrices: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # links → their normalised matrices, which a graph has at every step


def adjacency(edges: Tensor, nodes: int, weights: Tensor | None = None, *, loops: bool = True) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 as a sparse (n, n) float32 matrix, A given as (2, e) node numbers from, to; rows are targets.

    weights: (e,) of the links, 1 where none.
    loops: whether I is added; without, a node without links has a row of zeros.
    """
    known = _matrices.setdefault(edges, {}) if weights is None else {}
    if (nodes, loops) not in known:
        source, target = edges.long()
        each = torch.ones(len(target), device=edges.device) if weights is None else weights.float()
        if loops:
            own = torch.arange(nodes, device=edges.device)
            source, target, each = torch.cat([source, own]), torch.cat([target, own]), torch.cat([each, each.new_ones(nodes)])
        degree = torch.zeros(nodes, device=edges.device).index_add_(0, target, each)
        scale = degree.clamp(min=1e-12).rsqrt()
        values = scale[source] * scale[target] * each
        made = torch.sparse_coo_tensor(torch.stack([target, source]), values, (nodes, nodes), check_invariants=False)
        known[nodes, loops] = made.coalesce()
    return known[nodes, loops]  # type: ignore[no-any-return]


def propagate(x: Tensor, edges: Tensor, weights: Tensor | None = None) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 x in float32, with A given as (2, e) node numbers from, to (Kipf and Welling, ICLR 2017, eq. 2).

    weights: (e,) of the links, 1 where none.
    """
    with torch.autocast(x.device.type, enabled=False):
        return torch.sparse.mm(adjacency(edges, len(x), weights), x.float())


def _spread(x: Tensor, graph: Graph) -> Tensor:
    """One propagation over what the view made of the graph: its links, or the factors of a low rank, one after the other."""
    if "factors" in graph.parts:
        left, right = graph.parts["factors"]
        return cast(Tensor, left @ (right.T @ x.float()))
    return propagate(x, graph.parts["edge_index"], graph.parts.get("edge_weight"))


def _checked(graph: Any) -> Graph:
    if not isinstance(graph, Graph):
        raise RequirementError(f"graph encoders read a Graph, as a data set of the kind graph gives it, and not {type(graph).__name__}")
    return graph


class Gcn(nn.Module):
    """See `gcn`."""

    def __init__(self, modality: Modality, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        widths = [modality.shape[-1], *[width] * layers]
        self.layers = nn.ModuleList(nn.Linear(one, two) for one, two in itertools.pairwise(widths))
        self.dropout = nn.Dropout(dropout)
        self.width = width

    def forward(self, graph: Graph) -> Tensor:
        x = _checked(graph).parts["x"].to(cast(nn.Linear, self.layers[0]).weight.dtype)
        for number, layer in enumerate(self.layers):
            x = functional.relu(x) if number else x
            x = layer(self.dropout(x))
            x = _spread(x, graph)
        return x[graph.rows]


def gcn(modality: Modality, *, width: Count = 128, layers: Count = 2, dropout: Share = 0.0) -> Gcn:
    """A graph convolutional network on nodes.

    width: of the hidden layers and of the output.
    layers: number of propagations.
    dropout: share of features that are dropped while training.
    """
    expect(modality, "graph", "graph.gcn")
    return Gcn(modality, width, layers, dropout)


class Mlp(nn.Module):
    """See `mlp`."""

    def __init__(self, modality: Modality, hidden: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(one, two) for one, two in itertools.pairwise([modality.shape[-1], *hidden, width]))
        self.width = width

    def forward(self, graph: Graph) -> Tensor:
        x = _checked(graph).x.to(cast(nn.Linear, self.layers[0]).weight.dtype)
        for number, layer in enumerate(self.layers):
            x = layer(functional.relu(x) if number else x)
        return x


def mlp(modality: Modality, *, hidden: tuple[Count, ...] = (256,), width: Count = 128) -> Mlp:
    """A perceptron on a node's own features, which never looks at the links: fast, and able to embed a node without its graph.

    hidden: widths between input and output.
    width: of the output.
    """
    expect(modality, "graph", "graph.mlp")
    return Mlp(modality, hidden, width)


class Geometric(nn.Module):
    """See `geometric`."""

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.model = model
        self.width = width

    def forward(self, graph: Graph) -> Tensor:
        rows = self.model(_checked(graph).parts["x"], graph.parts["edge_index"].long(), edge_weight=graph.parts.get("edge_weight"))
        return cast(Tensor, rows)[graph.rows]


def geometric(modality: Modality, *, name: str = "GIN", width: Count = 128, layers: Count = 2, dropout: Share = 0.0) -> Geometric:
    """A network of torch-geometric on nodes. Weights of links are read by GCN alone.

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
