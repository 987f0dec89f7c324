"""Rows of two selections that belong together: by item, never by position."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Rows


def align(first: Rows, second: Rows) -> tuple[Tensor, Tensor]:
    """Positions (k,), (k,) of rows of one item: the r-th row of an item in `first` meets its r-th row in `second`.

    Rows whose item is unknown (−1) or absent on the other side are left out. The result is in the order of `first`.
    """
    for rows in (first, second):
        if "item" not in rows.keys:
            raise RequirementError(f"rows without the key 'item' cannot be aligned; they have {', '.join(rows.keys) or 'no keys'}")
    a, b = first.keys["item"], second.keys["item"]
    everything = torch.arange(len(a), device=a.device)
    if a.shape == b.shape and bool((a == b).all()) and bool((a >= 0).all()):
        return everything, everything
    _, codes = torch.cat([a, b]).unique(return_inverse=True)
    one, (two, order) = _numbered(codes[: len(a)], len(codes)), _numbered(codes[len(a) :], len(codes)).sort()
    place = torch.searchsorted(two, one).clamp(max=max(len(two) - 1, 0))
    found = (two[place] == one) & (a >= 0) if len(two) else torch.zeros_like(a, dtype=torch.bool)
    return everything[found], order[place[found]] if len(two) else everything[:0]


def _numbered(codes: Tensor, size: int) -> Tensor:
    """Each code < size with its occurrence number among equal codes, as one number."""
    ordered, order = codes.sort(stable=True)
    begin = torch.searchsorted(ordered, ordered)
    number = torch.empty_like(codes)
    number[order] = torch.arange(len(codes), device=codes.device) - begin
    return codes * size + number


def position_of(rows: Rows, view: int) -> Rows:
    """The rows of the view at this position in the list of views."""
    return rows.where(rows.keys["view"] == view)
