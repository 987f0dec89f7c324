"""The data of a run: items with ids, one or several modalities, columns beside them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError, nearest
from counterpoint.core.recipe import Batch, Graph, Modality, Spec
from counterpoint.data import columns as columns_of
from counterpoint.data.sources import Source
from counterpoint.data.stores import Store
from counterpoint.data.streamed import ahead


@dataclass(frozen=True)
class Field:
    """One modality of a set: its prepared items, how they were prepared, and the raw ones where previews need them (text)."""

    found: Mapping[str, Any]
    store: Store
    raw: Source | None = None

    @property
    def kind(self) -> ModuleType:
        return importlib.import_module(f"counterpoint.data.{self.found['kind']}")

    @property
    def modality(self) -> Modality:
        described = self.kind.modality(self.found)
        assert isinstance(described, Modality)
        return described

    @property
    def word_of(self) -> Callable[[int], str] | None:
        """What the ids of a text stand for; None of other kinds."""
        found: Callable[[int], str] | None = self.kind.word_of(self.found) if self.found["kind"] == "text" else None
        return found

    @property
    def linked(self) -> bool:
        """Whether the items are nodes of one graph."""
        return self.found["kind"] in ("graph", "interactions")


@dataclass(frozen=True)
class Dataset:
    """Items by id. Ids count from 0 in the order read; a subset keeps the ids of the set it is from.

    fields:  modality → items, "x" where there is one.   every: name → (n,) or (n, k) column of the whole set.   names: of classes.
    parts:   (n,) int8 of the whole set: 0 train, 1 test, −1 neither.   ids: (items,) int64 of the items in this set, ascending.
    tables:  of the whole set (a graph's edges).   origins: column → where it is from.   notes: sentences for the summary.
    """

    fields: Mapping[str, Field]
    every: Mapping[str, Tensor]
    names: Mapping[str, Sequence[str]]
    parts: Tensor
    ids: Tensor
    tables: Mapping[str, Any]
    origins: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def items(self) -> int:
        """How many items are in this set."""
        return len(self.ids)

    @property
    def whole(self) -> bool:
        return len(self.ids) == len(self.parts)

    @cached_property
    def columns(self) -> dict[str, Tensor]:
        """name → (items,): int64 codes (−1 unknown) or numbers (NaN unknown), in the order of `ids`."""
        return {name: values if self.whole else values[self.ids] for name, values in self.every.items()}

    @property
    def split(self) -> Tensor:
        """(items,) int8 in the order of `ids`: 0 train, 1 test, −1 the data do not say."""
        return self.parts if self.whole else self.parts[self.ids]

    @property
    def in_memory(self) -> bool:
        return all(field.store.in_memory for field in self.fields.values())

    @cached_property
    def spec(self) -> Spec:
        """What builders of views and encoders need to know."""
        known = {}
        for name, values in self.columns.items():
            there = ~values.isnan() if values.is_floating_point() else values >= 0
            known[name] = (len(values[there].unique()), float(there.double().mean()) if len(values) else 0.0)
        return Spec(self.items, {name: field.modality for name, field in self.fields.items()}, known, frozenset(self.tables))

    @property
    def preprocessing(self) -> dict[str, Any]:
        """Plain values, for JSON: `data.read(new, preprocessing=…)` prepares new raw data in just this way."""
        kept = {name: list(self.names[name]) for name in self.names}
        return {"version": 1, "modalities": {name: dict(field.found) for name, field in self.fields.items()}, "names": kept}

    @property
    def block_of(self) -> Tensor | None:
        """(items,) the block on disk of each item in the order of `ids`, where the set is read in blocks; else None."""
        for field in self.fields.values():
            blocks = getattr(getattr(field.store, "source", None), "blocks", None)
            if blocks is not None:
                return torch.from_numpy(np.searchsorted(blocks, self.ids.numpy(), side="right") - 1)
        return None

    @property
    def blocks_held(self) -> int:
        """How many blocks of items the memory allows to hold at a time."""
        sources: list[Any] = [getattr(field.store, "source", None) for field in self.fields.values()]
        return min((int(source.blocks_held) for source in sources if hasattr(source, "blocks_held")), default=1)

    def batch(self, ids: Tensor | Sequence[int], *, hops: Sequence[int] = (), generator: torch.Generator | None = None) -> Batch:
        """The items with these ids (b,): fields (b, …), keys "item" and all columns.

        Nodes of a graph come in the midst of it, those of other parts of the set too: a field is a Graph of b items then.

        hops: how many neighbours of a node are drawn, hop by hop, with the generator; without any the whole graph comes along.
        """
        wanted = self._checked(ids)
        fields: dict[str, Any] = {}
        for name, field in self.fields.items():
            if field.linked:
                fields[name] = field.kind.around(field.store, self.tables["edges"], wanted, hops, generator)
            else:
                fields[name] = field.store.take(wanted)
        return Batch(fields, {"item": wanted, **{name: values.index_select(0, wanted) for name, values in self.every.items()}}, self.tables)

    @property
    def linked(self) -> bool:
        """Whether the items are nodes of one graph, so that a batch is never without the others."""
        return any(field.linked for field in self.fields.values())

    def pieces(self, batch: int) -> Sequence[Tensor]:
        """All ids in order, `batch` at a time; nodes of a graph at once, since each batch of them holds the whole graph."""
        return self.ids.split(max(self.items, 1) if self.linked else batch)

    def loader(self, batches: Iterable[Tensor], *, workers: int | None = None) -> Iterator[Batch]:
        """`batch(ids)` for each of `batches`, in order; read and decoded ahead by threads where the set is streamed.

        workers: number of threads; by default one for each processor.
        """
        if self.in_memory:
            return map(self.batch, batches)
        return ahead(self.batch, batches, threads=workers or None)

    def subset(self, ids: Tensor | Sequence[int]) -> Dataset:
        """Some items, which keep their ids."""
        wanted = torch.unique(self._checked(ids))
        return replace(self, ids=wanted)

    def with_columns(self, given: Mapping[str, Any]) -> Dataset:
        """The same items with further columns, one value an item of this set in the order of `ids`; classes become codes."""
        every, names, origins = dict(self.every), dict(self.names), dict(self.origins)
        for name, values in given.items():
            raw = values if isinstance(values, columns_of.Raw) else columns_of.Raw(values, origin="given", codes=True)
            codes, words = columns_of.encode(name, raw, self.items)
            whole = torch.full((len(self.parts),), math.nan if codes.is_floating_point() else -1, dtype=codes.dtype)
            whole[self.ids] = codes
            every[name], origins[name] = whole, raw.origin
            if words is None:
                names.pop(name, None)
            else:
                names[name] = words
        return replace(self, every=every, names=names, origins=origins)

    def preview(self, ids: Tensor | Sequence[int], modality: str | None = None) -> list[bytes | str]:
        """A small PNG or a line of text an item, for the report; of the first image where there are several modalities."""
        wanted = self._checked(ids)
        kinds = {name: field.found["kind"] for name, field in self.fields.items()}
        name = modality or next((n for n, kind in kinds.items() if kind == "image"), next(iter(kinds)))
        if name not in self.fields:
            raise DataError(f"there is no modality {name!r}{nearest(name, self.fields)}")
        field = self.fields[name]
        rows = field.raw.rows(wanted.numpy()) if field.raw is not None else None
        shown: list[bytes | str] = field.kind.preview(field.store.take(wanted), field.found, rows)
        return shown

    def flat(self, ids: Tensor | Sequence[int] | None = None) -> np.ndarray:
        """(b, D) float32: the raw input as plain features, the baseline that an embedding must beat; modalities beside each other."""
        wanted = self.ids if ids is None else self._checked(ids)
        rows = []
        for piece in wanted.split(2048):
            beside = []
            for field in self.fields.values():
                raw = field.raw.rows(piece.numpy()) if field.raw is not None else None
                beside.append(np.asarray(field.kind.flat(field.store.take(piece), field.found, raw), np.float32))
            rows.append(np.concatenate(beside, axis=1) if len(beside) > 1 else beside[0])
        return np.concatenate(rows) if rows else np.zeros((0, 1), np.float32)

    def features(self, fields: Mapping[str, Tensor | Graph]) -> np.ndarray | None:
        """(b, D) float32: the plain features of `flat` for views of items; None for kinds whose features need the raw items (text)."""
        if any(self.fields[name].raw is not None for name in fields):
            return None
        own = {name: (x.x if isinstance(x, Graph) else x).cpu() for name, x in fields.items()}
        beside = [np.asarray(self.fields[n].kind.flat(x, self.fields[n].found, None), np.float32) for n, x in own.items()]
        return np.concatenate(beside, axis=1) if len(beside) > 1 else beside[0]

    def summary(self) -> str:
        """What was understood, as one sentence: "10,000 images 32×32 RGB, 10 classes from folder names, no groups"."""
        pieces = [" with ".join(field.kind.words(field.found, self.items) for field in self.fields.values())]
        pieces.append(self._classes("label", "class", "classes", "no labels"))
        pieces.append(self._classes("group", "group", "groups", "no groups"))
        others = [name for name in self.every if name not in ("label", "group")]
        if others:
            pieces.append(f"further column{'s' * (len(others) > 1)} {', '.join(others)}")
        train, test = int((self.split == 0).sum()), int((self.split == 1).sum())
        if test:
            pieces.append(f"{train:,} to train and {test:,} to test")
        if not self.in_memory:
            pieces.append("streamed from disk")
        return "; ".join([", ".join(pieces), *self.notes])

    def _classes(self, column: str, one: str, many: str, none: str) -> str:
        if column not in self.every:
            return none
        count, known = self.spec.columns[column]
        share = "" if known == 1 else f" for {known:.1%} of the items"
        origin = self.origins.get(column, "")
        return f"{count:,} {one if count == 1 else many}{f' {origin}' if origin not in ('', 'given') else ''}{share}"

    def _checked(self, ids: Tensor | Sequence[int]) -> Tensor:
        wanted = torch.as_tensor(ids, dtype=torch.int64).cpu().reshape(-1)
        if not len(wanted):
            return wanted
        if wanted.min() < 0 or wanted.max() >= len(self.parts):
            odd = wanted[(wanted < 0) | (wanted >= len(self.parts))]
            raise DataError(f"there is no item {int(odd[0])}; ids are 0 … {len(self.parts) - 1:,}")
        if not self.whole:
            place = torch.searchsorted(self.ids, wanted).clamp_(max=max(len(self.ids) - 1, 0))
            if not len(self.ids) or not bool((self.ids[place] == wanted).all()):
                first = int(wanted[self.ids[place] != wanted][0]) if len(self.ids) else int(wanted[0])
                raise DataError(f"item {first} is not in this part of the set ({self.items:,} of {len(self.parts):,} items)")
        return wanted
