"""Who belongs to whom, described and not stored: `Relation`, and the two of them that make `Pairs`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import sizes

Form = Literal["all", "self", "index", "equal", "sparse", "product", "tile", "either", "none"]
_WIDE = 1 << 31


@dataclass(frozen=True, eq=False)
class Relation:
    """Weights w_ij ≥ 0 between n anchors and m candidates. Make one with the functions named after the forms:

    all()                     w = 1
    itself()                  w = [i = j]
    index(target, weights)    target (n,) or (n, k): the candidates of each anchor, −1 = none there
    equal(anchors, candidates) w = [key_i = key_j]; keys (n,), (m,); −1 or NaN = unknown, equal to nothing
    sparse(rows, columns, weights)  a list of edges (e,); one given twice is one edge, with the sum of its weights
    product(left, right)      w_ij = left_i · right_j; left (n, k), right (m, k), both ≥ 0: soft labels, codes
    tile(function)            w = function(i, j) for index tensors that broadcast, (a, 1) and (1, b) or (e,) and (e,): any relation, slower
    either(one, two, …)       the largest of several weights
    none()                    w = 0

    and change it with `without` (zero where another relation is not), `within` (zero where two keys differ) and `weighted`.
    All but `product` (and then `either`), `tile` have roads that cost no more than the scores; memory is linear for all of them.
    """

    form: Form
    data: tuple[Any, ...] = ()
    row: Tensor | None = None
    column: Tensor | None = None
    inside: tuple[tuple[Tensor, Tensor], ...] = ()
    ignored: tuple[Relation, ...] = ()

    # ---- the forms

    @staticmethod
    def all() -> Relation:
        """Everyone with everyone."""
        return Relation("all")

    @staticmethod
    def itself() -> Relation:
        """Row i with row i."""
        return Relation("self")

    @staticmethod
    def none() -> Relation:
        """Nobody with anybody."""
        return Relation("none")

    @staticmethod
    def index(target: Tensor, weights: Tensor | None = None) -> Relation:
        """Each anchor with the candidates at `target` (n,) or (n, k) int, −1 = none there; weights of the same shape."""
        if target.dim() not in (1, 2) or target.is_floating_point() or (weights is not None and weights.shape != target.shape):
            raise OptionError(
                f"index targets of shape {tuple(target.shape)}, {target.dtype}; they must be integers (n,) or (n, k), weights alike"
            )
        return Relation("index", (target, weights))

    @staticmethod
    def equal(anchors: Tensor, candidates: Tensor | None = None) -> Relation:
        """Rows whose keys (n,), (m,) are equal; −1 or NaN = unknown, equal to nothing. Without `candidates` the anchors' keys."""
        return Relation("equal", _keys(anchors, candidates))

    @staticmethod
    def sparse(rows: Tensor, columns: Tensor, weights: Tensor | None = None) -> Relation:
        """The edges (rows_e, columns_e), int (e,), with weights (e,)."""
        if rows.dim() != 1 or rows.shape != columns.shape or (weights is not None and weights.shape != rows.shape):
            raise OptionError(f"edges with {tuple(rows.shape)} rows and {tuple(columns.shape)} columns; both must be (e,), weights alike")
        return Relation("sparse", (rows, columns, weights))

    @staticmethod
    def product(left: Tensor, right: Tensor) -> Relation:
        """w_ij = left_i · right_j, left (n, k) and right (m, k), both ≥ 0."""
        if left.dim() != 2 or right.dim() != 2 or left.shape[1] != right.shape[1]:
            raise OptionError(f"factors of shapes {tuple(left.shape)} and {tuple(right.shape)}; they must be (n, k) and (m, k)")
        return Relation("product", (left, right))

    @staticmethod
    def tile(function: Callable[[Tensor, Tensor], Tensor]) -> Relation:
        """w = function(i, j) ≥ 0 (or bool) of anchor and candidate positions, int tensors that broadcast."""
        return Relation("tile", (function,))

    @staticmethod
    def either(*relations: Relation) -> Relation:
        """The largest of the weights of several relations."""
        kept = tuple(r for r in relations if r.form != "none")
        return kept[0] if len(kept) == 1 else Relation("either", kept) if kept else Relation.none()

    @cached_property
    def partner(self) -> tuple[Tensor, bool] | None:
        """Of an index with one candidate for every anchor: (the candidates (n, 1), whether they are mutual: t(t(i)) = i); else None."""
        if self.form != "index" or self.data[0].dim() != 1 or self.data[1] is not None or bool((self.data[0] < 0).any()):
            return None
        target = self.data[0]
        inside = bool((target < len(target)).all())
        mutual = inside and torch.equal(target[target], torch.arange(len(target), device=target.device))
        return target[:, None], mutual

    # ---- changes

    def without(self, *others: Relation) -> Relation:
        """This relation, zero wherever one of the others is not."""
        others = tuple(o for o in others if o.form != "none")
        if not others:
            return self
        return Relation(self.form, self.data, self.row, self.column, self.inside, (*self.ignored, *others))

    def within(self, anchors: Tensor, candidates: Tensor | None = None) -> Relation:
        """This relation between rows of equal keys only."""
        return replace(self, inside=(*self.inside, _keys(anchors, candidates)))

    def weighted(self, row: Tensor | None = None, column: Tensor | None = None) -> Relation:
        """This relation times weights ≥ 0 per anchor (n,) and per candidate (m,)."""
        return replace(self, row=_times(self.row, row), column=_times(self.column, column))

    def transposed(self) -> Relation:
        """The relation of candidates to anchors, where row numbers are known: not for `index` with several targets per anchor."""
        data = self.data
        form = self.form
        if form in ("equal", "product"):
            data = (data[1], data[0])
        elif form == "sparse":
            data = (data[1], data[0], data[2])
        elif form == "index":
            rows, columns, weights = index_edges(*data)
            form, data = "sparse", (columns, rows, weights)
        elif form == "tile":
            function = data[0]
            data = (lambda i, j: function(j, i),)
        elif form == "either":
            data = tuple(r.transposed() for r in data)
        return Relation(
            form,
            data,
            self.column,
            self.row,
            tuple((c, a) for a, c in self.inside),
            tuple(r.transposed() for r in self.ignored),
        )

    # ---- what it says

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The weights of single pairs: index tensors that broadcast → float tensor of their common shape (float64 weights stay so)."""
        weights = self._base(rows, columns)
        shape = torch.broadcast_shapes(rows.shape, columns.shape)
        weights = (weights if weights.is_floating_point() else weights.float()).expand(shape)
        for anchors, candidates in self.inside:
            weights = weights * _same(anchors, candidates, rows, columns)
        for other in self.ignored:
            weights = weights * (other.at(rows, columns) == 0)
        if self.row is not None:
            weights = weights * self.row[rows]
        return weights if self.column is None else weights * self.column[columns]

    def dense(self, shape: tuple[int, int], device: torch.device | None = None) -> Tensor:
        """All weights (n, m); for small n, tests and drawings."""
        rows = torch.arange(shape[0], device=device)[:, None]
        columns = torch.arange(shape[1], device=device)[None, :]
        itself = [other for other in self.ignored if other.form == "self" and other.bare]
        if not itself or any(t.requires_grad for t in (self.row, self.column, *self.data) if isinstance(t, Tensor)):
            return self.at(rows, columns)
        rest = replace(self, ignored=tuple(other for other in self.ignored if other not in itself))
        return rest.at(rows, columns).clone(memory_format=torch.contiguous_format).fill_diagonal_(0.0)  # no matrix for a diagonal

    @property
    def bare(self) -> bool:
        """Whether it is its form and nothing else."""
        return not self.inside and not self.ignored and self.row is None and self.column is None

    @cached_property
    def binary(self) -> bool:
        """Whether all weights are 0 or 1, as far as the form tells."""
        if self.row is not None or self.column is not None:
            return False
        if self.form == "either":
            return all(inner.binary for inner in self.data)
        return self.form in ("all", "self", "equal", "none") or (self.form in ("index", "sparse") and self.data[-1] is None)

    def written(self, shape: tuple[int, int], device: torch.device) -> Tensor | None:
        """All weights (n, m), worked out once, where they are few and learn nothing; else None."""
        if not sizes.little(shape):
            return None
        key = ("written", shape, device)
        if key not in self.cache:
            found = self.dense(shape, device)
            self.cache[key] = None if found.requires_grad else found
        return self.cache[key]  # type: ignore[no-any-return]

    def _base(self, rows: Tensor, columns: Tensor) -> Tensor:
        if self.form == "all":
            return torch.ones((), device=rows.device)
        if self.form == "none":
            return torch.zeros((), device=rows.device)
        if self.form == "self":
            return rows == columns
        if self.form == "equal":
            return _same(self.data[0], self.data[1], rows, columns)
        if self.form == "product":
            left, right = self.data
            if rows.dim() == 2 and columns.dim() == 2 and rows.shape[1] == 1 and columns.shape[0] == 1:
                return left[rows[:, 0]] @ right[columns[0]].T
            return (left[rows] * right[columns]).sum(-1)
        if self.form == "tile":
            return self.data[0](rows, columns)  # type: ignore[no-any-return]
        if self.form == "either":
            weights = self.data[0].at(rows, columns)
            for other in self.data[1:]:
                weights = torch.maximum(weights, other.at(rows, columns))
            return weights
        if self.form == "index" and self.data[0].dim() == 1 and self.data[1] is None:
            return self.data[0][rows] == columns  # −1 equals no position
        known, weights = self.table
        wanted = edge_numbers(rows, columns)
        if not len(known):
            return torch.zeros((), device=rows.device)
        place = torch.searchsorted(known, wanted).clamp_(max=len(known) - 1)
        return weights[place] * (known[place] == wanted)

    @cached_property
    def cache(self) -> dict[Any, Any]:
        """What has been worked out about this relation, for as long as it lives."""
        return {}

    @cached_property
    def table(self) -> tuple[Tensor, Tensor]:
        """Edges of an index or sparse relation as sorted numbers, each once, and their weights (1, or the sum of those given)."""
        rows, columns, weights = index_edges(*self.data) if self.form == "index" else self.data
        if weights is None:
            numbers = torch.unique(edge_numbers(rows, columns))
            return numbers, torch.ones(len(numbers), device=rows.device)
        numbers, inverse = torch.unique(edge_numbers(rows, columns), return_inverse=True)
        return numbers, torch.zeros(len(numbers), dtype=weights.dtype, device=rows.device).index_add(0, inverse, weights)


def _times(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    return second if first is None else first if second is None else first * second


def _keys(anchors: Tensor, candidates: Tensor | None) -> tuple[Tensor, Tensor]:
    candidates = anchors if candidates is None else candidates
    if anchors.dim() != 1 or candidates.dim() != 1:
        raise OptionError(f"keys of shapes {tuple(anchors.shape)} and {tuple(candidates.shape)}; they must be (n,) and (m,)")
    return anchors, candidates


def _same(anchors: Tensor, candidates: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    first = anchors[rows]
    same = first == candidates[columns]  # NaN equals nothing already
    return same if first.is_floating_point() else same & (first != -1)


def edge_numbers(rows: Tensor, columns: Tensor) -> Tensor:
    """Edges (i, j) as numbers i · 2³¹ + j, which sort as the edges do."""
    return rows * _WIDE + columns


def numbered_edges(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and columns of edges that are given as numbers."""
    return numbers // _WIDE, numbers % _WIDE


