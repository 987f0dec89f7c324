"""Groups of a graph, and the graph of nearest neighbours."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.clustering.neighbours import Metric, nearest
from counterpoint.core.errors import DataError, need
from counterpoint.core.options import Count, Positive, Whole, check


def neighbour_graph(x: Tensor, *, k: Count = 15, metric: Metric = "cosine") -> tuple[Tensor, Tensor]:
    """Edges (2, m) int64 and weights (m,) > 0 between rows of x (n, d) that are among each other's k nearest, from one side at least.

    The weight is 1 where both rows find each other and ½ where only one does. Each edge is given once, first < second.

    k: neighbours of a row, 1 ≤ k < n.
    metric: "cosine", "dot" or "euclidean".
    """
    _, index = nearest(x, x, k=k, metric=metric, itself=False)
    n = len(x)
    row = torch.arange(n, device=index.device)[:, None].expand_as(index)
    key = torch.minimum(row, index) * n + torch.maximum(row, index)
    unique, count = torch.unique(key, return_counts=True)
    return torch.stack([unique // n, unique % n]), count.float() / 2


def communities(edges: Tensor, *, items: Count, weights: Tensor | None = None, resolution: Positive = 1.0, seed: Whole = 0) -> Tensor:
    """Louvain communities of an undirected graph: edges (2, m) int64 → the community of each item (items,) int64, 0 = the largest.

    Blondel et al., "Fast unfolding of communities in large networks", J. Stat. Mech. 2008; implementation: networkx (extra `graph`).
    An item without edges is a community of its own.

    items: number of nodes n; edges hold numbers 0 … n − 1.
    weights: (m,) positive weights of the edges; None = all 1.
    resolution: > 0; more gives more and smaller communities.
    seed: order in which nodes are visited.
    """
    check(items, Count, "communities: items")
    check(resolution, Positive, "communities: resolution")
    networkx = need("networkx", extra="graph")
    if edges.ndim != 2 or edges.shape[0] != 2:
        raise DataError(f"communities: edges of shape {tuple(edges.shape)}; they must be (2, m)")
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < items:
        raise DataError(f"communities: edges name items {int(edges.min())} … {int(edges.max())}; there are 0 … {items - 1}")
    weight = torch.ones(edges.shape[1]) if weights is None else weights
    if weight.shape != (edges.shape[1],) or not bool((weight > 0).all()):
        raise DataError(f"communities: {tuple(weight.shape)} weights for {edges.shape[1]} edges; one positive number each is needed")
    graph = networkx.Graph()
    graph.add_nodes_from(range(items))
    graph.add_weighted_edges_from(zip(*edges.tolist(), weight.tolist()))
    found = networkx.community.louvain_communities(graph, resolution=resolution, seed=seed)
    result = torch.empty(items, dtype=torch.int64)
    for number, members in enumerate(sorted(found, key=lambda group: (-len(group), min(group)))):
        result[list(members)] = number
    return result
