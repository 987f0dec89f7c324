"""Pair rules: (anchors: Rows, candidates: Rows, tables, *, options) -> Pairs. They read keys and tables, never vectors."""

from counterpoint.pairs.combine import both, either
from counterpoint.pairs.counterfactual import counterfactual
from counterpoint.pairs.graded import overlap, product, proxies, soft, weighted
from counterpoint.pairs.graph import graph, known, neighbours, powers, walks
from counterpoint.pairs.hierarchy import hierarchy, level
from counterpoint.pairs.near import near
from counterpoint.pairs.roles import roles
from counterpoint.pairs.same import itself, same
from counterpoint.pairs.show import show

__all__ = [
    "both", "counterfactual", "either", "graph", "hierarchy", "itself", "known", "level", "near", "neighbours", "overlap", "powers",
    "product", "proxies", "roles", "same", "show", "soft", "walks", "weighted",
]  # fmt: skip
