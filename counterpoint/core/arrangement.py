"""What is known of rows without looking at them: that they are views of one list of different items, stacked one below the other.

To look at keys (`unique`, `equal`, a mask) a processor must wait for the device. The loop knows from the ids that it drew that the items
of a batch are different ones, and the model how it stacks views; a pair rule that needs no more can give pairs it has given before.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

if TYPE_CHECKING:
    from counterpoint.core.flow import Rows

# Noted on the very tensor of which it is known, so that another one in its place says nothing.
DISTINCT = "_counterpoint_distinct"  # of the key "item" of a batch: True
STACKED = "_counterpoint_stacked"  # of the key "item" of rows: (their key "view", the key "item" of the batch, positions)


class Arrangement(NamedTuple):
    """items: the key "item" of the batch, all different.   positions: the key "view" of each block of len(items) rows."""

    items: Tensor
    positions: tuple[int, ...]


def mark_distinct(items: Tensor) -> None:
    """Note that the key "item" (b,) of a batch names an item at most once, and none that is unknown."""
    setattr(items, DISTINCT, True)


def mark_stacked(rows: Rows, items: Tensor, positions: tuple[int, ...]) -> None:
    """Note that `rows` are views of all `items` in their order, block by block, those at `positions` of the list of views."""
    setattr(rows.keys["item"], STACKED, (rows.keys["view"], items, positions))


def _known(rows: Rows) -> Arrangement | None:
    """What was noted of the keys of these rows, where they are the same two still."""
    noted: tuple[Tensor, Tensor, tuple[int, ...]] | None = getattr(rows.keys.get("item"), STACKED, None)
    if noted is None:
        return None
    view, items, positions = noted
    same = rows.keys.get("view") is view and len(rows) == len(items) * len(positions)
    return Arrangement(items, positions) if same else None


def stacked(rows: Rows) -> tuple[int, tuple[int, ...]] | None:
    """(rows of a block, the key "view" of each block) where rows are known to stand view by view."""
    known = _known(rows)
    return None if known is None else (len(known.items), known.positions)


def of_views(rows: Rows, wanted: Collection[int]) -> Rows | None:
    """The rows of some views, by slices and without a look at the keys; None where it is not known how rows are stacked."""
    known = _known(rows)
    if known is None:
        return None
    size, positions = len(known.items), known.positions
    kept = [place for place, position in enumerate(positions) if position in wanted]
    if len(kept) == len(positions):
        return rows
    start = kept[0] * size if kept else 0
    if kept == list(range(start // max(size, 1), start // max(size, 1) + len(kept))):
        part = slice(start, start + len(kept) * size)
        some = replace(rows, z=rows.z[part], keys={name: key[part] for name, key in rows.keys.items()})
    else:
        some = replace(rows, z=_joined(rows.z, kept, size), keys={name: _joined(key, kept, size) for name, key in rows.keys.items()})
    mark_stacked(some, known.items, tuple(positions[place] for place in kept))
    return some


def _joined(x: Tensor, blocks: Sequence[int], size: int) -> Tensor:
    return torch.cat([x[block * size : (block + 1) * size] for block in blocks])


def below_each_other(each: Sequence[Tensor]) -> Tensor:
    """`torch.cat`, without a copy where tensors lie so in memory already, as views of pictures do; then it is of the same memory, and
    an encoder must not write to it: a teacher, or another update, reads the same views."""
    first, storage, place = each[0], each[0].untyped_storage().data_ptr(), each[0].storage_offset()
    for x in each:
        here = x.is_contiguous() and not x.requires_grad and x.dtype == first.dtype and x.shape[1:] == first.shape[1:]
        if not here or x.untyped_storage().data_ptr() != storage or x.storage_offset() != place:
            return torch.cat(list(each))
        place += x.numel()
    return first.data.as_strided((sum(map(len, each)), *first.shape[1:]), first.stride(), first.storage_offset())


def arrangement(rows: Rows) -> Arrangement | None:
    """How rows are stacked, where it is known; rows that were picked, gathered, or made of tokens are not."""
    known = _known(rows)
    if known is None or not hasattr(known.items, DISTINCT) or rows.shared or "position" in rows.keys or "shared" in rows.keys:
        return None
    return known
