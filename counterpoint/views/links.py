"""Links of a graph: looked through, some of them kept, random numbers for each, neighbours and random steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.views import draw

Graph = Mapping[str, Any]


def edges_of(graph: Graph) -> tuple[Tensor, int]:
    """(2, e) int64 and the number of nodes n, checked: links are whole numbers in 0 … n − 1."""
    edges = graph.get("edge_index")
    if not isinstance(edges, Tensor):
        raise DataError(f'a graph needs "edge_index" of shape (2, edges); this one has {sorted(graph)}')
    if edges.dim() != 2 or len(edges) != 2:
        raise DataError(f'a graph needs "edge_index" of shape (2, edges); it has {tuple(edges.shape)}')
    if edges.dtype not in (torch.int64, torch.int32):
        raise DataError(f'"edge_index" holds whole numbers, int64 or int32; it is {str(edges.dtype).removeprefix("torch.")}')
    edges = edges.long()
    low, high = (int(v) for v in edges.aminmax()) if edges.numel() else (0, -1)
    nodes = next((len(graph[name]) for name in ("x", "batch") if graph.get(name) is not None), high + 1)
    if low < 0 or high >= nodes:
        raise DataError(f'"edge_index" names node {low if low < 0 else high} and there are {nodes} nodes (0 … {nodes - 1})')
    return edges, nodes


def features_of(graph: Graph) -> Tensor:
    """(n, f), refused in words where there are none."""
    x = graph.get("x")
    if not isinstance(x, Tensor) or x.dim() != 2:
        raise DataError(f'the graph has no features "x" (nodes, features) that could change; it has {sorted(graph)}')
    return x


def batch_of(graph: Graph, nodes: int) -> Tensor | None:
    """(n,) int64, the small graph of each node; none where there is one graph."""
    batch = graph.get("batch")
    if batch is None:
        return None
    if batch.shape != (nodes,):
        raise DataError(f'"batch" of shape {tuple(batch.shape)} says the graph of each node, and there are {nodes} nodes')
    found: Tensor = batch.long()
    return found


def kept_edges(graph: Graph, keep: Tensor) -> dict[str, Any]:
    """The graph with the edges of the mask `keep` (e,) only."""
    more = {"edge_weight": graph["edge_weight"][keep]} if graph.get("edge_weight") is not None else {}
    return {**graph, "edge_index": graph["edge_index"][:, keep], **more}


def pair_noise(edges: Tensor, nodes: int, generator: Generator) -> Tensor:
    """(e,) uniform numbers, equal for both directions of an edge: a hash of the unordered pair with a random salt."""
    salt = draw.integers(edges, generator, 1, 1 << 62, 2)
    mixed = torch.minimum(edges[0], edges[1]).mul_(nodes).add_(torch.maximum(edges[0], edges[1])).add_(salt[0])
    for factor in (0x5851F42D4C957F2D, 0x2545F4914F6CDD1D):  # multiply and fold: 64-bit arithmetic that wraps around
        mixed.mul_(factor)
        mixed.bitwise_xor_((mixed >> 32).bitwise_and_(0xFFFFFFFF)).add_(salt[1])
    return (mixed >> 20).bitwise_and_(0xFFFFFF).float().mul_(1.0 / (1 << 24))


def by_graph(batch: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes sorted by their small graph, in random order inside it (n,); the start and the size of each graph."""
    noise = draw.uniform(batch, generator, 0.0, 1.0, len(batch))
    order = noise.argsort()
    sizes = torch.bincount(batch)
    return order[batch[order].argsort(stable=True)], sizes.cumsum(0) - sizes, sizes


class Neighbours(NamedTuple):
    """All in one list, sorted by source: targets (e,), each node's start in it and degree (n,), and, if there are weights, the sum of
    those before each place and of all (e + 1,)."""

    targets: Tensor
    start: Tensor
    degree: Tensor
    heaped: Tensor | None


def neighbours(graph: Graph) -> Neighbours:
    """Links without weight, or below 0, are none."""
    edges, nodes = edges_of(graph)
    weight = graph.get("edge_weight")
    if weight is not None:
        edges, weight = edges[:, weight > 0], weight[weight > 0]
    order = edges[0].argsort()
    heaped = None if weight is None else torch.nn.functional.pad(weight.double()[order].cumsum(0), (1, 0))
    degree = torch.bincount(edges[0], minlength=nodes)
    return Neighbours(edges[1][order], degree.cumsum(0) - degree, degree, heaped)


def walked(at: Tensor, rows: Neighbours, generator: Generator) -> Tensor:
    """One random step from each of the nodes `at`, along a link as likely as its weight says; a node without neighbours stays."""
    if not len(rows.targets):
        return at
    part = draw.uniform(at, generator, 0.0, 1.0, *at.shape).double()
    start, degree = rows.start[at], rows.degree[at]
    if rows.heaped is None:
        place = start + (part * degree).long()
    else:
        low, high = rows.heaped[start], rows.heaped[start + degree]
        place = torch.searchsorted(rows.heaped[1:], low + part * (high - low), right=True).minimum(start + degree - 1)
    reached = rows.targets[place.clamp(0, len(rows.targets) - 1)]
    return torch.where(degree > 0, reached, at)
