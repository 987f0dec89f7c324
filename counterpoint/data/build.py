"""From what was found to a data set: limit, fit on the training part, prepare in memory or leave on disk, columns."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
import torch

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Modality
from counterpoint.data import columns as columns_of
from counterpoint.data.dataset import Dataset, Field
from counterpoint.data.request import Found, Request
from counterpoint.data.sources import Picked, Source
from counterpoint.data.stores import Converted, Dense, Ragged, Store, Streamed, pack
from counterpoint.data.streamed import workers

_CHUNK = 64 * 2**20  # bytes of prepared items that are made at a time
_KEEPS_RAW = {"text"}  # kinds whose previews and plain features need the raw items


def build(found: Mapping[str, Found], request: Request) -> Dataset:
    """A data set of one or several modalities whose items correspond row by row."""
    lead = next(iter(found.values()))
    items = len(lead.source)
    odd = next((name for name, f in found.items() if len(f.source) != items), None)
    if odd is not None:
        each = ", ".join(f"{name} {len(f.source):,}" for name, f in found.items())
        raise DataError(f"the modalities differ in their number of items ({each}); item i must be row i of each")
    split = next((f.split for f in found.values() if f.split is not None), None)
    if split is None:
        split = np.full(items, -1, np.int8)
    _enough(items, lead.where, request)
    picked = _limited(split, request.limit)
    columns = _columns(found, items, request)
    if request.holdout is not None and not (split == 1).any():  # before anything is fitted, so that nothing of the test part is seen
        label, group = (None if name not in columns.every else columns.every[name].numpy()[picked] for name in ("label", "group"))
        split = split.copy()
        split[picked] = request.holdout(label, group)
    fields, bad = {}, np.zeros(len(picked), bool)
    reasons: dict[int, str] = {}
    loose: dict[str, tuple[Found, dict[str, Any], Source, list[Dense | Ragged] | None]] = {}
    for name, one in found.items():
        source: Source = one.source if len(picked) == items else Picked(one.source, picked)
        prepared = _fitted(name, one, source, split[picked], request)
        pieces, wrong = _prepared(one, prepared, source, request)
        for position, reason in wrong:
            reasons.setdefault(position, reason)
            bad[position] = True
        loose[name] = (one, prepared, source, pieces)
    if bad.any():
        _refuse_bad(reasons, len(picked), lead, picked, request)
    keep = ~bad
    for name, (one, prepared, source, pieces) in loose.items():
        kept: Source = source if keep.all() else Picked(source, np.flatnonzero(keep))
        store: Store = Streamed(kept, _converter(prepared), one.where) if pieces is None else pack(pieces, keep)
        fields[name] = Field(prepared, store, kept if prepared["kind"] in _KEEPS_RAW else None)
    _enough(int(keep.sum()), lead.where, request)
    return _joined(found, fields, items, picked[keep], split[picked[keep]], int(bad.sum()), columns, request)


def _enough(items: int, where: str, request: Request) -> None:
    if items == 0:
        raise DataError(f"{where} holds no items")
    if items == 1 and request.preprocessing is None:
        raise DataError(f"{where} holds one item; at least two are needed to tell apart")


def _limited(split: np.ndarray, limit: int | None) -> np.ndarray:
    """Positions kept under `limit` items a part: drawn once and for all, so that fewer are always some of more; in order."""
    if limit is None:
        return np.arange(len(split))
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise DataError(f"limit = {limit!r} is not a number of items; it must be a whole number > 0")
    order = np.random.default_rng(0).permutation(len(split))
    kept = [order[split[order] == part][:limit] for part in np.unique(split)]
    return np.sort(np.concatenate(kept))


def _fitted(name: str, found: Found, source: Source, split: np.ndarray, request: Request) -> dict[str, Any]:
    """The preparation: the one given, or one fitted on (a sample of) the items that are not of the test part."""
    if request.preprocessing is not None:
        known = request.preprocessing.get("modalities", {})
        if name not in known:
            raise DataError(f"the preparation is for {', '.join(known) or 'nothing'} and the data have {name!r}")
        if known[name]["kind"] != found.kind:
            raise DataError(f"{found.where} holds {found.kind} data; the preparation is for {known[name]['kind']} data")
        return dict(known[name])
    kind = _module(found.kind)
    train = np.flatnonzero(split != 1)
    rows = source.rows(_sample(train if len(train) else np.arange(len(source)), kind.sample_size(source), source.blocks))
    request.told(0, len(source), f"looking at {found.kind} data")
    if isinstance(request.size, Mapping):
        request = replace(request, size=request.size.get(name))
    fitted = kind.fit(rows, found.hints, request, found.where)
    assert isinstance(fitted, dict)
    return fitted


def _sample(train: np.ndarray, size: int, blocks: np.ndarray | None) -> np.ndarray:
    """At most `size` positions, the same every time, in order; of at most 16 blocks where items are read in blocks."""
    if len(train) <= size:
        return train
    rng = np.random.default_rng(0)
    if blocks is not None and len(blocks) > 16:
        which = np.searchsorted(blocks, train, side="right") - 1
        train = train[np.isin(which, rng.permutation(np.unique(which))[:16])]
    return np.sort(rng.permutation(train)[:size])


def _prepared(
    found: Found, prepared: Mapping[str, Any], source: Source, request: Request
) -> tuple[list[Dense | Ragged] | None, list[tuple[int, str]]]:
    """All items prepared, or None where they stay on disk; and those that cannot be used."""
    kind = _module(found.kind)
    try:
        each = _bytes_each(kind.modality(prepared), prepared)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"preprocessing= is not whole: {error} is missing; give Dataset.preprocessing as it was") from None
    items = len(source)
    streams = not source.resident and items * each > request.memory
    if streams and request.on_bad == "error":
        return None, []
    step = max(1, min(int(_CHUNK // max(each, 1)), max(items // 20, 256)))
    threads = workers()
    pieces: list[Dense | Ragged] = []
    bad: list[tuple[int, str]] = []
    whole: torch.Tensor | None = None
    for start in range(0, items, step):
        request.told(start, items, f"{'checking' if streams else 'reading'} {found.kind} data")
        stop = min(start + step, items)
        try:
            made: Converted = kind.convert(source.rows(np.arange(start, stop)), prepared, threads)
        except DataError as error:
            raise DataError(str(error) if found.where in str(error) else f"{found.where}: {error}") from None
        bad += [(start + position, reason) for position, reason in made.bad]
        if streams:
            continue
        if isinstance(made.values, Dense) and step < items:  # straight into one block: never two copies of the whole set
            if whole is None:
                whole = torch.empty((items, *made.values.values.shape[1:]), dtype=made.values.values.dtype)
                pieces = [Dense(whole)]
            whole[start:stop] = made.values.values
        else:
            pieces.append(made.values)
    request.told(items, items, f"{'checking' if streams else 'reading'} {found.kind} data")
    return (None if streams else pieces), bad


def _bytes_each(modality: Modality, prepared: Mapping[str, Any]) -> int:
    return max(1, math.prod(modality.shape) * (1 if prepared.get("bytes") else 4))


def _refuse_bad(reasons: Mapping[int, str], items: int, found: Found, picked: np.ndarray, request: Request) -> None:
    """List the items that cannot be used; an error unless they may be skipped, and one anyway where nothing is left."""
    names = _names(found, picked[sorted(reasons)[:3]])
    listed = ", ".join(f"{name} ({reasons[position]})" for name, position in zip(names, sorted(reasons)))
    more = f" and {len(reasons) - 3:,} more" if len(reasons) > 3 else ""
    if len(reasons) == items:
        raise DataError(f"{found.where}: none of the {items:,} items can be used: {listed}{more}")
    if request.on_bad == "error":
        raise DataError(f"{found.where}: {len(reasons):,} of {items:,} items cannot be used: {listed}{more}; on_bad='skip' leaves them out")


def _names(found: Found, positions: np.ndarray) -> list[str]:
    rows = found.source.rows(positions) if not found.source.blocks else None
    if isinstance(rows, list) and rows and all(isinstance(r, str) for r in rows) and found.kind in ("image", "audio"):
        return [os.path.relpath(r, found.where) if os.path.isdir(found.where) else r for r in rows]
    return [f"item {int(p)}" for p in positions]


def _converter(prepared: Mapping[str, Any]) -> Any:
    kind = _module(str(prepared["kind"]))

    def convert(rows: Any) -> Converted:
        made = kind.convert(rows, prepared)
        assert isinstance(made, Converted)
        return made

    return convert


@dataclass(frozen=True)
class Columns:
    """Columns of all items, encoded: name → (n,), class names, where they are from."""

    every: dict[str, torch.Tensor]
    names: dict[str, Any]
    origins: dict[str, str]


def _columns(found: Mapping[str, Found], items: int, request: Request) -> Columns:
    lead = next(iter(found.values()))
    known = dict((request.preprocessing or {}).get("names", {}))
    raws: dict[str, columns_of.Raw] = {}
    for one in found.values():
        raws |= {key: one.columns[name]() for key, name in one.taken.items() if key not in request.wanted and key not in raws}
    for key, wanted in request.wanted.items():
        if key == "split":
            continue
        holder = next((f for f in found.values() if isinstance(wanted, str) and wanted in f.columns), lead)
        raws[key] = holder.column(key, wanted)
    made = Columns({}, {}, {})
    for key, raw in raws.items():
        made.every[key], words = columns_of.encode(key, raw, items, known.get(key))
        made.origins[key] = raw.origin
        if words is not None:
            made.names[key] = words
    return made


def _joined(
    found: Mapping[str, Found],
    fields: Mapping[str, Field],
    items: int,
    kept: np.ndarray,
    split: np.ndarray,
    dropped: int,
    columns: Columns,
    request: Request,
) -> Dataset:
    lead = next(iter(found.values()))
    every = {key: values[torch.from_numpy(kept)] for key, values in columns.every.items()}
    notes = tuple(note for f in found.values() for note in f.notes)
    if dropped:
        notes += (f"{dropped:,} item{'s' * (dropped > 1)} that cannot be used left out",)
    if request.limit is not None and len(kept) < items:
        notes += (f"drawn from {items:,}",)
    tables = {name: table for f in found.values() for name, table in f.tables.items()}
    if tables and len(kept) < items:
        raise DataError(f"{lead.where}: a graph cannot be cut to some of its nodes by limit= or on_bad='skip'")
    ids = torch.arange(len(kept))
    return Dataset(fields, every, columns.names, torch.from_numpy(split.astype(np.int8)), ids, tables, columns.origins, notes)


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"counterpoint.data.{kind}")
