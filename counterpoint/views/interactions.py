"""Views of users: the user, a product that the user chose, one that the user did not; and the same nodes in a changed graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Part
from counterpoint.core.recipe import UNKNOWN, Batch, Graph, Progress, View, provides, requires
from counterpoint.views import draw

TRIES = 8  # a product that is not chosen is drawn anew so often where it was chosen


@requires(table=("edges", "users"))
@provides(column=("of", "answer"))
def triples(
    batch: Batch, generator: Generator, now: Progress, *, pairs: Count = 1, second: Part | None = None, modality: str = "x"
) -> list[View]:
    """Views "user", "positive" and "negative" of every user of the batch, `pairs` times, the later ones called "user_again" and so on.

    Keys: "item", the node; "of", the triple; "answer", equal for the user and the product that the user chose, −1 for the other product.
    A user without choices, or who chose every product that was drawn, has the triple −1, which belongs to nobody.

    pairs: triples a user.
    second: a transform of the graph; the nodes of the first triple follow in it, their names beginning with "global_".
    modality: which field of the batch is looked at.
    """
    graph = batch.fields.get(modality)
    if not isinstance(graph, Graph):
        raise DataError(f"triples are made of users in their graph, and the batch has {', '.join(batch.fields)} without one")
    edges, rows = graph.parts["edge_index"], graph.rows
    nodes, first = len(graph.parts["x"]), int(batch.tables["users"])
    degree = torch.bincount(edges[0], minlength=nodes)
    start = degree.cumsum(0) - degree
    known = edges[0] * nodes + edges[1]  # sorted, since the links are
    found = []
    for number in range(pairs):
        step = (draw.uniform(rows, generator, 0.0, 1.0, len(rows)).double() * degree[rows]).long()
        positive = edges[1][(start[rows] + step).clamp(max=max(edges.shape[1] - 1, 0))]
        negative = draw.integers(rows, generator, first, nodes, len(rows))
        for _ in range(TRIES):
            negative = torch.where(
                _among(rows * nodes + negative, known), draw.integers(rows, generator, first, nodes, len(rows)), negative
            )
        whole = (rows < first) & (degree[rows] > 0) & ~_among(rows * nodes + negative, known)
        of = torch.where(whole, rows * pairs + number, UNKNOWN)
        answer = torch.where(whole, rows, UNKNOWN)
        later = "_again" if number else ""
        found += [
            ("user" + later, rows, {"of": of, "answer": answer}),
            ("positive" + later, torch.where(whole, positive, rows), {"of": of, "answer": answer}),
            ("negative" + later, negative, {"of": of, "answer": torch.full_like(answer, UNKNOWN)}),
        ]
    views = [View(name, {modality: Graph(graph.parts, at)}, {"item": at, **keys}) for name, at, keys in found]
    if second is not None:
        parts, _ = second(graph.parts, generator)
        views += [View(f"global_{name}", {modality: Graph(parts, at)}, {"item": at, **keys}) for name, at, keys in found[:3]]
    return views


def _among(codes: Tensor, known: Tensor) -> Tensor:
    """Whether each code is in the sorted list."""
    if not len(known):
        return torch.zeros_like(codes, dtype=torch.bool)
    return known[torch.searchsorted(known, codes).clamp(max=len(known) - 1)] == codes


def random_factors(graph: Mapping[str, Any], generator: Generator, *, rank: Count = 10) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Factors of a random orthogonal projection of rank r, the control of `graph.low_rank`: the same for all views, nothing of the graph.

    rank: r.
    """
    nodes = len(graph["x"])
    noise = torch.randn(nodes, min(rank, nodes), generator=Generator().manual_seed(0)).to(graph["x"].device)
    basis = torch.linalg.qr(noise)[0]
    return {**graph, "factors": (basis, basis)}, {}
