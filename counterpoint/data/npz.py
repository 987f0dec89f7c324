"""What an .npz file holds as data: items in parts, labels, columns, lengths, offsets, a graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from counterpoint.core.errors import DataError, LabelError
from counterpoint.data import graph, grids
from counterpoint.data.archives import Member, members
from counterpoint.data.arrays import found_in, from_list
from counterpoint.data.columns import Raw
from counterpoint.data.request import SPLITS, Found, Request
from counterpoint.data.sources import Array, Source

_ITEMS = ("x", "X", "images", "data")
_LABELS = ("y", "Y", "label", "labels")


def from_file(path: Path, request: Request) -> Found:
    """An .npy or .npz file. An npz holds x, or x_train and x_test (X, images, data too); labels y; further columns by name."""
    there = members(path)
    if path.suffix.lower() == ".npy":
        only = there[""]
        return found_in([only.source(request.memory)], only.shape, only.dtype, request, str(path))
    items = _parts(there, _ITEMS)
    flat = next((m for m in items.values() if not m.shape), None)
    if flat is not None:
        raise DataError(f"{flat.where} is a single number; an array of items is needed")
    if "edges" in there and (items or "feat_data" in there):
        return _graph(there, items, request, str(path))
    if not items:
        names = ", ".join(sorted(there)) or "nothing"
        raise DataError(f"{path} holds {names}; an npz needs the items as 'x', or as 'x_train' and 'x_test'")
    ragged = "offset" in there and "" in items and there["offset"].shape[0] != items[""].shape[0]
    shapes = {m.shape[1:] for m in items.values()}
    types = {m.dtype.kind for m in items.values()}
    if len(shapes) > 1 or len(types) > 1:
        each = ", ".join(f"{m.name} {grids.shape_text(m.shape)} {m.dtype}" for m in items.values())
        raise DataError(f"{path}: the parts differ in shape or type ({each}); they must be alike but for the first axis")
    columns, split = _beside(there, items, request, ragged)
    labels = _parts(there, _LABELS)
    taken: dict[str, str] = {}
    if labels and not ragged:
        columns["y"] = _labels(labels, items, there)
    if "y" in columns or "label" in columns:
        taken = {"label": "y" if "y" in columns else "label"}
    if ragged:
        offset = there["offset"].load(request.memory).astype(np.int64)
        found = from_list(_cut(items[""].load(request.memory), offset, str(path)), request, str(path))
        return Found(found.kind, found.source, str(path), columns, None, taken, found.hints)
    first = next(iter(items.values()))
    sources = [_with_length(m, there, request) for m in items.values()]
    return found_in(sources, first.shape, first.dtype, request, str(path), columns, split, taken)


def _parts(there: Mapping[str, Member], names: Sequence[str]) -> dict[str, Member]:
    """part ("" or train, test …) → member, for the first of `names` that is there."""
    for name in names:
        if name in there:
            return {"": there[name]}
        found = {}
        for part in SPLITS:
            for spelt in (f"{name}_{part}", f"{part}_{name}"):
                if spelt in there and part not in found:
                    found[part] = there[spelt]
        if found:
            return found
    return {}


def _beside(
    there: Mapping[str, Member], items: Mapping[str, Member], request: Request, ragged: bool
) -> tuple[dict[str, Callable[[], Raw]], np.ndarray | None]:
    """Every array that has one value an item, as a column; and the split where the items come in parts."""
    counts = {part: m.shape[0] for part, m in items.items()}
    if ragged:
        counts = {"": there["offset"].shape[0] - 1}
    columns: dict[str, Callable[[], Raw]] = {}
    used = {m.name for m in items.values()}
    for name in there:
        stem = re.sub(r"_(train|test|val|valid)$", "", name) if "" not in items else name
        group = {
            part: there[stem if not part else f"{stem}_{part}"] for part in counts if (stem if not part else f"{stem}_{part}") in there
        }
        if name in used or stem in columns or set(group) != set(counts):
            continue
        if all(m.shape == (counts[part],) for part, m in group.items()):
            columns[stem] = _column(list(group.values()), there, stem)
    split = None
    if "" not in items:
        split = np.concatenate([np.full(n, SPLITS[part], np.int8) for part, n in counts.items()])
        split = split if (split == 0).any() else None  # a test part alone is a set like any other
    return columns, split


def _column(parts: Sequence[Member], there: Mapping[str, Member], stem: str) -> Callable[[], Raw]:
    def read() -> Raw:
        names = next((there[n] for n in (f"{stem}_names", "class_names" if stem in _LABELS else "") if n in there), None)
        values = np.concatenate([m.load() for m in parts])
        words = tuple(str(w) for w in names.load()) if names is not None and values.dtype.kind in "iu" else None
        return Raw(values, words, f"in {stem}", codes=True)

    return read


def _labels(labels: Mapping[str, Member], items: Mapping[str, Member], there: Mapping[str, Member]) -> Callable[[], Raw]:
    """`y` in its parts; a part without labels is unknown."""

    def read() -> Raw:
        pieces = []
        for part, member in items.items():
            if part not in labels:
                pieces.append(np.full(member.shape[0], -1, np.int64))
                continue
            values = labels[part].load()
            if values.ndim == 2 and values.shape[1] == 1:
                values = values[:, 0]
            if values.ndim != 1:
                raise LabelError(f"{labels[part].where} has shape {values.shape}; labels are one value an item")
            if len(values) != member.shape[0]:
                raise LabelError(f"{labels[part].where} has {len(values):,} labels for {member.shape[0]:,} items; give one an item")
            pieces.append(values)
        names = there.get("class_names")
        whole = np.concatenate(pieces)
        words = tuple(str(w) for w in names.load()) if names is not None and whole.dtype.kind in "iu" else None
        return Raw(whole, words, "in y", codes=True)

    return read


def _with_length(member: Member, there: Mapping[str, Member], request: Request) -> Source:
    """Padded series beside their lengths (length, length_train …): NaN past the end."""
    name = re.sub(r"^[xX]", "length", member.name)
    if name == member.name or name not in there or len(member.shape) != 3 or member.dtype.kind != "f":
        return member.source(request.memory)
    values, lengths = member.load(request.memory), there[name].load()
    if lengths.shape != values.shape[:1]:
        raise DataError(f"{there[name].where} has shape {lengths.shape} for {len(values):,} series; give one length a series")
    values[np.broadcast_to(np.arange(values.shape[2]) >= lengths[:, None, None], values.shape)] = np.nan
    return Array(values)


def _cut(flat: np.ndarray, offset: np.ndarray, where: str) -> list[np.ndarray]:
    if len(offset) < 2 or offset[0] < 0 or (np.diff(offset) < 0).any() or offset[-1] > len(flat):
        raise DataError(f"{where}: offset must rise from 0 to the length of x ({len(flat):,}); item i is x[offset[i]:offset[i + 1]]")
    return np.split(flat, offset[1:-1]) if offset[0] == 0 and offset[-1] == len(flat) else [flat[a:b] for a, b in pairwise(offset)]


def _graph(there: Mapping[str, Member], items: Mapping[str, Member], request: Request, where: str) -> Found:
    """One graph: edges beside x, or beside features in compressed rows (feat_data, feat_indices, feat_indptr, feat_shape)."""
    if items:
        values = items[""].load(request.memory) if "" in items else None
    else:
        from scipy.sparse import csr_matrix

        pieces = [there[f"feat_{n}"].load() for n in ("data", "indices", "indptr")]
        shape = tuple(int(s) for s in there["feat_shape"].load())
        if 4 * shape[0] * shape[1] > request.memory:
            raise DataError(f"{where}: {shape[0]:,}×{shape[1]:,} features do not fit into memory= ({request.memory:,} bytes)")
        values = csr_matrix(tuple(pieces), shape=shape).toarray()
    if values is None or values.ndim != 2:
        raise DataError(f"{where}: beside edges, x must be the features of the nodes, nodes×features")
    edges = graph.both_ways(there["edges"].load(request.memory), len(values), where)
    nodes = {"": Member(where, "x", values.shape, values.dtype, None)}
    columns, _ = _beside({k: m for k, m in there.items() if k != "x"}, nodes, request, False)
    taken = {"label": next(n for n in _LABELS if n in columns)} if any(n in columns for n in _LABELS) else {}
    return Found("graph", Array(values), where, columns, None, taken, {"links": edges.shape[1] // 2}, tables={"edges": edges})
