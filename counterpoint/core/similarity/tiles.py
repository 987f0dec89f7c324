"""Sums over tiles of the scores, forward and backward. Everything here is in the order of a plan, and none of it builds a graph.

Exponentials are taken of s − shift, where the shift is a number for all rows (so that a tile serves its rows and, transposed, its
columns) or runs with the rows' maxima. They are powers of two of scores in bits (s · log₂ e, folded into the scale): three times as
fast as exp on CPUs, and as fast below 2⁻¹²⁶, where exp slows down thirtyfold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.similarity import kernels
from counterpoint.core.similarity.plan import Cell, Plan
from counterpoint.core.similarity.precision import ln

HIGH = 80.0  # exponents are kept between −80 and 80
BITS = math.log2(math.e)
_MASKED = -1e38  # a score that is no candidate, where a maximum is taken


@dataclass
class Tiles:
    """Scores of a plan, tile by tile, in buffers that are used again.

    A (n, d), C (m, d), in the order of the plan; the same object where the plan is symmetric.   scale: number, scalar or (n, 1).
    row (n,), column (m,): biases or None.   unit: of the scores, 1 or BITS.
    """

    A: Tensor
    C: Tensor
    scale: float | Tensor
    row: Tensor | None
    column: Tensor | None
    plan: Plan
    unit: float = 1.0

    def __post_init__(self) -> None:
        self._buffers: dict[int, Tensor] = {}
        self._views: dict[tuple[int, int, int], Tensor] = {}
        self._row, self._column = (b if b is None or self.unit == 1.0 else b * self.unit for b in (self.row, self.column))

    def buffer(self, number: int) -> Tensor:
        """A flat buffer for one tile."""
        if number not in self._buffers:
            self._buffers[number] = self.A.new_empty(self.plan.size)
        return self._buffers[number]

    def like(self, number: int, E: Tensor) -> Tensor:
        """Another buffer in the shape of a tile."""
        return self._shaped(number, *E.shape)

    def _shaped(self, number: int, height: int, width: int) -> Tensor:
        """A buffer as a tile; tiles have few shapes."""
        key = number, height, width
        if key not in self._views:
            self._views[key] = self.buffer(number)[: height * width].view(height, width)
        return self._views[key]

    def left(self, r0: int, r1: int, unit: float | None = None) -> Tensor:
        """Scaled anchors of a stripe, in the unit of the scores."""
        A, unit = self.A[r0:r1], self.unit if unit is None else unit
        if isinstance(self.scale, Tensor):
            return A * (unit * (self.scale[r0:r1] if self.scale.dim() else self.scale))
        return A if self.scale * unit == 1.0 else A * (self.scale * unit)

    def blank(self, cell: Cell) -> Tensor:
        """Room for the scores of a cell."""
        return self._shaped(0, cell.r1 - cell.r0, cell.c1 - cell.c0)

    def scores(self, left: Tensor, cell: Cell) -> Tensor:
        """The scores of a cell in their unit."""
        S = torch.mm(left, self.C[cell.c0 : cell.c1].T, out=self.blank(cell))
        if self._row is not None:
            S.add_(self._row[cell.r0 : cell.r1, None])
        if self._column is not None:
            S.add_(self._column[cell.c0 : cell.c1])
        return S

    def scratch(self) -> Tensor:
        return self.buffer(3) if any(c.kept or c.equal for _, _, cells in self.plan.stripes for c in cells) else self.A.new_empty(0)


@dataclass
class Sums:
    """Σ_j w_ij exp(β s_ij − shift_i), and with the factor s_ij: (n,) float64 each; of the columns where asked for (m,).

    shift: in bits.
    """

    mass: Tensor
    first: Tensor | None
    shift: float | Tensor
    column_mass: Tensor | None = None
    pulled: Tensor | None = None  # Σ_j w_ij exp(s_ij − shift_i) c_j, (n, d)
    kept: dict[tuple[int, int], Tensor] = field(default_factory=dict)  # (r0, c0) → a tile of exponentials

    def lse(self) -> Tensor:
        return ln(self.mass) + self._natural()

    def column_lse(self) -> Tensor:
        assert self.column_mass is not None
        return ln(self.column_mass) + self._natural()

    def _natural(self) -> float | Tensor:
        return self.shift.double() / BITS if isinstance(self.shift, Tensor) else self.shift / BITS


def exp_sums(
    tiles: Tiles,
    *,
    beta: float = 1.0,
    first: bool = False,
    shift: float | None = 0.0,
    wide: bool = False,
    columns: bool = False,
    pulling: bool = False,
    keep: int = 0,
) -> Sums:
    """Sums of exponentials; of tiles in bits, or with `first` in nats.

    shift: for all rows; None = every row's running maximum.   wide: exponents may leave what a float can hold, and are clamped.
    columns: sum over columns too (never with a running maximum).   pulling: fill `pulled`.   keep: of how many scores the exponentials are
    kept, whole tiles, as long as they have the shift that they end with.
    """
    plan, scratch = tiles.plan, tiles.scratch()
    n, m = plan.shape
    mass = tiles.A.new_zeros(n, dtype=torch.float64)
    moment = torch.zeros_like(mass) if first else None
    below = mass if plan.symmetric else tiles.A.new_zeros(m, dtype=torch.float64) if columns else None
    tops = tiles.A.new_full((n,), _MASKED) if shift is None else None
    pulled = torch.zeros_like(tiles.A) if pulling else None
    common, clamped = (shift or 0.0) * BITS, wide or shift is None
    room = 0 if first or (tops is not None and not plan.single) else keep
    kept: dict[tuple[int, int], Tensor] = {}
    fused = tops is None and not wide and moment is None
    for r0, r1, cells in plan.stripes:
        left, of_rows = tiles.left(r0, r1), mass[r0:r1]
        for cell in cells:
            c0, c1 = cell.c0, cell.c1
            S = E = tiles.scores(left, cell)
            size = S.numel()
            if first:
                E = torch.mul(S, beta * BITS, out=tiles.like(1, S))
            by = common if tops is None else _rise(plan, cell, E, tops, scratch, (mass, moment, pulled))
            into = E
            if size <= room:  # made in a buffer that the cache holds, its exponentials in memory of their own
                room -= size
                into = kept[r0, c0] = torch.empty_like(E)
            if fused and cell.free and kernels.usable(E):
                sums = kernels.exponentials(E if into is E else into.copy_(E), common, below is not None and (cell.mirrored or columns))
                of_rows += sums[0]
                if sums[1] is not None and below is not None:
                    below[c0:c1] += sums[1]
            else:
                E = _exp(E, by, clamped, into)
                if not cell.free:
                    W = plan.mask(cell, E, 0.0, scratch)
                    if W is not None:
                        E.mul_(W)
                of_rows += E.sum(1)
                if below is not None and (cell.mirrored or columns):
                    below[c0:c1] += E.sum(0)
            if pulled is not None:
                pulled[r0:r1].addmm_(E, tiles.C[c0:c1])
            if moment is not None:
                S.mul_(E)
                moment[r0:r1] += S.sum(1)
                if cell.mirrored:
                    moment[c0:c1] += S.sum(0)
    return Sums(mass, moment, common if tops is None else tops, None if plan.symmetric else below, pulled, kept)


def _rise(plan: Plan, cell: Cell, E: Tensor, tops: Tensor, scratch: Tensor, sums: tuple[Tensor | None, ...]) -> Tensor:
    """The rows' maxima so far, (rows, 1), with this cell's; what was summed under lower ones is brought to them."""
    plan.mask(cell, E, _MASKED, scratch)
    rows = slice(cell.r0, cell.r1)
    top = torch.maximum(tops[rows], E.amax(1))
    fade = (tops[rows] - top).exp2_()
    tops[rows] = top
    for total in sums:
        if total is not None:
            total[rows] *= fade if total.dim() == 1 else fade[:, None]
    return top[:, None]


def _exp(E: Tensor, shift: float | Tensor, wide: bool, out: Tensor) -> Tensor:
    if isinstance(shift, Tensor) or shift:
        E.sub_(shift)
    if wide:
        E.clamp_(-HIGH * BITS, HIGH * BITS)
    return torch.exp2(E, out=out)


def function_sums(tiles: Tiles, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Σ_j w_ij f(s_ij), (n,) float64."""
    plan, scratch = tiles.plan, tiles.scratch()
    total = tiles.A.new_zeros(plan.shape[0], dtype=torch.float64)
    for r0, r1, cells in plan.stripes:
        left = tiles.left(r0, r1)
        for cell in cells:
            F = function(tiles.scores(left, cell))
            W = plan.mask(cell, F, 0.0, scratch)
            if W is not None:
                F.mul_(W)
            total[r0:r1] += F.sum(1)
            if cell.mirrored:
                total[cell.c0 : cell.c1] += F.sum(0)
    return total


