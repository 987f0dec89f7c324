"""A set whose items lie on the device: batches are picked there, and nothing but their ids is moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.recipe import Batch
from counterpoint.data.dataset import Dataset, Field

SHARE = 0.25  # of the device's free memory before training; the rest is for the model and what it keeps for the gradient


@dataclass(frozen=True)
class Held:
    """`data` with the tensors of its stores, columns and tables on `device`; ids are still given on the CPU. See `held`."""

    data: Dataset
    device: torch.device

    def batch(self, ids: Tensor) -> Batch:
        """The items with these ids (b,), as `Dataset.batch` gives them without hops, on the device."""
        given = self.data
        wanted = given._checked(ids)
        at = (wanted.pin_memory() if self.device.type == "cuda" else wanted).to(self.device, non_blocking=True)
        found = {
            name: field.kind.around(field.store, given.tables["edges"], at) if field.linked else field.store.take(at)
            for name, field in given.fields.items()
        }
        return Batch(found, {"item": at, **{name: values.index_select(0, at) for name, values in given.every.items()}}, given.tables)


def held(data: Dataset, device: torch.device) -> Held:
    """All of a set that is in memory, moved once."""

    def move(x: Any) -> Any:
        if isinstance(x, Tensor):
            return x.to(device)
        return {k: move(v) for k, v in x.items()} if isinstance(x, Mapping) else x

    def stored(field: Field) -> Field:
        return replace(field, store=_tensors_changed(field.store, move))

    moved = {name: stored(field) for name, field in data.fields.items()}
    return Held(replace(data, fields=moved, every=move(data.every), tables=move(data.tables)), device)


def fits(data: Dataset, device: torch.device) -> bool:
    """Whether a set is in memory and takes at most a quarter of the free memory of a GPU; no other device is asked."""
    if device.type != "cuda" or not data.in_memory:
        return False
    return size_of(data) <= SHARE * torch.cuda.mem_get_info(device)[0]


def size_of(data: Dataset) -> int:
    """Bytes of the tensors of a set: stores, columns, tables."""

    def size(x: Any) -> int:
        if isinstance(x, Tensor):
            return x.numel() * x.element_size()
        return sum(map(size, x.values())) if isinstance(x, Mapping) else 0

    stores = [getattr(field.store, f.name) for field in data.fields.values() for f in _parts(field.store)]
    return sum(map(size, stores)) + size(data.every) + size(data.tables)


def _parts(store: Any) -> tuple[Any, ...]:
    return fields(store) if is_dataclass(store) else ()


def _tensors_changed(store: Any, move: Any) -> Any:
    return replace(store, **{f.name: move(getattr(store, f.name)) for f in _parts(store)})
