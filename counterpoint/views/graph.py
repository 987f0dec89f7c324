"""Views of graphs: one large graph, or many small ones laid side by side. Memory and time are linear in nodes and edges.

A graph is a mapping {"x": (n, f) features, "edge_index": (2, e) int64 or int32, "edge_weight": (e,) optional, "batch": (n,) the small graph
that each node is in, optional}. A view is a new mapping of the same form over the same n nodes, so that rows of two views match;
nodes that are left out lose their edges and their features and are marked in the key "kept". Keys are per node, (n,).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Generator, Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from counterpoint.core.options import Count, Part, Share
from counterpoint.core.recipe import Graph as Nodes
from counterpoint.views import draw, masking
from counterpoint.views.links import Graph, batch_of, by_graph, edges_of, features_of, kept_edges, neighbours, pair_noise, walked

Keys = dict[str, Tensor]


def applied(transform: Part, x: Any, generator: Generator) -> tuple[Any, Keys]:
    """The transform of a field of a batch, whatever its kind. Of nodes in their graph the whole graph is transformed, and of what was
    done with each node the items' part is kept."""
    if not isinstance(x, Nodes):
        made, done = transform(x, generator)
        return made, done
    made, done = transform(x.parts, generator)
    return replace(x, parts=made), {name: values[x.rows] for name, values in done.items()}


def drop_edges(graph: Graph, generator: Generator, *, share: Share = 0.3, undirected: bool = True) -> tuple[dict[str, Any], Keys]:
    """Edges left out (GRACE, Zhu et al. 2020).

    share: probability of each edge.
    undirected: both directions of an edge are left out together.
    """
    edges, nodes = edges_of(graph)
    noise = pair_noise(edges, nodes, generator) if undirected else draw.uniform(edges, generator, 0.0, 1.0, edges.shape[1])
    return kept_edges(graph, noise >= share), {}


def add_edges(graph: Graph, generator: Generator, *, share: Share = 0.1, undirected: bool = True) -> tuple[dict[str, Any], Keys]:
    """Edges between nodes drawn at random, inside the same small graph where there are several.

    share: number of new edges over that of old ones.
    undirected: each new edge is added in both directions.
    """
    edges, nodes = edges_of(graph)
    count = round(edges.shape[1] * share / (2 if undirected else 1))
    first = draw.integers(edges, generator, 0, max(nodes, 1), count)
    batch = batch_of(graph, nodes)
    if batch is None:
        second = draw.integers(edges, generator, 0, max(nodes, 1), count)
    else:
        order, starts, sizes = by_graph(batch, generator)
        of = batch[first]
        second = order[starts[of] + (draw.uniform(edges, generator, 0.0, 1.0, count) * sizes[of]).long()]
    made = torch.stack([first, second])[:, first != second]
    made = torch.cat([made, made.flip(0)], 1) if undirected else made
    view = {**graph, "edge_index": torch.cat([edges, made], 1)}
    if graph.get("edge_weight") is not None:
        view["edge_weight"] = torch.cat([graph["edge_weight"], graph["edge_weight"].new_ones(made.shape[1])])
    return view, {}


def mask_features(
    graph: Graph, generator: Generator, *, share: Share = 0.3, by: Literal["column", "value"] = "column"
) -> tuple[dict[str, Any], Keys]:
    """Features set to 0.

    share: share of what is hidden.
    by: whole columns, the same for all nodes of a graph (GRACE), drawn anew for each of several small ones; or single values of each node.
    """
    x = graph if isinstance(graph, Tensor) else features_of(graph)
    batch = None if isinstance(graph, Tensor) or by == "value" else batch_of(graph, len(x))
    count = len(x) if by == "value" else 1 if batch is None else int(batch.max()) + 1 if len(batch) else 0
    hidden = masking.mask(torch.ones(count, x.shape[1], dtype=torch.bool, device=x.device), generator, share=share)
    view = x.masked_fill(hidden if batch is None else hidden[batch], 0.0)
    return view if isinstance(graph, Tensor) else {**graph, "x": view}, {}


def _without(graph: Graph, kept: Tensor) -> tuple[dict[str, Any], Keys]:
    edges, _ = edges_of(graph)
    view = kept_edges(graph, kept[edges[0]] & kept[edges[1]])
    if "x" in graph:
        view["x"] = torch.where(kept[:, None], graph["x"], 0.0)
    return view, {"kept": kept}


def drop_nodes(graph: Graph, generator: Generator, *, share: Share = 0.2) -> tuple[dict[str, Any], Keys]:
    """Nodes left out: their edges go, their features are 0.

    share: probability of each node.
    """
    edges, nodes = edges_of(graph)
    return _without(graph, ~draw.chance(edges, generator, share, nodes))