# ---- backward: a turn makes of the scores S of a cell the gradient G to them

Turn = Callable[[Cell, Tensor], Tensor]


def exp_turn(
    tiles: Tiles,
    sums: Sums,
    x: Tensor,
    *,
    below: Tensor | None = None,
    y: Tensor | None = None,
    mean: Tensor | None = None,
    beta: float = 1.0,
    wide: bool = False,
) -> Turn:
    """G_ij = w_ij exp(β s_ij − shift_i) · (x_i + (s_ij − mean_i) y_i).

    `below` (m,): x_i + below_j in the place of x_i. Where the plan is symmetric everything of i is added for j too.
    """
    plan, scratch = tiles.plan, tiles.scratch()
    symmetric = plan.symmetric
    below = x if symmetric else below
    start = x if y is None or mean is None or not symmetric else x - y * mean

    def factor(vector: Tensor, under: Tensor | None, cell: Cell, number: int, E: Tensor) -> Tensor:
        rows = vector[cell.r0 : cell.r1, None]
        return rows if under is None else torch.add(rows, under[cell.c0 : cell.c1], out=tiles.like(number, E))

    def turn(cell: Cell, S: Tensor) -> Tensor:
        kept = sums.kept.get((cell.r0, cell.c0))
        if kept is not None:
            return torch.mul(kept, factor(x, below, cell, 2, S), out=S)
        E = S if y is None and tiles.unit == BITS else torch.mul(S, beta * BITS, out=tiles.like(1, S))
        shift = sums.shift[cell.r0 : cell.r1, None] if isinstance(sums.shift, Tensor) else sums.shift
        bare = cell.free and y is None and not wide and not isinstance(shift, Tensor) and below is not None
        if bare and kernels.usable(E):
            return kernels.gradient(E, float(shift), x[cell.r0 : cell.r1], below[cell.c0 : cell.c1])  # type: ignore[index, arg-type]
        _exp(E, shift, wide or isinstance(shift, Tensor), E)
        W = None if cell.free else plan.mask(cell, E, 0.0, scratch)
        if W is not None:
            E.mul_(W)
        if y is None:
            return E.mul_(factor(x, below, cell, 2, S))
        if not symmetric and mean is not None:  # nothing cancels here
            S.sub_(mean[cell.r0 : cell.r1, None])
        S.mul_(factor(y, y if symmetric else None, cell, 2, S))
        return S.add_(factor(start, start if symmetric else below, cell, 2, S)).mul_(E)

    return turn


