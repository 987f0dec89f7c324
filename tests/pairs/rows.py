"""Small rows for the tests of pair rules."""

from __future__ import annotations

import torch

from counterpoint.core.recipe import Rows
from counterpoint.core.similarity import Pairs


def rows(bank: bool = False, roles: tuple[str, ...] = (), **keys: object) -> Rows:
    """Rows with these keys and some vectors."""
    made = {name: torch.as_tensor(value) for name, value in keys.items()}
    n = len(next(iter(made.values())))
    return Rows(torch.randn(n, 3, generator=torch.Generator().manual_seed(n)), made, bank, roles)


def views_of(items: list[int], views: int = 2, **keys: list[object]) -> Rows:
    """`views` views of some items, view by view, as the encoders stack them."""
    n = len(items)
    columns = {name: torch.as_tensor(value).repeat(views, *[1] * (torch.as_tensor(value).ndim - 1)) for name, value in keys.items()}
    return rows(roles=("global",) * views, item=torch.tensor(items).repeat(views), view=torch.arange(views).repeat_interleave(n), **columns)


def matrices(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """(weights of the positives, weights of the negatives), dense."""
    return pairs.positives.dense(pairs.shape), pairs.negatives.dense(pairs.shape)
