"""Views of graphs that spare what is important: links between central nodes and features of central nodes are dropped less often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from counterpoint.core.options import Share
from counterpoint.views import draw
from counterpoint.views.links import edges_of, features_of, kept_edges, pair_noise

By = Literal["degree", "pagerank", "eigenvector"]


def adaptive(
    graph: Mapping[str, Any],
    generator: Generator,
    *,
    edges: Share = 0.3,
    features: Share = 0.3,
    by: By = "degree",
    most: Share = 0.7,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Edges and columns of features left out, unimportant ones more often (GCA, Zhu et al. 2021; gCooL, paper 038).

    An edge goes with probability min(w · edges, most), w = (max s − s) / (max s − mean s), s = mean log centrality of its ends, so that w
    averages 1; a column of features likewise, with s = log Σ_i c_i |x_if|.

    edges: mean share of the edges left out.
    features: mean share of the columns of features set to 0.
    by: centrality c of a node.
    most: highest probability of any edge or column.
    """
    links, nodes = edges_of(graph)
    x = features_of(graph)
    c = centrality(links, nodes, by)
    view = dict(graph)
    if links.shape[1]:
        log = c.clamp(min=float(c[c > 0].min())).log()
        gone = _probability((log[links[0]] + log[links[1]]) / 2, edges, most)
        view = kept_edges(view, pair_noise(links, nodes, generator) >= gone)
    weight = (c @ x.abs().float()).clamp(min=1e-12).log()
    hidden = draw.uniform(x, generator, 0.0, 1.0, x.shape[1]) < _probability(weight, features, most)
    return {**view, "x": x.masked_fill(hidden, 0.0)}, {}


def _probability(importance: Tensor, share: float, most: float) -> Tensor:
    """min(w · share, most); `share` everywhere where all are of the same importance."""
    gap = importance.max() - importance
    mean = gap.mean()
    return (gap / mean.clamp(min=1e-12) * share).clamp(max=most) if float(mean) > 1e-6 else torch.full_like(importance, share)


def centrality(edges: Tensor, nodes: int, by: By = "degree") -> Tensor:
    """(n,) ≥ 0: how central each node is. PageRank with damping 0.85 and the leading eigenvector of A + I, both by 30 products."""
    source, target = edges
    degree = torch.bincount(target, minlength=nodes).float()
    if by == "degree":
        return degree
    c = torch.full((nodes,), 1.0 / max(nodes, 1), device=edges.device)
    out = torch.bincount(source, minlength=nodes).clamp(min=1).float()
    for _ in range(30):
        if by == "pagerank":
            c = torch.zeros_like(c).index_add_(0, target, (c / out)[source]).mul_(0.85).add_(0.15 / nodes)
        else:
            c = torch.nn.functional.normalize(c.index_add(0, target, c[source]), dim=0)
    return c