def index_edges(target: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """(rows, columns, weights) of an index relation."""
    if target.dim() == 1 and not bool((target < 0).any()):
        return torch.arange(len(target), device=target.device), target, weights
    target = target if target.dim() == 2 else target[:, None]
    rows = torch.arange(len(target), device=target.device)[:, None].expand_as(target)
    there = target >= 0
    return rows[there], target[there], None if weights is None else weights.reshape(target.shape)[there]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Positives and candidates of n anchors among m candidates; pairs of weight zero in both are ignored.

    positive:  who is pulled.   candidate: who stands in the denominator (as a rule the positives too).
    shape:     (n, m).
    block:     None, or two keys (n,), (m,): rows meet only where these are equal (tokens of one item, private candidates).
    known:     None, or, of `lasting` pairs, what was worked out of them already (`losses.rows.once`).
    """

    positive: Relation
    candidate: Relation
    shape: tuple[int, int]
    block: tuple[Tensor, Tensor] | None = None
    known: dict[Any, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        n, m = self.shape
        for relation in (self.positive, self.candidate):
            check_shape(relation, (n, m))
        if self.block is not None and (len(self.block[0]), len(self.block[1])) != (n, m):
            raise OptionError(f"block keys of lengths {len(self.block[0])} and {len(self.block[1])} for pairs of shape {self.shape}")

    @cached_property
    def positives(self) -> Relation:
        """The positives, inside the block."""
        return self.positive if self.block is None else self.positive.within(*self.block)

    @cached_property
    def candidates(self) -> Relation:
        """The candidates, inside the block."""
        return self.candidate if self.block is None else self.candidate.within(*self.block)

    @cached_property
    def negatives(self) -> Relation:
        """The candidates that are not positive."""
        return self.candidates.without(self.positive)

    def lasting(self) -> Pairs:
        """These pairs for many batches: what follows from them alone is worked out once, so what they are made of must never change."""
        made = replace(self)
        object.__setattr__(made, "known", {})
        return made

    def transposed(self) -> Pairs:
        """The pairs seen from the candidates."""
        block = None if self.block is None else (self.block[1], self.block[0])
        return Pairs(self.positive.transposed(), self.candidate.transposed(), (self.shape[1], self.shape[0]), block)


def check_shape(relation: Relation, shape: tuple[int, int]) -> None:
    """Raise OptionError unless the relation's own sizes fit (n, m)."""
    n, m = shape
    if relation.form == "index" and relation.bare and len(relation.data[0]) == n:  # one of two views: at few rows the rest is felt
        return
    sizes: list[tuple[int | None, int | None]] = [(len(a), len(c)) for a, c in relation.inside]
    if relation.form in ("equal", "product"):
        sizes.append((len(relation.data[0]), len(relation.data[1])))
    if relation.form == "index":
        sizes.append((len(relation.data[0]), None))
    sizes.append((None if relation.row is None else len(relation.row), None if relation.column is None else len(relation.column)))
    for rows, columns in sizes:
        if rows not in (None, n) or columns not in (None, m):
            raise OptionError(f"a relation '{relation.form}' of {rows or '?'} x {columns or '?'} rows for scores of {n} x {m}")
    inner = relation.data if relation.form == "either" else ()
    for other in (*relation.ignored, *inner):
        check_shape(other, shape)
