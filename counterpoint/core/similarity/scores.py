"""Scores between two sets of rows, described and not stored.

s_ij = scale_i · (a_i · c_j) + row_i + column_j          a: anchors (n, d), c: candidates (m, d)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError
from counterpoint.core.similarity.precision import full_precision_backward

DENSE_LIMIT = 1 << 24  # the largest n·m for which a whole matrix of scores may exist (64 MiB in float32)


@dataclass(frozen=True, eq=False)
class Scores:
    """All scores s_ij = scale_i · (a_i · c_j) + row_i + column_j between n anchors and m candidates.

    anchors:    (n, d) float; the same object as `candidates` where rows are compared with themselves (half the work is saved then).
    candidates: (m, d) float.
    scale:      a number, a scalar tensor (may learn), or (n,): one over the temperature, per anchor.
    row:        None or (n,) or scalar: added to all scores of an anchor.
    column:     None or (m,): added to all scores of a candidate (log class counts, −|c|², …).
    bounded:    rows of both sides have norm ≤ 1, so that |a_i · c_j| ≤ 1 needs no look at the data.
    dense:      None, or the (n, m) scores themselves (learned similarity); plain autograd, refused above 2²⁴ scores. `scale`,
                `row` and `column` then act on it in the place of a_i · c_j; `anchors` and `candidates` are not read.
    """

    anchors: Tensor
    candidates: Tensor
    scale: float | Tensor = 1.0
    row: Tensor | None = None
    column: Tensor | None = None
    bounded: bool = False
    dense: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(n, m)."""
        if self.dense is not None:
            return self.dense.shape[0], self.dense.shape[1]
        return self.anchors.shape[0], self.candidates.shape[0]

    @property
    def device(self) -> torch.device:
        return self.anchors.device if self.dense is None else self.dense.device

    @property
    def dtype(self) -> torch.dtype:
        """float32, or float64 where an input is."""
        if self.dense is not None:
            return torch.float64 if self.dense.dtype == torch.float64 else torch.float32
        wide = self.anchors.dtype == torch.float64 or self.candidates.dtype == torch.float64
        return torch.float64 if wide else torch.float32

    @property
    def selfsame(self) -> bool:
        """Whether the anchors are the candidates."""
        return self.dense is None and self.anchors is self.candidates

    def times(self, scale: float | Tensor) -> Scores:
        """These scores times a number, a scalar tensor, or one factor per anchor (n,)."""
        if isinstance(scale, Tensor) and scale.dim():
            self._check(scale, "scale")
            if self.column is not None:  # scale_i · column_j is no bias any more, but still one more coordinate
                return self._column_inside().times(scale)
        return replace(
            self,
            scale=self.scale * scale,
            row=None if self.row is None else self.row * scale,
            column=None if self.column is None else self.column * scale,
        )

    def divide(self, temperature: float | Tensor) -> Scores:
        """These scores over a temperature > 0: a number, a scalar tensor, or one per anchor (n,)."""
        if not isinstance(temperature, Tensor) and not temperature > 0:
            raise OptionError(f"temperature = {temperature!r} is not allowed; it must be > 0")
        return self.times(1.0 / temperature)

    def plus(self, bias: float | Tensor) -> Scores:
        """These scores plus a number, a scalar tensor, or one bias per anchor (n,)."""
        if isinstance(bias, Tensor):
            if bias.dim():
                self._check(bias, "bias")
        elif bias == 0:
            return self
        else:
            bias = torch.full((), bias, dtype=self.dtype, device=self.device)
        return replace(self, row=bias if self.row is None else self.row + bias)

    def plus_column(self, bias: Tensor) -> Scores:
        """These scores plus one bias per candidate (m,)."""
        if bias.shape != (self.shape[1],):
            raise OptionError(f"a column bias of shape {tuple(bias.shape)} for {self.shape[1]} candidates; it must be ({self.shape[1]},)")
        return replace(self, column=bias if self.column is None else self.column + bias)

    def transposed(self) -> Scores:
        """The scores with anchors and candidates exchanged. A temperature per anchor moves into the rows."""
        scores, n = self, self.shape[0]
        if isinstance(self.scale, Tensor) and self.scale.dim():
            rows = dict(anchors=self.anchors * self.scale[:, None]) if self.dense is None else dict(dense=self.dense * self.scale[:, None])
            scores = replace(self, scale=1.0, bounded=False, **rows)  # type: ignore[arg-type]
        return replace(
            scores,
            anchors=scores.candidates,
            candidates=scores.anchors,
            row=scores.column,
            column=None if scores.row is None else scores.row.expand(n),
            dense=None if scores.dense is None else scores.dense.T,
        )

    def detach(self) -> Scores:
        """The same scores without a gradient; anchors that are the candidates stay so."""
        anchors = self.anchors.detach()
        return replace(
            self,
            anchors=anchors,
            candidates=anchors if self.candidates is self.anchors else self.candidates.detach(),
            scale=_detached(self.scale),
            row=_detached(self.row),
            column=_detached(self.column),
            dense=_detached(self.dense),
        )

    def matrix(self) -> Tensor:
        """The (n, m) scores, by plain autograd. Refused above 2²⁴ scores."""
        n, m = self.shape
        if n * m > DENSE_LIMIT:
            raise OptionError(
                f"{n} x {m} scores are asked for as one matrix, which is allowed up to {DENSE_LIMIT} scores; use fewer rows or a"
                " statistic that streams"
            )
        if self.dense is None:
            raw = self.anchors.to(self.dtype) @ self.candidates.to(self.dtype).T
        else:
            raw = self.dense.to(self.dtype)
        scale = self.scale[:, None] if isinstance(self.scale, Tensor) and self.scale.dim() else self.scale
        if not (isinstance(scale, float) and scale == 1.0):
            raw = raw * scale
        if self.row is not None:
            raw = raw + (self.row[:, None] if self.row.dim() else self.row)
        return raw if self.column is None else raw + self.column

    def _column_inside(self) -> Scores:
        """The column bias as one more coordinate of the candidates."""
        assert self.column is not None
        if self.dense is not None:
            return replace(self, dense=self.dense * self.scale + self.column, scale=1.0, column=None)
        scale = self.scale[:, None] if isinstance(self.scale, Tensor) and self.scale.dim() else self.scale
        one = self.anchors.new_ones(len(self.anchors), 1)
        anchors = torch.cat([self.anchors * scale, one], 1)
        candidates = torch.cat([self.candidates, self.column[:, None].to(self.candidates.dtype)], 1)
        return replace(self, anchors=anchors, candidates=candidates, scale=1.0, column=None, bounded=False)

    def _check(self, vector: Tensor, name: str) -> None:
        if vector.shape != (self.shape[0],):
            raise OptionError(
                f"a {name} of shape {tuple(vector.shape)} for {self.shape[0]} anchors; it must be a scalar or ({self.shape[0]},)"
            )


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


