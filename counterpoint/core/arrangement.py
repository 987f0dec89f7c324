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
from torch.utils.weak import WeakTensorKeyDictionary

if TYPE_CHECKING:
    from counterpoint.core.flow import Rows

_DISTINCT: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # the key "item" of a batch → True
_STACKED: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # the key "view" of rows → (their key "item", that of the batch, positions)


class Arrangement(NamedTuple):
    """items: the key "item" of the batch, all different.   positions: the key "view" of each block of len(items) rows."""

    items: Tensor
    positions: tuple[int, ...]


def mark_distinct(items: Tensor) -> None:
    """Note that the key "item" (b,) of a batch names an item at most once, and none that is unknown."""
    _DISTINCT[items] = True


def mark_stacked(rows: Rows, items: Tensor, positions: tuple[int, ...]) -> None:
    """Note that `rows` are views of all `items` in their order, block by block, those at `positions` of the list of views."""
    _STACKED[rows.keys["view"]] = (rows.keys["item"], items, positions)


def stacked(rows: Rows) -> tuple[int, tuple[int, ...]] | None:
    """(rows of a block, the key "view" of each block) where rows are known to stand view by view."""
    view = rows.keys.get("view")
    if view is None or view not in _STACKED:
        return None
    _, items, positions = _STACKED[view]
    return (len(items), positions) if len(rows) == len(items) * len(positions) else None


def of_views(rows: Rows, wanted: Collection[int]) -> Rows | None:
    """The rows of some views, by slices and without a look at the keys; None where it is not known how rows are stacked."""
    found = stacked(rows)
    if found is None:
        return None
    size, positions = found
    kept = [place for place, position in enumerate(positions) if position in wanted]
    if len(kept) == len(positions):
        return rows
    start = kept[0] * size if kept else 0
    if kept == list(range(start // max(size, 1), start // max(size, 1) + len(kept))):
        part = slice(start, start + len(kept) * size)
        some = replace(rows, z=rows.z[part], keys={name: key[part] for name, key in rows.keys.items()})
    else:
        some = replace(rows, z=_joined(rows.z, kept, size), keys={name: _joined(key, kept, size) for name, key in rows.keys.items()})
    item, items, _ = _STACKED[rows.keys["view"]]
    if rows.keys.get("item") is item:
        mark_stacked(some, items, tuple(positions[place] for place in kept))
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
    view = rows.keys.get("view")
    if view is None or view not in _STACKED or rows.shared or "position" in rows.keys or "shared" in rows.keys:
        return None
    item, items, positions = _STACKED[view]
    if rows.keys.get("item") is not item or items not in _DISTINCT or len(rows) != len(items) * len(positions):
        return None
    return Arrangement(items, positions)
