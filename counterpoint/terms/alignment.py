"""Rows of two selections that belong together: by item, never by position."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.arrangement import arrangement, of_views
from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Rows


def align(first: Rows, second: Rows, keys: tuple[str, ...] = ("item",)) -> tuple[Tensor, Tensor]:
    """Positions (k,), (k,) of rows of one item: the r-th row of an item in `first` meets its r-th row in `second`.

    Rows whose item is unknown (−1) or absent on the other side are left out. The result is in the order of `first`.

    keys: "item", or several keys that have to be equal.
    """
    for rows in (first, second):
        for key in keys:
            if key not in rows.keys:
                raise RequirementError(f"rows without the key {key!r} cannot be aligned; they have {', '.join(rows.keys) or 'no keys'}")
    one, two = arrangement(first), arrangement(second)
    if keys == ("item",) and one is not None and two is not None and one.items is two.items and len(first) == len(second):
        everything = torch.arange(len(first), device=first.z.device)
        return everything, everything
    a, b = (torch.stack([rows.keys[key] for key in keys], 1) for rows in (first, second))
    everything, known = torch.arange(len(a), device=a.device), (a >= 0).all(1)
    if a.shape == b.shape and bool((a == b).all()) and bool(known.all()):
        return everything, everything
    _, codes = torch.cat([a, b]).unique(dim=0, return_inverse=True)
    left, (right, order) = _numbered(codes[: len(a)], len(codes)), _numbered(codes[len(a) :], len(codes)).sort()
    place = torch.searchsorted(right, left).clamp(max=max(len(right) - 1, 0))
    found = (right[place] == left) & known if len(right) else torch.zeros_like(known)
    return everything[found], order[place[found]] if len(right) else everything[:0]


def _numbered(codes: Tensor, size: int) -> Tensor:
    """Each code < size with its occurrence number among equal codes, as one number."""
    ordered, order = codes.sort(stable=True)
    begin = torch.searchsorted(ordered, ordered)
    number = torch.empty_like(codes)
    number[order] = torch.arange(len(codes), device=codes.device) - begin
    return codes * size + number


def position_of(rows: Rows, view: int) -> Rows:
    """The rows of the view at this position in the list of views."""
    known = of_views(rows, (view,))
    return rows.where(rows.keys["view"] == view) if known is None else known


def in_one_order(views: list[Rows]) -> list[Rows]:
    """The views (b, …) each with their rows in one order of items; an item that a view lacks is left out of all."""
    placed = [align(views[0], view) for view in views]
    everywhere = torch.stack([torch.zeros(len(views[0]), device=views[0].z.device).index_fill(0, left, 1) for left, _ in placed]).all(0)
    return [view.where(right[everywhere[left]]) for view, (left, right) in zip(views, placed, strict=True)]