def subgraph(graph: Graph, generator: Generator, *, roots: Share = 0.2, steps: Count = 10) -> tuple[dict[str, Any], Keys]:
    """The nodes that random walks, along links as likely as their weights, come by (GraphCL, You et al. 2020); the others are left out.

    In one graph each walk begins at a node of its own. Of several small ones ("batch") all walks of a graph begin at one of its nodes, so
    that a connected part of every graph stays; along links both ways, that is, as molecules have them.

    roots: walks over nodes; one at least, of several small graphs one in each.
    steps: length of a walk.
    """
    edges, nodes = edges_of(graph)
    rows, batch = neighbours(graph), batch_of(graph, nodes)
    if batch is None:
        at = draw.orders(edges, generator, 1, nodes)[0, : max(1, round(nodes * roots))]
    else:
        order, starts, sizes = by_graph(batch, generator)
        there = sizes > 0
        at = order[starts[there]].repeat_interleave((sizes[there] * roots).round().long().clamp(min=1))
    kept = torch.zeros(nodes, dtype=torch.bool, device=edges.device)
    kept[at] = True
    for _ in range(steps):
        at = walked(at, rows, generator)
        kept[at] = True
    return _without(graph, kept)


def diffuse(
    graph: Graph, generator: Generator, *, alpha: Share = 0.15, walks: Count = 32, steps: Count = 20, least: Share = 0.05
) -> tuple[dict[str, Any], Keys]:
    """The edges of personalised PageRank instead of the graph's own (MVGRL, Hassani and Khasahmadi 2020).

    Estimated by random walks that stop with probability alpha: the share of a node's walks that end at another is the weight of the
    edge between them. Standard error √(p(1 − p) / walks). No n × n matrix is ever made. A walk takes a link as likely as its weight.

    alpha: probability that a walk stops before each step.
    walks: walks from each node.
    steps: longest walk; (1 − alpha)^steps of them are cut.
    least: edges with less weight are left out.
    """
    edges, nodes = edges_of(graph)
    rows = neighbours(graph)
    source = torch.arange(nodes, device=edges.device).repeat_interleave(walks)
    at, going = source.clone(), torch.arange(len(source), device=edges.device)
    for _ in range(steps):
        going = going[~draw.chance(edges, generator, alpha, len(going))]
        at[going] = walked(at[going], rows, generator)
    pairs, counts = (source * nodes + at).unique(return_counts=True)
    weight = counts / walks
    strong = weight >= least
    index = torch.stack([pairs // nodes, pairs % nodes])[:, strong]
    return {**graph, "edge_index": index, "edge_weight": weight[strong]}, {}


_factors: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # links → decompositions that do not change over a run


def low_rank(graph: Graph, generator: Generator, *, rank: Count = 8, passes: Count = 2, fixed: bool = False) -> tuple[dict[str, Any], Keys]:
    """The graph seen through the leading singular vectors of its normalised adjacency (LightGCL, Cai et al. 2023).

    Randomised range finder (Halko et al. 2011). The view has, beside what was there, "factors": (u · s (n, r), v (n, r)) with
    D^-1/2 A D^-1/2 ≈ (u · s) vᵀ; an encoder multiplies with the factors one after the other.

    rank: number of singular vectors.
    passes: products with the adjacency and its transpose that sharpen the range.
    fixed: whether it starts from the same random numbers whatever the generator, and is computed once for a graph.
    """
    edges, nodes = edges_of(graph)
    known = _factors.setdefault(edges, {}) if fixed and graph.get("edge_weight") is None else {}
    if (rank, passes) in known:
        return {**graph, "factors": known[rank, passes]}, {}
    generator = Generator().manual_seed(0) if fixed else generator
    weight = graph["edge_weight"].float() if graph.get("edge_weight") is not None else torch.ones(edges.shape[1], device=edges.device)
    left = torch.zeros(nodes, device=edges.device).index_add_(0, edges[0], weight).clamp_(min=1e-12).rsqrt_()
    right = torch.zeros(nodes, device=edges.device).index_add_(0, edges[1], weight).clamp_(min=1e-12).rsqrt_()
    values = weight * left[edges[0]] * right[edges[1]]
    most = min(rank, nodes)

    def times(source: Tensor, target: Tensor, dense: Tensor) -> Tensor:
        return torch.zeros_like(dense).index_add_(0, target, values[:, None] * dense[source])

    basis = torch.linalg.qr(times(edges[1], edges[0], draw.normal(values, generator, nodes, min(most + 8, nodes))))[0]
    for _ in range(passes):
        back = torch.linalg.qr(times(edges[0], edges[1], basis))[0]
        basis = torch.linalg.qr(times(edges[1], edges[0], back))[0]
    small = times(edges[0], edges[1], basis)  # (n, r): Aᵀ Q
    v, s, ut = torch.linalg.svd(small, full_matrices=False)
    factors = known[rank, passes] = ((basis @ ut.T)[:, :most] * s[:most], v[:, :most].contiguous())
    return {**graph, "factors": factors}, {}


def varied(
    graph: Graph, generator: Generator, *, edges: Share = 0.3, features: Share = 0.3, added: Share = 0.0
) -> tuple[dict[str, Any], Keys]:
    """Edges and columns of features left out: the general views of a graph (GRACE). Of node features (n, f) alone, only the columns.

    edges: share of the edges left out.
    features: share of the columns of features set to 0.
    added: number of new edges over that of old ones.
    """
    if isinstance(graph, Tensor):
        return mask_features(graph, generator, share=features)
    view: Graph = graph
    if added > 0:
        view, _ = add_edges(view, generator, share=added)
    view, _ = drop_edges(view, generator, share=edges)
    return mask_features(view, generator, share=features) if "x" in view else (dict(view), {})
