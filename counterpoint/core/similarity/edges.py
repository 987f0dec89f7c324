"""Relations as lists of edges or as sums of groups, where they are few: what never needs a tile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint.core.similarity.precision import full_precision_backward
from counterpoint.core.similarity.relation import Relation, edge_numbers, index_edges, numbered_edges

PER_ROW = 32  # groups of up to about this many per row are cheaper as edges
_CHUNK = 2048  # edges at a time: gathered rows stay in the cache


Codes = tuple[Tensor, Tensor, int]  # of the anchors, of the candidates, how many there are


class Edges(NamedTuple):
    """rows, columns (e,) int64 and weights > 0 (e,), or None for ones; whether edge i is the only one of row i, for all rows."""

    rows: Tensor
    columns: Tensor
    weights: Tensor | None
    single: bool = False


# ---- keys


def codes(keys: tuple[Tensor, Tensor]) -> Codes:
    """Keys as numbers 0 … k−1, with −1 (anchors) and −2 (candidates) for unknown ones, which so equal nothing; and k."""
    anchors, candidates = keys
    same = anchors is candidates
    values, inverse = torch.unique(anchors if same else torch.cat([anchors, candidates]), return_inverse=True)
    unknown = values.isnan() if values.is_floating_point() else values == -1
    if values.dtype == torch.bool:
        unknown = torch.zeros_like(values)
    missing = unknown[inverse]
    first, second = (inverse, inverse) if same else (inverse[: len(anchors)], inverse[len(anchors) :])
    gone, absent = (missing, missing) if same else (missing[: len(anchors)], missing[len(anchors) :])
    return first.masked_fill(gone, -1), second.masked_fill(absent, -2), len(values)


def joined(one: Codes, two: Codes) -> Codes:
    """Codes that are equal where both are."""
    pair = [torch.where((a < 0) | (b < 0), -1, a * two[2] + b) for a, b in ((one[0], two[0]), (one[1], two[1]))]
    return codes((pair[0], pair[0] if one[0] is one[1] and two[0] is two[1] else pair[1]))


def known_codes(relation: Relation) -> Codes | None:
    """Codes of all keys that this relation asks to be equal (its own, and those it is kept within); None where it asks for none."""
    if "codes" not in relation.cache:
        pairs = [*((relation.data,) if relation.form == "equal" else ()), *relation.inside]
        found = None
        for keys in pairs:
            one = codes((keys[0], keys[1]))
            found = one if found is None else joined(found, one)
        relation.cache["codes"] = found
    result: Codes | None = relation.cache["codes"]
    return result


def sizes(found: Codes) -> tuple[Tensor, Tensor]:
    """How many anchors and candidates have each code, (k,) each."""
    first, second, k = found
    return tuple(torch.bincount(c + 2, minlength=k + 2)[2:] for c in (first, second))  # type: ignore[return-value]


# ---- edges


def edges_of(relation: Relation, shape: tuple[int, int], device: torch.device) -> Edges | None:
    """The edges of a relation with weight, sorted by anchor; None where there are many."""
    key = ("edges", shape, device)
    if key not in relation.cache:
        found = _edges_of(relation, shape, device)
        if found is not None and len(found.rows) == shape[0] and not found.single:
            found = found._replace(single=torch.equal(found.rows, torch.arange(shape[0], device=device)))
        relation.cache[key] = found
    result: Edges | None = relation.cache[key]
    return result


def _edges_of(relation: Relation, shape: tuple[int, int], device: torch.device) -> Edges | None:
    found = _own_edges(relation, shape, device)
    if found is None:
        return None
    rows, columns, weights, single = found
    keep = None
    for anchors, candidates in relation.inside if relation.form != "equal" else ():
        first = anchors[rows]
        same = first == candidates[columns]
        keep = _both(keep, same if first.is_floating_point() else same & (first != -1))
    for other in relation.ignored:
        keep = _both(keep, rows != columns if is_self(other) else other.at(rows, columns) == 0)
    for vector, place in ((relation.row, rows), (relation.column, columns)):
        if vector is not None:
            weights = vector[place] if weights is None else weights * vector[place]
    if weights is not None:
        keep = _both(keep, weights > 0)
    if keep is None:
        return Edges(rows, columns, weights, single)
    return Edges(rows[keep], columns[keep], None if weights is None else weights[keep])


def _own_edges(relation: Relation, shape: tuple[int, int], device: torch.device) -> Edges | None:
    n, m = shape
    if relation.form == "none":
        nobody = torch.empty(0, dtype=torch.int64, device=device)
        return Edges(nobody, nobody, None)
    if relation.form == "self":
        rows = torch.arange(min(n, m), device=device)
        return Edges(rows, rows, None)
    if relation.form == "index" and relation.data[0].dim() == 1:
        rows, columns, weights = index_edges(*relation.data)
        return Edges(rows, columns, weights, len(rows) == n)
    if relation.form in ("index", "sparse"):
        numbers, weights = relation.table
        return Edges(*numbered_edges(numbers), None if relation.data[-1] is None else weights)
    if relation.form == "either":
        parts = [edges_of(r, shape, device) for r in relation.data]
        return None if any(p is None for p in parts) else _union([p for p in parts if p is not None])
    if relation.form == "equal":
        found = known_codes(relation)
        assert found is not None
        return _group_edges(found, PER_ROW * max(n, m))
    return None


def _group_edges(found: Codes, limit: int) -> Edges | None:
    """All pairs of equal code, unless there are more than `limit`."""
    first, second, _ = found
    anchors, candidates = sizes(found)
    if int((anchors * candidates).sum()) > limit:
        return None
    order = torch.argsort(second)  # by code: −2 first
    starts = (second < 0).sum() + candidates.cumsum(0) - candidates
    known = first >= 0
    many = torch.where(known, candidates[first.clamp(min=0)], 0)
    rows = torch.repeat_interleave(torch.arange(len(first), device=first.device), many)
    ends = many.cumsum(0)
    inside = torch.arange(len(rows), device=first.device) - (ends - many)[rows]
    return Edges(rows, order[starts[first[rows]] + inside], None)


def _union(parts: list[Edges]) -> Edges:
    """Every edge once, with the largest of its weights."""
    weighted = any(p.weights is not None for p in parts)
    numbers = torch.cat([edge_numbers(p.rows, p.columns) for p in parts])
    numbers, inverse = torch.unique(numbers, return_inverse=True)
    rows, columns = numbered_edges(numbers)
    if not weighted:
        return Edges(rows, columns, None)
    every = torch.cat([torch.ones(len(p.rows), device=p.rows.device) if p.weights is None else p.weights for p in parts])
    return Edges(rows, columns, torch.zeros(len(numbers), dtype=every.dtype, device=rows.device).scatter_reduce(0, inverse, every, "amax"))


def _both(one: Tensor | None, two: Tensor) -> Tensor:
    return two if one is None else one & two


def is_self(relation: Relation) -> bool:
    """Whether a relation is just i = j."""
    return relation.form == "self" and relation.bare


# ---- scores of edges


class _EdgeScores(torch.autograd.Function):
    """a_{row_e} · c_{column_e}; gathered rows are never kept."""

    @staticmethod
    def forward(ctx: Any, A: Tensor, C: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        ctx.save_for_backward(A, C, rows, columns)
        out = A.new_empty(len(rows))
        for s in range(0, len(rows), _CHUNK):
            left, right = A.index_select(0, rows[s : s + _CHUNK]), C.index_select(0, columns[s : s + _CHUNK])
            torch.sum(left.mul_(right), 1, out=out[s : s + _CHUNK])
        return out

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        A, C, rows, columns = ctx.saved_tensors
        dA = Spread.apply(gradient, C, rows, columns, len(A)) if ctx.needs_input_grad[0] else None  # type: ignore[no-untyped-call]
        dC = Spread.apply(gradient, A, columns, rows, len(C)) if ctx.needs_input_grad[1] else None  # type: ignore[no-untyped-call]
        return dA, dC, None, None


class Spread(torch.autograd.Function):
    """out_i = Σ_{e: row_e = i} w_e x_{column_e}, (n, d): a sparse matrix times rows; gradient to w and x."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, x: Tensor, rows: Tensor, columns: Tensor, n: int) -> Tensor:
        ctx.save_for_backward(w, x, rows, columns)
        return spread(w, x, rows, columns, n)

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        w, x, rows, columns = ctx.saved_tensors
        dw = _EdgeScores.apply(gradient, x, rows, columns) if ctx.needs_input_grad[0] else None  # type: ignore[no-untyped-call]
        dx = Spread.apply(w, gradient, columns, rows, len(x)) if ctx.needs_input_grad[1] else None  # type: ignore[no-untyped-call]
        return dw, dx, None, None, None