class _Unit(torch.autograd.Function):
    """(x / |x|, 1 / |x|), which are all that the backward keeps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        inverse = torch.linalg.vector_norm(x, dim=1, keepdim=True).reciprocal_().nan_to_num_(nan=math.nan, posinf=0.0)  # 0: no direction
        unit = x * inverse
        ctx.save_for_backward(unit, inverse)
        ctx.set_materialize_grads(False)
        return unit, inverse

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, gradient: Tensor | None, to_inverse: Tensor | None) -> Any:  # type: ignore[override]
        unit, inverse = ctx.saved_tensors
        found = None
        if gradient is not None:
            along = torch.linalg.vecdot(unit, gradient)[:, None]
            found = torch.addcmul(gradient, unit, along, value=-1)
            found = found * inverse if torch.is_grad_enabled() else found.mul_(inverse)
        if to_inverse is not None:  # in second derivatives only
            other = -to_inverse * inverse.square() * unit
            found = other if found is None else found + other
        return found


def unit(x: Tensor) -> Tensor:
    """Rows of norm 1, in float32 at least. x (n, d); a row of zeros stays zero."""
    if not torch.is_autocast_enabled(x.device.type):
        return _Unit.apply(_wide(x))[0]  # type: ignore[no-any-return, no-untyped-call]
    with torch.autocast(x.device.type, enabled=False):
        return _Unit.apply(_wide(x))[0]  # type: ignore[no-any-return, no-untyped-call]


def _wide(x: Tensor) -> Tensor:
    if x.dim() != 2:
        raise OptionError(f"rows of shape {tuple(x.shape)}; a similarity needs (rows, width)")
    return x if x.dtype == torch.float64 else x.float()


def _pair(anchors: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
    if anchors.shape[1:] != candidates.shape[1:]:
        raise OptionError(f"anchors of shape {tuple(anchors.shape)} and candidates of shape {tuple(candidates.shape)} differ in width")
    wide = _wide(anchors)
    return wide, wide if candidates is anchors else _wide(candidates)


def cosine(anchors: Tensor, candidates: Tensor) -> Scores:
    """s_ij = a_i · c_j / (|a_i| |c_j|); anchors (n, d), candidates (m, d). Normalised in float32 at least."""
    if anchors.shape[1:] != candidates.shape[1:]:
        raise OptionError(f"anchors of shape {tuple(anchors.shape)} and candidates of shape {tuple(candidates.shape)} differ in width")
    first = unit(anchors)
    return Scores(first, first if candidates is anchors else unit(candidates), bounded=True)


def dot(anchors: Tensor, candidates: Tensor) -> Scores:
    """s_ij = a_i · c_j, unbounded; anchors (n, d), candidates (m, d)."""
    return Scores(*_pair(anchors, candidates))


def negative_squared_distance(anchors: Tensor, candidates: Tensor) -> Scores:
    """s_ij = −|a_i − c_j|² = 2 a_i · c_j − |a_i|² − |c_j|²; anchors (n, d), candidates (m, d)."""
    first, second = _pair(anchors, candidates)
    row = -first.square().sum(1)
    return Scores(first, second, 2.0, row, row if second is first else -second.square().sum(1))


def learned(dense: Tensor) -> Scores:
    """Scores that a network has given as a matrix (n, m). Refused above 2²⁴ scores, for it grows with n·m."""
    if dense.dim() != 2 or dense.numel() > DENSE_LIMIT:
        raise OptionError(
            f"learned scores of shape {tuple(dense.shape)} are not allowed; they must be a matrix of at most {DENSE_LIMIT} scores"
            " (a similarity of rows, such as cosine or dot, has no such limit)"
        )
    empty = dense.new_empty(0, 0)
    return Scores(empty, empty, dense=dense)
