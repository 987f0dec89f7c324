"""Pairs that a table knows: edges of a graph and their powers, neighbours, true answers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from counterpoint.core.errors import DataError, RequirementError, nearest
from counterpoint.core.options import Count, check
from counterpoint.core.recipe import UNKNOWN, Rows, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import column, compose, older
from counterpoint.pairs.overlap import join, overlapping


@requires(table=("{table}",))
def graph(
    anchors: Rows, candidates: Rows, tables: Mapping[str, Any], *, table: str = "edges", key: str = "item", own: bool = True
) -> Pairs:
    """Positives are joined by an edge (SCGC 003, PAMC 013: by a walk; see `powers`).

    table: edges (2, e) int from one id to another, or {"edges": (2, e), "weights": (e,)}; an undirected graph lists both directions.
    key: the key that holds the ids.
    own: whether other rows of the anchor's item are positives too, with weight 1.
    """
    return compose(anchors, candidates, edges_between(anchors, candidates, tables, table, key, key), own=own)


@requires(table=("{table}",))
def neighbours(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    table: str = "neighbours",
    mutual: bool = False,
    top: Count | None = None,
    own: bool = True,
) -> Pairs:
    """Positives are among the anchor's nearest neighbours, found beforehand (in the raw data, or in a round).

    table: ids of the neighbours of each item by item id, (items, k) int, nearest first, −1 where there are fewer.
    mutual: whether both have to name each other; without, one naming is enough for the one that names.
    top: only the nearest so many; all where not given.
    own: whether other rows of the anchor's item are positives too.
    """
    known = _table(tables, table)
    if known.ndim != 2:
        raise DataError(f"the table {table!r} has shape {tuple(known.shape)}; neighbours are (items, k)")
    known = known[:, :top].to(anchors.z.device)
    items = column(anchors, "item", "anchors"), column(candidates, "item", "candidates")
    named = [torch.where((i >= 0)[:, None], known[i.clamp(0, len(known) - 1)], UNKNOWN) for i in items]
    relation = overlapping(named[0], items[1])
    if mutual:
        relation = relation.without(Relation.all().without(overlapping(items[0], named[1])))
    return compose(anchors, candidates, relation, own=own)


@requires(table=("{table}",), column=("{key}", "{target}"))
def known(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    table: str = "known",
    key: str = "query",
    target: str = "target",
    other: str = "item",
    all_positive: bool = False,
) -> Pairs:
    """The positive is the anchor's target; other answers that are known to be true are ignored, not pushed away (paper 107).

    table: true pairs (2, e) int: a query's id and the id of an answer.
    key: the anchor's query id.
    target: the anchor's own answer, −1 = none.
    other: the key of the candidates that holds the ids of answers, in whatever space: batch, pool, queue.
    all_positive: whether all true answers are positives.
    """
    true = edges_between(anchors, candidates, tables, table, key, other)
    positive = Relation.equal(column(anchors, target, "anchors"), column(candidates, other, "candidates"))
    if all_positive:
        positive, true = Relation.either(positive, true), Relation.none()
    shape = len(anchors), len(candidates)
    return Pairs(positive, Relation.all().without(true.without(positive), older(anchors, candidates).without(positive)), shape)


_walks: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # a table of edges → the walks computed from it


@requires(table=("{table}",))
def walks(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    table: str = "edges",
    power: Count = 2,
    cumulative: bool = True,
    own: bool = True,
) -> Pairs:
    """Positives are reached from the anchor by a short walk, weighted by how likely it ends there (SCGC 003); see `powers`.

    table: edges (2, e) int between item ids, both directions.
    power: R, the longest walk.
    cumulative: walks of 1 … R steps together, or of just R.
    own: whether other rows of the anchor's item are positives with weight 1 at least; without, with the weight of coming back.
    """
    edges = _table(tables, table)
    known = _walks.setdefault(edges, {})
    if (power, cumulative) not in known:
        items = max(int(edges.max()) + 1 if edges.numel() else 1, int(column(anchors, "item", "anchors").max()) + 1)
        known[power, cumulative] = powers(edges, items=items, power=power, cumulative=cumulative)
    there = edges_between(anchors, candidates, {"walks": known[power, cumulative]}, "walks", "item", "item")
    return compose(anchors, candidates, there, own=own)


def powers(edges: Tensor, *, items: Count, power: Count = 2, weights: Tensor | None = None, cumulative: bool = True) -> dict[str, Tensor]:
    """The walks of up to `power` steps, as a table for `graph`: G = P + P² + … + P^R, P the row-normalised adjacency with self-loops.

    Computed once, with sparse products. Warns where more than 5 % of all pairs are joined.

    edges: (2, e) int ids 0 … items − 1.
    items: number of nodes.
    power: R, the longest walk.
    weights: (e,) of the edges, 1 where not given.
    cumulative: the sum over all lengths, whose rows sum to R; else P^R alone, whose rows sum to 1.
    """
    for name, value in (("items", items), ("power", power)):
        check(value, Count, f"powers: {name}")
    sources, targets = edges.cpu().numpy()
    if edges.numel() and (edges.min() < 0 or edges.max() >= items):
        raise DataError(f"edges name items {int(edges.min())} … {int(edges.max())}, and there are {items}; ids go from 0 to {items - 1}")
    values = np.ones(len(sources)) if weights is None else weights.double().cpu().numpy()
    adjacency = sparse.csr_array((values, (sources, targets)), shape=(items, items)) + sparse.eye_array(items, format="csr")
    step = sparse.diags_array(1 / np.maximum(adjacency.sum(axis=1), 1e-12)) @ adjacency
    walk = total = step.tocsr()
    for _ in range(power - 1):
        walk = walk @ step
        total = total + walk
    found = (total if cumulative else walk).tocoo()
    if found.nnz > 0.05 * items**2 and items > 100:
        warnings.warn(f"{found.nnz / items**2:.0%} of all pairs are joined by walks of {power} steps; choose a lower power", stacklevel=2)
    return {"edges": torch.as_tensor(np.stack([found.row, found.col]), dtype=torch.int64), "weights": torch.as_tensor(found.data).float()}


def edges_between(anchors: Rows, candidates: Rows, tables: Mapping[str, Any], table: str, key: str, other: str) -> Relation:
    """The edges of a table from anchors' ids to candidates' ids; edges of others in the table are passed over."""
    found = tables[table] if table in tables else _table(tables, table)
    edges, weights = (found["edges"], found.get("weights")) if isinstance(found, Mapping) else (torch.as_tensor(found), None)
    if edges.ndim != 2 or len(edges) != 2:
        raise DataError(f"the table {table!r} has shape {tuple(edges.shape)}; edges are (2, e): from, to")
    device = anchors.z.device
    first, second = column(anchors, key, "anchors"), column(candidates, other, "candidates")
    edges = edges.to(device)
    here = (torch.isin(edges[0], first) & torch.isin(edges[1], second) & (edges >= 0).all(0)).nonzero()[:, 0]
    rows, left = join(first, edges[0, here].contiguous())
    columns, right = join(second, edges[1, here].contiguous())
    one, two = join(left, right)  # one edge, all rows of its first end, all rows of its second
    given = None if weights is None else weights.to(device)[here[left[one]]]
    return Relation.sparse(rows[one], columns[two], given)


def _table(tables: Mapping[str, Any], name: str) -> Tensor:
    if name not in tables:
        raise RequirementError(f"the data have no table {name!r}{nearest(name, tables)}")
    return torch.as_tensor(tables[name])