def spread(w: Tensor, x: Tensor, rows: Tensor, columns: Tensor, n: int) -> Tensor:
    """Σ_{e: row_e = i} w_e x_{column_e}, (n, d)."""
    order = None
    if len(rows) > 1 and bool((rows[1:] < rows[:-1]).any()):
        order = torch.argsort(rows, stable=True)
        rows, columns, w = rows[order], columns[order], w[order]
    offsets = torch.zeros(n + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=n), 0, out=offsets[1:])
    return F.embedding_bag(columns, x, offsets, mode="sum", per_sample_weights=w.to(x.dtype), include_last_offset=True)


def edge_products(A: Tensor, C: Tensor, rows: Tensor, columns: Tensor, single: bool = False) -> Tensor:
    """a_{row_e} · c_{column_e} of edges, (e,). `single`: the rows are 0 … n−1."""
    if len(rows) <= _CHUNK:  # few: what autograd keeps of them is little
        return torch.linalg.vecdot(A if single else A.index_select(0, rows), C.index_select(0, columns))
    return _EdgeScores.apply(A, C, rows, columns)  # type: ignore[no-any-return, no-untyped-call]


# ---- W · X


def weigh(relation: Relation, X: Tensor | None, shape: tuple[int, int], device: torch.device, indicator: bool = False) -> Tensor | None:
    """W · X (n, q) for X (m, q), or without X the sums of W (n, 1) in float64; without a tile. None where there is no such form.

    indicator: with 1 in the place of every weight > 0.
    """
    n, m = shape
    W = relation.written(shape, device)
    if W is not None:
        W = (W > 0) if indicator else W
        if X is not None:
            return W.to(X.dtype) @ X
        return W.sum(1, keepdim=True).double() if relation.binary else W.sum(1, keepdim=True, dtype=torch.float64)
    if relation.row is not None or relation.column is not None:
        return _weighted(relation, X, shape, device, indicator)
    found = edges_of(relation, shape, device)
    if found is not None:
        return _of_edges(found.rows, found.columns, None if indicator else found.weights, X, n)
    if relation.ignored:
        first, rest = relation.ignored[0], replace(relation, ignored=relation.ignored[1:])
        whole = weigh(rest, X, shape, device, indicator)
        few = edges_of(first, shape, device)
        if whole is None:
            return None
        if few is not None:
            at = rest.at(few.rows, few.columns)
            return whole - _of_edges(few.rows, few.columns, (at > 0).to(at.dtype) if indicator else at, X, n)
        both = meet(rest, first)
        part = None if both is None else weigh(both, X, shape, device, indicator)
        return None if part is None else whole - part
    if relation.form == "product" and not relation.inside and not indicator:
        left, right = (f.to(torch.float64 if X is None else X.dtype) for f in relation.data)
        sums: Tensor = left @ (right.sum(0)[:, None] if X is None else right.T @ X)
        return sums
    if relation.form not in ("all", "equal"):
        return None
    same = known_codes(relation)
    if same is None:
        return torch.full((n, 1), float(m), dtype=torch.float64, device=device) if X is None else X.sum(0, keepdim=True).expand(n, -1)
    anchors, candidates, k = same
    if X is None:
        many = torch.bincount(candidates + 2, minlength=k + 2)
        many[:2] = 0
        return many[anchors + 2][:, None].double()
    totals = X.new_zeros(k + 2, X.shape[1]).index_add(0, candidates + 2, X)
    return torch.where(anchors[:, None] < 0, 0.0, totals[anchors + 2])


