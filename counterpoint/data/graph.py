"""One graph whose nodes are the items: features x (n, d) as given, and the table "edges" (2, e), each link in both directions.

A batch of nodes comes in the midst of its graph (`around`): the whole graph, or neighbours that are drawn hop by hop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Graph, Modality
from counterpoint.data import grids
from counterpoint.data.request import Found, Request
from counterpoint.data.sources import Array, Source
from counterpoint.data.stores import Converted, Dense


def sample_size(source: Source) -> int:
    return 100_000


def fit(rows: np.ndarray, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of a graph: bags of words (0 or more, mostly 0) are divided by their sum, other features are standardised."""
    values = np.asarray(rows, np.float64)
    if values.ndim != 2:
        raise DataError(f"{where}: node features have shape nodes×features; these are {grids.shape_text(np.shape(rows))}")
    bag = bool((values >= 0).all() and (values == 0).mean() > 0.5)
    deviation = values.std(0)
    return {
        "kind": "graph",
        "bag": bag,
        "mean": [] if bag else values.mean(0).tolist(),
        "std": [] if bag else np.where(deviation > 1e-12, deviation, 1.0).tolist(),
        "width": int(values.shape[1]),
        "links": int(hints.get("links", 0)),
    }


def convert(rows: np.ndarray, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw features → (n, d) float32."""
    if rows.ndim != 2 or rows.shape[1] != found["width"]:
        raise DataError(f"the node features have shape {rows.shape}; the preparation is for (nodes, {found['width']})")
    values = np.asarray(rows, np.float32)
    if found["bag"]:
        made = values / np.maximum(values.sum(1, keepdims=True), 1e-12)
    else:
        made = (values - np.array(found["mean"], np.float32)) / np.array(found["std"], np.float32)
    return Converted(Dense(torch.from_numpy(np.ascontiguousarray(made))), grids.not_finite(values))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("graph", (found["width"],))


def words(found: Mapping[str, Any], items: int) -> str:
    return f"one graph of {items:,} nodes with {found['width']:,} features and {found['links']:,} links"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """How many features a node has, and the strongest of them."""
    strong = items.abs().topk(min(5, items.shape[1]), dim=1).indices.tolist()
    return [f"{int((x != 0).sum())} features, first {', '.join(map(str, sorted(s)))}" for x, s in zip(items, strong)]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    return items.numpy()


def both_ways(edges: np.ndarray, nodes: int, where: str) -> Tensor:
    """(e, 2) or (2, e) links → (2, e') int64: both directions, each once, no loops, sorted."""
    pairs = edges.T if edges.ndim == 2 and edges.shape[0] == 2 and edges.shape[1] != 2 else edges
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise DataError(f"{where}: edges must be whole numbers of shape (links, 2); they are {edges.dtype} {grids.shape_text(edges.shape)}")
    odd = pairs[(pairs < 0) | (pairs >= nodes)]
    if len(odd):
        raise DataError(f"{where}: edges name node {int(odd[0])} and there are {nodes:,} nodes (0 … {nodes - 1:,})")
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].astype(np.int64)
    code = np.unique(np.concatenate([pairs[:, 0] * nodes + pairs[:, 1], pairs[:, 1] * nodes + pairs[:, 0]]))
    return torch.from_numpy(np.stack([code // nodes, code % nodes]))


def from_arrays(features: Any, edges: Any, where: str) -> Found:
    """A graph in memory: features (n, d), dense or sparse, and links (e, 2) or (2, e)."""
    dense = features.toarray() if hasattr(features, "toarray") else features
    values, links = (x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x) for x in (dense, edges))
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise DataError(f"{where}: x must be numbers of shape nodes×features; it is {values.dtype} {grids.shape_text(values.shape)}")
    both = both_ways(links, len(values), where)
    return Found("graph", Array(values), where, hints={"links": both.shape[1] // 2}, tables={"edges": both})


def around(store: Dense, edges: Tensor, ids: Tensor, hops: Sequence[int] = (), generator: Generator | None = None) -> Graph:
    """The nodes `ids` (b,) as items of a Graph: in the whole graph, or among the neighbours that are drawn for them.

    Hop by hop, `hops[i]` neighbours of every node that is new (with replacement, so at most that many); then all links among the nodes
    that are there (Hamilton et al., NeurIPS 2017, with the links of the sub-graph as in Zeng et al., ICLR 2020).

    edges: (2, e) sorted by their first node, as `both_ways` gives them.
    """
    x = store.values
    if not hops:
        return Graph({"x": x, "edge_index": edges}, ids)
    degree = torch.bincount(edges[0], minlength=len(x))
    start = degree.cumsum(0) - degree
    there = torch.zeros(len(x), dtype=torch.bool)
    there[ids] = True
    new = ids
    for count in hops:
        new = new[degree[new] > 0]
        step = (torch.rand(len(new), count, generator=generator, dtype=torch.float64) * degree[new, None]).long()
        reached = edges[1][start[new, None] + step].unique()
        new = reached[~there[reached]]
        there[reached] = True
    nodes = there.nonzero()[:, 0]
    place = torch.full((len(x),), -1, dtype=torch.int64)
    place[nodes] = torch.arange(len(nodes))
    own = degree[nodes]
    source = torch.arange(len(nodes)).repeat_interleave(own)
    link = torch.arange(len(source)) + (start[nodes] - (own.cumsum(0) - own)).repeat_interleave(own)
    target = place[edges[1][link]]
    links = torch.stack([source, target])[:, target >= 0]
    return Graph({"x": x[nodes], "edge_index": links}, place[ids])
