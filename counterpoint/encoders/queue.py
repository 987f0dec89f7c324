"""A first-in-first-out memory of rows with their keys (MoCo's dictionary, SwAV's store of earlier features)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.arrangement import stacked
from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import Count
from counterpoint.core.recipe import UNKNOWN, Embeddings, Progress, Rows, Select


def fifo(
    width: int,
    *,
    size: Count = 4096,
    source: str = "teacher",
    views: tuple[str | int, ...] | None = None,
    keys: tuple[str, ...] = ("item",),
) -> Queue:
    """The newest `size` rows of a space, as shared rows; random directions with unknown items until it is filled.

    These stand as negatives meanwhile, as in MoCo's code (He et al., CVPR 2020: a queue that starts as random unit vectors); a pair rule
    with unknown = "ignored" leaves them out, as losses that mix negatives ask for.

    size: number of rows kept.
    source: the space whose rows are enqueued after every update.
    views: roles or positions of the views whose rows are enqueued; all where not given.
    keys: the integer keys stored beside the vectors; "item" lets a pair rule recognise an older copy of an item.
    """
    return Queue(width, size, Select(source, views), tuple(dict.fromkeys(("item", *keys))))


class Queue(nn.Module):
    """See `fifo`. `filled` rows are real; `head` is where the next row goes."""

    vectors: Tensor
    head: Tensor
    filled: Tensor

    def __init__(self, width: int, size: int, source: Select, keys: Sequence[str]) -> None:
        super().__init__()
        self.width, self.size, self.source, self.names = width, size, source, tuple(keys)
        self.register_buffer("vectors", functional.normalize(torch.randn(size, width)))
        for name in keys:
            self.register_buffer(f"key_{name}", torch.full((size,), UNKNOWN))
        self.register_buffer("head", torch.zeros((), dtype=torch.int64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def forward(self) -> Rows:
        """Rows (size, width), shared, the memory itself: they change with the next update. Those of the item −1 are not filled yet."""
        return Rows(self.vectors, {n: self.get_buffer(f"key_{n}") for n in self.names}, shared=True)

    @torch.no_grad()
    def after_update(self, out: Embeddings, now: Progress) -> None:
        """Enqueue the gathered rows, view by view and in their order within a view."""
        rows = self.source(out)
        if missing := [n for n in self.names if n not in rows.keys]:
            raise RequirementError(
                f"the queue stores the key {missing[0]!r} and the rows of {self.source.space!r} have none{nearest(missing[0], rows.keys)}"
            )
        z, keys = rows.z, {name: rows.keys[name] for name in self.names}
        if "view" in rows.keys and not _in_order(rows):
            # Chunks and processes are stacked before views; sorting by view makes the order the one of a single batch.
            order = torch.argsort(rows.keys["view"], stable=True)
            z, keys = z[order], {name: key[order] for name, key in keys.items()}
        count = min(len(rows), self.size)
        place = (self.head + torch.arange(count, device=self.head.device)) % self.size
        self.vectors.index_copy_(0, place, z[len(rows) - count :].to(self.vectors))
        for name, key in keys.items():
            old = self.get_buffer(f"key_{name}")
            old.index_copy_(0, place, key[len(rows) - count :].to(old))
        self.head.add_(count).remainder_(self.size)
        self.filled.add_(count).clamp_(max=self.size)


def _in_order(rows: Rows) -> bool:
    """Whether rows are known to stand view by view, the views in their order."""
    known = stacked(rows)
    return known is not None and list(known[1]) == sorted(known[1])