def function_turn(tiles: Tiles, derivative: Callable[[Tensor], Tensor], g: Tensor) -> Turn:
    """G_ij = w_ij f'(s_ij) g_i, or with g_i + g_j where the plan is symmetric."""
    plan, scratch = tiles.plan, tiles.scratch()

    def turn(cell: Cell, S: Tensor) -> Tensor:
        D = derivative(S)
        W = plan.mask(cell, D, 0.0, scratch)
        if W is not None:
            D.mul_(W)
        rows = g[cell.r0 : cell.r1, None]
        return D.mul_(torch.add(rows, g[cell.c0 : cell.c1], out=tiles.like(2, D)) if plan.symmetric else rows)

    return turn


@dataclass
class Pulled:
    """Gradients to anchors, candidates, scale, row and column; None where nobody asked."""

    A: Tensor | None
    C: Tensor | None
    scale: Tensor | None
    row: Tensor | None
    column: Tensor | None


def pull(tiles: Tiles, turn: Turn, needs: tuple[bool, bool, bool, bool, bool], kept: Collection[tuple[int, int]] = ()) -> Pulled:
    """Σ_j G_ij c_j and its likes. `needs`: of anchors, candidates, scale, row, column.   kept: cells whose turn needs no scores."""
    plan = tiles.plan
    n, m = plan.shape
    A, C = tiles.A, tiles.C
    want_D = needs[0] or needs[2]
    D = torch.zeros_like(A) if want_D else None
    dC = D if plan.symmetric else torch.zeros_like(C) if needs[1] else None
    drow = A.new_zeros(n) if needs[3] else None
    dcolumn = A.new_zeros(m) if needs[4] else None
    for r0, r1, cells in plan.stripes:
        left, to_rows = tiles.left(r0, r1), None if D is None else D[r0:r1]
        plain = tiles.unit == 1.0 or plan.symmetric or dC is None
        under = A[r0:r1] if plan.symmetric else left if plain else tiles.left(r0, r1, 1.0)
        for cell in cells:
            c0, c1 = cell.c0, cell.c1
            G = turn(cell, tiles.blank(cell) if (r0, c0) in kept else tiles.scores(left, cell))
            if to_rows is not None:
                to_rows.addmm_(G, C[c0:c1])
            if dC is not None and (cell.mirrored or not plan.symmetric):
                dC[c0:c1].addmm_(G.T, under)
            if drow is not None:
                drow[r0:r1] += G.sum(1)
                if cell.mirrored:
                    drow[c0:c1] += G.sum(0)
            if dcolumn is not None:
                dcolumn[c0:c1] += G.sum(0)
    return finish(tiles, D, None if plan.symmetric else dC, drow, dcolumn, needs)


def finish(tiles: Tiles, D: Any, dC: Any, drow: Any, dcolumn: Any, needs: tuple[bool, bool, bool, bool, bool]) -> Pulled:
    """Gradients from D = G · C: the scale's is Σ (D ∘ A), and half of that where D has both sides."""
    scale, dscale = tiles.scale, None
    if needs[2]:
        each = torch.linalg.vecdot(D, tiles.A)
        assert isinstance(scale, Tensor)
        dscale = each if scale.dim() else each.sum() * (0.5 if tiles.plan.symmetric else 1.0)
    if D is not None and not (isinstance(scale, float) and scale == 1.0):
        D = D.mul_(scale)
    return Pulled(D, dC, dscale, drow, dcolumn)