def _weighted(relation: Relation, X: Tensor | None, shape: tuple[int, int], device: torch.device, indicator: bool) -> Tensor | None:
    kind = torch.float64 if X is None else X.dtype
    row, column = ((None if v is None else ((v > 0) if indicator else v).to(kind)) for v in (relation.row, relation.column))
    if column is not None:
        X = column[:, None] if X is None else X * column[:, None]
    inner = weigh(replace(relation, row=None, column=None), X, shape, device, indicator)
    return inner if inner is None or row is None else inner * row[:, None]


def _of_edges(rows: Tensor, columns: Tensor, weights: Tensor | None, X: Tensor | None, n: int) -> Tensor:
    if X is None:
        if weights is not None and weights.requires_grad:
            return weights.new_zeros(n, dtype=torch.float64).index_add(0, rows, weights.double())[:, None]
        return torch.bincount(rows, None if weights is None else weights.double(), minlength=n).double()[:, None]
    weights = X.new_ones(len(rows)) if weights is None else weights.to(X.dtype)
    return Spread.apply(weights, X, rows, columns, n)  # type: ignore[no-any-return, no-untyped-call]


def meet(relation: Relation, other: Relation) -> Relation | None:
    """`relation` where `other`, whose edges are many, is not zero; None where there is no closed form."""
    if other.form in ("all", "equal") and other.row is None and other.column is None:
        keys = ((other.data[0], other.data[1]),) if other.form == "equal" else ()
        return replace(relation, inside=(*relation.inside, *keys, *other.inside), ignored=(*relation.ignored, *other.ignored))
    return None
