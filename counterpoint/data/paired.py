"""Several observations of the same items: a source for each modality, or several columns of one file. Item i is row i of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from counterpoint.core.errors import DataError, nearest
from counterpoint.data import tabular
from counterpoint.data.build import build
from counterpoint.data.dataset import Dataset
from counterpoint.data.folders import IMAGES
from counterpoint.data.request import Found, Request
from counterpoint.data.sources import Source


def from_sources(sources: Mapping[str, Any], request: Request, find: Callable[[Any, Request], Found]) -> Dataset:
    """`{"image": folder, "text": list of str}`; the options kind, size and text may be dictionaries with the same keys."""
    if not sources:
        raise DataError("an empty dictionary was given; paired data are {modality: source}")
    odd = next((name for name in sources if not isinstance(name, str) or not name.isidentifier()), None)
    if odd is not None:
        raise DataError(f"{odd!r} cannot be the name of a modality; names are words of letters, digits and _")
    found = {}
    for name, source in sources.items():
        found[name] = find(source, _own(request, name))
    return build(found, request)


def _own(request: Request, name: str) -> Request:
    """The request for one modality: its own kind, size, text column, and nothing that belongs to the whole."""
    own: dict[str, Any] = {}
    for key in ("kind", "size", "text"):
        value = getattr(request, key)
        own[key] = value.get(name) if isinstance(value, Mapping) else value
    known = (request.preprocessing or {}).get("modalities", {}).get(name)
    if known is not None:
        own["kind"] = known["kind"]
    named = {key: value for key, value in request.columns.items() if isinstance(value, str)}
    label = request.label if isinstance(request.label, str) else None
    return replace(request, **own, columns=named, label=label, preprocessing=known)


def from_columns(source: Any, request: Request, find: Callable[[Any, Request], Found]) -> Dataset:
    """`modalities={"picture": "path", "caption": "text"}`: columns of one table; the kind of each is seen from what it holds."""
    table, where = _table(source, request)
    absent = next((c for c in request.modalities.values() if c not in table.column_names), None)
    if absent is not None:
        raise DataError(f"{where}: there is no column {absent!r}{nearest(absent, table.column_names)} (a modality was to be read from it)")
    whole = tabular.from_table(table, replace(request, kind="table", text=None, preprocessing=None), where)
    found: dict[str, Found] = {}
    for name, column in request.modalities.items():
        own = _own(request, name)
        kind = own.kind or _kind(table.column(column))
        cells: Any = table.select([column])
        if kind == "image" and pa.types.is_string(table.schema.field(column).type):
            one = find(tabular.paths_of(table.column(column), where), replace(own, kind="image"))
        elif kind in ("image", "text"):
            one = tabular.from_table(cells, replace(own, kind=kind, text=column if kind == "text" else None, columns={}, label=None), where)
        else:
            one = find(table.column(column).to_pylist(), replace(own, kind=kind, columns={}, label=None))
        found[name] = replace(one, where=f"{where}: {column}", columns=whole.columns, split=whole.split, taken=whole.taken)
    return build(found, request)


def _table(source: Any, request: Request) -> tuple[pa.Table, str]:
    if isinstance(source, pa.Table):
        return source, "the table"
    if hasattr(source, "columns") and hasattr(source, "to_numpy"):
        one = tabular.from_frame(source, replace(request, kind="table", modalities={}), "the DataFrame")
    elif isinstance(source, (str, os.PathLike)) and Path(source).is_file():
        one = tabular.from_file(Path(source), replace(request, kind="table", modalities={}, preprocessing=None))
    else:
        raise DataError("modalities= names columns of one table: a csv, jsonl or parquet file, or a DataFrame")
    rows: Source = one.source
    return rows.rows(np.arange(len(rows))), one.where


def _kind(column: pa.ChunkedArray) -> str:
    if tabular._is_picture(column.type):
        return "image"
    if tabular._is_list(column.type):
        return "series"
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        first = [c for c in column.slice(0, 20).to_pylist() if c]
        return "image" if first and all(os.path.splitext(c)[1].lower() in IMAGES for c in first) else "text"
    raise DataError(f"a column of {column.type} cannot be a modality of its own; columns of bytes, paths, text or lists of numbers can")
