"""Where a piece of a volume lies, told by its similarity to the pieces of a grid (VoCo, paper 088)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import NotNegative, Share
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Rows, requires
from counterpoint.terms.alignment import in_one_order, position_of


@requires(column=("{overlap}",))
def placed(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    space: str = "z",
    teacher: str = "teacher",
    overlap: str = "overlap",
    hard: bool = False,
    leak: Share = 0.01,
) -> RowLoss:
    """The cosine of a crop with each cell of its volume's grid equals the share of the crop that lies there, one value an item, (b,).

    l_ij = ½ [r(cos(x_i, b'_j)) + r(cos(x'_i, b_j))],  r(s) = max(s, leak · s),  a prime: the teacher,  d_ij = |y_ij − l_ij| / (1 + leak),
    L = −Σ_ij y_ij log(1 − d_ij) / Σ_ij y_ij + Σ_{y_ij = 0} l_ij² / #{y_ij = 0}.   Sums run over the crops i and cells j of one item.

    space: rows of the student; views "base" in the order of the cells, and "crop".
    teacher: rows of the teacher, of the same views.
    overlap: key of the crops, (rows, cells): y.
    hard: only the cell with the largest share counts, as a whole: the control.
    leak: slope below 0, so that a cell whose cosine begins negative is pulled at all; 0 as published.
    """
    own, other = _pieces(out[space]), _pieces(out[teacher])
    y = torch.stack([view.keys[overlap] for view in own[1]], 1).float() if overlap in out[space].keys else None
    if y is None or y.shape[2] != len(own[0]):
        raise RequirementError(f"the crops need the key {overlap!r} with one share per cell, {len(own[0])} of them; views.grid makes it")
    if hard:
        y = functional.one_hot(y.argmax(2), y.shape[2]).to(y.dtype)
    with torch.autocast(y.device.type, enabled=False):
        found = (_cosines(own[1], other[0], leak) + _cosines(other[1], own[0], leak)) / 2  # (b, crops, cells)
        far = (y - found).abs() / (1 + leak)  # at most 1, so that the logarithm has a slope everywhere
        near = -(y * (1 - far).clamp(min=1e-6).log()).sum((1, 2)) / y.sum((1, 2)).clamp(min=1e-6)
        empty = (y == 0).to(found.dtype)
        values = near + (empty * found.square()).sum((1, 2)) / empty.sum((1, 2)).clamp(min=1)
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool))


def cells_apart(out: Embeddings, tables: Mapping[str, Any], now: Progress, *, space: str = "z", leak: NotNegative = 0.0) -> RowLoss:
    """The cells of one volume do not look alike: mean over pairs j < k of r(cos(b_j, b_k))², b_k a constant, one value an item, (b,).

    space: rows of the student.
    leak: slope of r below 0.
    """
    base = _pieces(out[space])[0]
    with torch.autocast(base[0].z.device.type, enabled=False):
        b = functional.normalize(torch.stack([view.z for view in base], 1).float(), dim=2)
        s = functional.leaky_relu(b @ b.detach().transpose(1, 2), leak).square()  # (b, cells, cells)
        above = torch.triu(torch.ones_like(s[0]), 1)
        values = (s * above).sum((1, 2)) / above.sum().clamp(min=1)
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool))


def _pieces(rows: Rows) -> tuple[list[Rows], list[Rows]]:
    """The views "base" and the views "crop", each with its rows in one order of items."""
    places = [i for i, role in enumerate(rows.roles) if role in ("base", "crop")]
    roles = [rows.roles[i] for i in places]
    if not {"base", "crop"} <= set(roles):
        raise RequirementError(f"views named 'base' and 'crop' are needed, and there are {', '.join(rows.roles) or 'none'}")
    views = in_one_order([position_of(rows, i) for i in places])
    return [v for v, role in zip(views, roles) if role == "base"], [v for v, role in zip(views, roles) if role == "crop"]


def _cosines(crops: list[Rows], cells: list[Rows], leak: float) -> Tensor:
    """(b, crops, cells), negative ones by the slope."""
    one, two = (functional.normalize(torch.stack([v.z for v in views], 1).float(), dim=2) for views in (crops, cells))
    return functional.leaky_relu(one @ two.transpose(1, 2), leak)
