"""From scores and a relation to a statistic by tiles: the autograd function, and the choice of how exponentials are shifted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import dense
from counterpoint.core.similarity import plan as plans
from counterpoint.core.similarity.plan import Plan, plan_of
from counterpoint.core.similarity.precision import full_precision_backward
from counterpoint.core.similarity.relation import Relation
from counterpoint.core.similarity.scores import DENSE_LIMIT, Scores
from counterpoint.core.similarity.tiles import BITS, HIGH, Sums, Tiles, Turn, exp_sums, exp_turn, finish, function_sums, function_turn, pull

_LEAST, _MOST = 1.9e-22, 3.7e32  # e⁻⁵⁰, e⁷⁵: a sum between these has lost nothing to the clamp at e^±80
_SAMPLE = 256


@dataclass(frozen=True, eq=False)
class Job:
    """What to compute: log Σ exp ("lse"; "both" of rows and of columns), the mean score under a softmax ("mean"), or Σ f ("sum")."""

    kind: Literal["lse", "both", "mean", "sum"]
    relation: Relation
    beta: float = 1.0
    through: bool = True
    function: Callable[[Tensor], Tensor] | None = None
    derivative: Callable[[Tensor], Tensor] | None = None
    bounded: bool = False
    number: float = 1.0  # the scale, where it is no tensor
    mirrored: bool = False  # `row` stands for the columns too
    learning: bool = True
    bits: bool = True  # scores in bits, where only their exponentials are wanted


def fits_both(scores: Scores) -> bool:
    """Whether one shift serves rows and columns, so that "both" may be asked for."""
    A, C = scores.anchors.detach(), scores.candidates.detach()
    return bound(scores.scale, A, C, (scores.row, scores.column), scores.bounded) <= HIGH


def is_dense(scores: Scores, relation: Relation) -> bool:
    """Whether only plain autograd will do: learned scores, or weights that learn."""
    return scores.dense is not None or 0 in scores.shape or learns(relation)


def learns(relation: Relation) -> bool:
    """Whether a weight of the relation wants a gradient."""
    tensors = [t for t in (*relation.data, relation.row, relation.column) if isinstance(t, Tensor)]
    return any(t.requires_grad for t in tensors) or (relation.form == "either" and any(map(learns, relation.data)))


def run(
    scores: Scores,
    relation: Relation,
    kind: Literal["lse", "both", "mean", "sum"],
    *,
    beta: float = 1.0,
    through: bool = True,
    function: Callable[[Tensor], Tensor] | None = None,
    derivative: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, ...]:
    """The statistic (n,) as a tuple of one; "both": and of the columns (m,); "mean": and which rows have anyone, (n,) bool."""
    A = scores.anchors.to(scores.dtype)
    C = None if scores.selfsame else scores.candidates.to(scores.dtype)
    row, column, scale = scores.row, scores.column, scores.scale
    per_row = isinstance(scale, Tensor) and scale.dim() > 0
    mirrored = C is None and row is not None and row is column  # −|a − c|² of rows among themselves
    symmetric = C is None and not per_row and (column is None or mirrored) and kind != "both"
    symmetric = symmetric and (kind != "sum" or row is None or row.dim() == 0 or mirrored)
    plan = plan_of(relation, scores.shape, A.device, symmetric)
    mirrored = mirrored and plan.symmetric
    inside = row if mirrored or kind in ("sum", "both") else None
    if inside is not None and inside.dim() == 0:
        inside = inside.expand(len(A))
    number = 1.0 if isinstance(scale, Tensor) else float(scale)
    job = Job(kind, relation, beta, through, function, derivative, scores.bounded, number, mirrored, torch.is_grad_enabled())
    tensors = (A, C, scale if isinstance(scale, Tensor) else None, inside, None if mirrored else column)
    found: tuple[Tensor, ...] = _Tiled.apply(job, plan, *tensors)  # type: ignore[no-untyped-call]
    if row is None or inside is not None:
        return found
    if kind == "mean":
        return torch.where(found[1], found[0] + row, found[0]), found[1]
    return (found[0] + row, *found[1:])


class _Tiled(torch.autograd.Function):
    """Row statistics of s_ij = scale_i a_i · c_j + row_i + column_j. C None: the candidates are the anchors."""

    @staticmethod
    def forward(
        ctx: Any, job: Job, plan: Plan, A: Tensor, C: Tensor | None, scale: Tensor | None, row: Tensor | None, column: Tensor | None
    ) -> tuple[Tensor, ...]:
        ctx.save_for_backward(A, C, scale, row, column)
        tiles = _tiles(job, plan, A, C, scale, row, column)
        ctx.job, ctx.sums, ctx.wide, ctx.mean = job, None, False, None
        wants = [job.learning and need for need in ctx.needs_input_grad[2:]]
        if job.kind == "sum":
            ctx.plan = plan
            assert job.function is not None
            return (_back(function_sums(tiles, job.function).to(A.dtype), plan.row_order),)
        shift, ctx.wide = _shift(tiles, job)
        sums = None
        if not (plan.symmetric and shift is None):
            frozen = job.kind == "lse" and C is not None and wants[0] and not wants[1] and not wants[4]
            keep = plans.KEEP if any(wants) and not frozen else 0
            sums = _sums(tiles, job, shift, ctx.wide, frozen, keep)
            if plan.symmetric and ctx.wide and not _good(sums):
                sums = None
        if sums is None:  # no shift serves all rows: their own maxima, without the symmetry
            plan = plan_of(job.relation, plan.shape, A.device, False)
            tiles = _tiles(job, plan, A, C, scale, row, column)
            sums = _sums(tiles, job, None, True, False, 0)
        ctx.plan, ctx.sums = plan, sums
        if job.kind == "mean":
            assert sums.first is not None
            ctx.mean = sums.first / sums.mass.masked_fill(sums.mass == 0, 1.0)
            there = _back(sums.mass > 0, plan.row_order)
            ctx.mark_non_differentiable(there)
            return _back(ctx.mean.to(A.dtype), plan.row_order), there
        rows = _back(sums.lse().to(A.dtype), plan.row_order)
        return (rows, _back(sums.column_lse().to(A.dtype), plan.column_order)) if job.kind == "both" else (rows,)

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # type: ignore[override]
        job, plan, sums = ctx.job, ctx.plan, ctx.sums
        inputs = ctx.saved_tensors
        needs = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            return None, None, *densely(job, plan, inputs, needs, gradients)
        A, C, scale, row, column = inputs
        tiles = _tiles(job, plan, A, C, scale, row, column)
        g = _ordered(gradients[0], plan.row_order)
        doubled = C is None and not plan.symmetric
        wanted = (needs[0], needs[1] or (doubled and needs[0]), needs[2], needs[3], needs[4] or (job.mirrored and doubled and needs[3]))
        if job.kind == "sum":
            found = pull(tiles, _function_turn(tiles, job, g), wanted)
        else:
            x = torch.where(sums.mass > 0, g.double() / sums.mass, 0.0)
            if sums.pulled is not None:
                D = sums.pulled * x.to(A.dtype)[:, None]
                found = finish(tiles, D, None, None, None, wanted)
            else:
                found = pull(tiles, _exp_turn(tiles, job, sums, x, gradients, ctx), wanted, sums.kept)
        dA, dC = _back(found.A, plan.row_order), _back(found.C, plan.column_order)
        drow, dcolumn = _back(found.row, plan.row_order), _back(found.column, plan.column_order)
        dscale = _back(found.scale, plan.row_order) if found.scale is not None and found.scale.dim() else found.scale
        if doubled and dA is not None:
            dA, dC = dA + dC, None
        if job.mirrored and doubled and drow is not None:
            drow, dcolumn = drow + dcolumn, None
        if drow is not None and plan.symmetric and not job.mirrored:
            drow = 0.5 * drow  # a bias of all rows: both sides were counted
        return None, None, dA if needs[0] else None, dC if needs[1] else None, dscale, drow, dcolumn if needs[4] else None


def _tiles(job: Job, plan: Plan, A: Tensor, C: Tensor | None, scale: Tensor | None, row: Tensor | None, column: Tensor | None) -> Tiles:
    """The operands in the order of the plan."""
    left = _ordered(A, plan.row_order)
    same = C is None and plan.row_order is plan.column_order
    right = left if same else _ordered(A if C is None else C, plan.column_order)
    if scale is not None:
        scale = (_ordered(scale, plan.row_order)[:, None] if scale.dim() else scale).to(A.dtype)
    column = row if job.mirrored else column
    rows = None if row is None else _ordered(row, plan.row_order).to(A.dtype)
    columns = None if column is None else _ordered(column, plan.column_order).to(A.dtype)
    unit = BITS if job.kind in ("lse", "both") and job.bits else 1.0
    return Tiles(left, right, job.number if scale is None else scale, rows, columns, plan, unit)


def tiles_of(scores: Scores, plan: Plan) -> Tiles:
    """The tiles of scores, to look at (no gradient)."""
    A, C = scores.anchors.to(scores.dtype), scores.candidates.to(scores.dtype)
    scale = scores.scale if isinstance(scores.scale, Tensor) else None
    row = None if scores.row is None else scores.row.expand(len(A))
    job = Job("lse", plan.relation, number=1.0 if scale is not None else float(scores.scale), bits=False)  # type: ignore[arg-type]
    return _tiles(job, plan, A, C, scale, row, scores.column)


def _sums(tiles: Tiles, job: Job, shift: float | None, wide: bool, pulled: bool, keep: int) -> Sums:
    return exp_sums(
        tiles, beta=job.beta, first=job.kind == "mean", shift=shift, wide=wide, columns=job.kind == "both", pulling=pulled, keep=keep
    )


def bound(scale: float | Tensor, A: Tensor, C: Tensor, biases: tuple[Tensor | None, ...], bounded: bool) -> float:
    """The largest |s_ij| there can be."""
    size = float(scale.detach().abs().max()) if isinstance(scale, Tensor) else abs(scale)
    if not bounded:
        first = float(torch.linalg.vector_norm(A, dim=1).max())
        size *= first * (first if C is A else float(torch.linalg.vector_norm(C, dim=1).max()))
    return size + sum(float(b.detach().abs().max()) for b in biases if b is not None)


def _shift(tiles: Tiles, job: Job) -> tuple[float | None, bool]:
    """(the shift for all rows, or None for their running maxima; whether exponents must be clamped)."""
    largest = abs(job.beta) * bound(tiles.scale, tiles.A, tiles.C, (tiles.row, tiles.column), job.bounded)
    if largest <= HIGH:
        return 0.0, False
    if not tiles.plan.symmetric:
        return None, True
    return _sampled_shift(tiles, job.beta), True


def _sampled_shift(tiles: Tiles, beta: float) -> float | None:
    """A shift that should serve all rows of symmetric scores, by a look at some; None where their maxima lie too far apart."""
    n = len(tiles.A)
    rows, columns = (torch.arange(0, n, max(n // size, 1), device=tiles.A.device) for size in (_SAMPLE, 4 * _SAMPLE))
    S = (tiles.A[rows] * tiles.scale) @ tiles.A[columns].T
    if tiles.row is not None and tiles.column is not None:
        S += tiles.row[rows, None] + tiles.column[columns]
    S = S.mul_(beta).masked_fill_(rows[:, None] == columns, -torch.inf)
    tops = S.amax(1)
    low, high = float(tops.min()), float(tops.max())
    return 0.5 * (low + high) - 10.0 if high - low < 100.0 else None  # NaN: None


def _good(sums: Sums) -> bool:
    """Whether the common shift was right for every row: none was clamped where it matters."""
    mass = sums.mass
    return bool(((mass == 0) | ((mass > _LEAST) & (mass < _MOST))).all())


def _exp_turn(tiles: Tiles, job: Job, sums: Sums, x: Tensor, gradients: tuple[Tensor, ...], ctx: Any) -> Turn:
    x = x.to(tiles.A.dtype)
    if job.kind == "mean":
        mean, y = (ctx.mean.to(x.dtype), x * job.beta) if job.through else (None, None)
        return exp_turn(tiles, sums, x, y=y, mean=mean, beta=job.beta, wide=ctx.wide)
    below = None
    if job.kind == "both":
        assert sums.column_mass is not None
        g = _ordered(gradients[1], ctx.plan.column_order).double()
        below = torch.where(sums.column_mass > 0, g / sums.column_mass, 0.0).to(tiles.A.dtype)
    return exp_turn(tiles, sums, x, below=below, beta=job.beta, wide=ctx.wide)


def _function_turn(tiles: Tiles, job: Job, g: Tensor) -> Turn:
    function, derivative = job.function, job.derivative
    assert function is not None

    def by_autograd(S: Tensor) -> Tensor:
        with torch.enable_grad():
            S = S.detach().requires_grad_()
            value = function(S)
        return torch.autograd.grad(value, S, torch.ones_like(value))[0]

    return function_turn(tiles, derivative or by_autograd, g)


def densely(job: Job, plan: Plan, inputs: tuple[Any, ...], needs: tuple[bool, ...], gradients: tuple[Tensor, ...]) -> list[Tensor | None]:
    """The gradient as a graph of its own, for second derivatives: to (anchors, candidates, scale, row, column)."""
    n, m = plan.shape
    if n * m > DENSE_LIMIT:
        raise OptionError(
            f"second derivatives of {n} x {m} scores are asked for (create_graph=True), which is allowed up to {DENSE_LIMIT} scores;"
            " use fewer rows"
        )
    A, C, scale, row, column = inputs
    scores = Scores(A, A if C is None else C, job.number if scale is None else scale, row, row if job.mirrored else column)
    with torch.enable_grad():
        S, W = scores.matrix(), job.relation.dense(plan.shape, A.device).to(A.dtype)
        values: tuple[Tensor, ...]
        if job.kind == "mean":
            values = (dense.softmax_mean(S, W, job.beta, job.through),)
        elif job.kind == "sum":
            assert job.function is not None
            values = (dense.sum_of(S, W, job.function),)
        else:
            values = (dense.lse(S, W), *((dense.lse(S.T, W.T),) if job.kind == "both" else ()))
        wanted = [x for x, need in zip(inputs, needs) if need]
        found = iter(torch.autograd.grad(values, wanted, gradients[: len(values)], create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]


def _ordered(x: Tensor, order: Tensor | None) -> Tensor:
    return x if order is None else x[order]


def _back(x: Any, order: Tensor | None) -> Any:
    """Into the order that was given."""
    if x is None or order is None:
        return x
    out = torch.empty_like(x)
    out[order] = x
    return out
