"""Rows with named columns: csv, jsonl, parquet, Arrow, DataFrames, Hugging Face datasets; and which kind of data the rows hold."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from counterpoint.core.errors import DataError, nearest
from counterpoint.data import rows
from counterpoint.data.columns import Raw
from counterpoint.data.request import SPLITS, Found, Request
from counterpoint.data.sources import Array, Hub, Listed, Source, Table
from counterpoint.data.streamed import feather, one_line, parquet

FORMATS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather", ".txt")


def from_file(path: Path, request: Request) -> Found:
    """A file with rows; parquet and Arrow stay on disk until they are prepared."""
    kind, where = rows.suffix(path), str(path)
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty")
    if kind in (".parquet", ".arrow", ".feather"):
        return from_blocks([where], request, where)
    if kind == ".txt":
        if request.kind not in (None, "text"):
            raise DataError(f"{path} holds lines of text; they cannot be read as {request.kind!r}")
        lines = [line for line in rows.whole(path, request.memory).decode("utf-8", "replace").splitlines() if line.strip()]
        return Found("text", Listed(lines), where)
    return from_table(rows.csv(path, request) if kind in (".csv", ".tsv") else rows.json_lines(path, request), request, where)


def from_blocks(paths: Sequence[str], request: Request, where: str) -> Found:
    """Parquet or Arrow files below each other, read a block at a time."""
    try:
        if paths[0].endswith(".parquet"):
            schema = pq.read_schema(paths[0])
        else:
            with pa.OSFile(paths[0]) as file:
                schema = pa.ipc.open_file(file).schema
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{paths[0]} is not a whole {Path(paths[0]).suffix} file ({one_line(error)})") from None
    share = max(request.memory // 2, 1)

    def open_blocks(columns: Sequence[str] | None) -> Source:
        return parquet(paths, columns, share) if paths[0].endswith(".parquet") else feather(paths[0], share)

    def column(name: str) -> Any:
        if not paths[0].endswith(".parquet"):
            source = open_blocks(None)
            return source.rows(np.arange(len(source))).column(name)
        return pa.concat_tables([pq.read_table(p, columns=[name]) for p in paths], promote_options="permissive").column(name)

    return _understood(schema, open_blocks, column, request, where)


def from_table(table: pa.Table, request: Request, where: str) -> Found:
    """A table in memory."""
    doubled = sorted({n for n in table.column_names if table.column_names.count(n) > 1})
    if doubled:
        raise DataError(f"{where}: the column {doubled[0]!r} is there more than once; each name may be used once")
    return _understood(table.schema, lambda columns: Table(table), table.column, request, where)


def from_frame(frame: Any, request: Request, where: str) -> Found:
    """A DataFrame of pandas or polars."""
    if hasattr(frame, "to_arrow"):
        return from_table(frame.to_arrow(), request, where)
    try:
        named = frame.rename(columns=str)
        return from_table(pa.Table.from_pandas(named, preserve_index=False), request, where)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataError(f"{where} is not a plain table ({one_line(error)}); make each column numbers or words, with its own name") from None


def from_hub(data: Any, request: Request, where: str) -> Found:
    """A Hugging Face dataset; a DatasetDict gives its train and test parts."""
    arrow = data.with_format("arrow")
    schema = data.features.arrow_schema
    found = _understood(schema, lambda columns: Hub(arrow), lambda name: arrow[:][name], request, where)
    names = {n: tuple(f.names) for n, f in data.features.items() if hasattr(f, "names") and f.names}

    def named(name: str, read: Callable[[], Raw]) -> Callable[[], Raw]:
        return lambda: Raw(read().values, names.get(name), f"in column {name!r}", codes=True)

    columns = {n: named(n, read) for n, read in found.columns.items()}
    return Found(found.kind, found.source, where, columns, found.split, found.taken, found.hints, found.notes)


def from_matrix(
    values: np.ndarray, request: Request, where: str, columns: Mapping[str, Any], split: np.ndarray | None, taken: Mapping[str, str]
) -> Found:
    """An array n×d read as a table, columns c0, c1 …"""
    table = pa.table({f"c{i}": pa.array(np.ascontiguousarray(values[:, i])) for i in range(values.shape[1])})
    found = from_table(table, request, where)
    return Found("table", found.source, where, {**found.columns, **columns}, split, taken, found.hints)


def _understood(
    schema: pa.Schema, open_columns: Callable[[Sequence[str] | None], Source], column: Callable[[str], Any], request: Request, where: str
) -> Found:
    """Which column holds the items, and so which kind they are; the rules stand in `counterpoint.data.reading`."""
    names = list(schema.names)
    prepared = request.preprocessing or {}
    classes = _class_names(schema)
    columns = {n: _reader(n, column, classes.get(n)) for n in names}
    taken = {"label": "label"} if "label" in names and request.label is None and "label" not in request.columns else {}
    used = request.named | set(taken.values())
    split = _split(columns[request.columns["split"]]().values, where) if isinstance(request.columns.get("split"), str) else None
    types = {n: schema.field(n).type for n in names if n not in used}

    def one(kind: str, name: str) -> Found:
        if kind == "image" and not _is_picture(schema.field(name).type):
            return Found(kind, Listed(paths_of(column(name), where), resident=False), where, columns, split, taken, {"column": name})
        return Found(kind, open_columns([name]), where, columns, split, taken, {"column": name})

    if request.text is not None:
        if request.text not in names:
            raise DataError(f"{where}: there is no column {request.text!r}{nearest(request.text, names)} (text was to be read from it)")
        return one("text", request.text)
    if request.kind in (None, "image", "text") and prepared.get("column") in names:
        return one(prepared["kind"], prepared["column"])
    pictures = [n for n, t in types.items() if _is_picture(t) or (request.kind == "image" and pa.types.is_string(t))]
    if request.kind == "image" or (request.kind is None and pictures):
        if not pictures:
            raise DataError(f"{where}: no column holds images (bytes, or paths of files); there are: {', '.join(names[:12])}")
        return one("image", pictures[0])
    lists = [n for n, t in types.items() if _is_list(t)]
    if request.kind in (None, "series", "array", "audio") and lists and (len(types) == 1 or request.kind):
        return _from_lists(open_columns([lists[0]]), lists[0], request, where, columns, split, taken)
    wordy = [n for n, t in types.items() if pa.types.is_string(t) or pa.types.is_large_string(t)]
    if request.kind == "text" or (request.kind is None and ("text" in wordy or (len(types) == 1 and wordy))):
        if not wordy:
            raise DataError(f"{where}: no column holds text; there are: {', '.join(names[:12])}")
        name = "text" if "text" in wordy else max(wordy, key=lambda n: _mean_length(column(n)))
        return one("text", name)
    if request.kind in ("series", "array"):
        return _from_numbers(open_columns, types, request, where, columns, split, taken)
    if request.kind not in (None, "table"):
        raise DataError(f"{where}: rows of a table cannot be read as {request.kind!r}; kind= may be table, text, image, series or array")
    if not types:
        raise DataError(f"{where}: every column is a label or group; nothing is left to learn from")
    kept = [n for n in names if n not in used or n in prepared.get("numeric", ()) or n in prepared.get("categories", ())]
    return Found("table", open_columns(kept), where, columns, split, taken, {"exclude": sorted(set(taken.values()))})


def _from_lists(
    source: Source, name: str, request: Request, where: str, columns: Mapping[str, Any], split: np.ndarray | None, taken: Mapping[str, str]
) -> Found:
    from counterpoint.data.arrays import from_list

    cells = source.rows(np.arange(len(source))).column(name).to_pylist()
    if any(c is None for c in cells):
        raise DataError(f"{where}: the column {name!r} has {sum(c is None for c in cells):,} missing lists; leave those rows out")
    found = from_list(cells, request, f"{where}: {name}")
    return Found(found.kind, found.source, where, columns, split, taken, found.hints)


def _from_numbers(
    open_columns: Callable[[Sequence[str] | None], Source],
    types: Mapping[str, pa.DataType],
    request: Request,
    where: str,
    columns: Mapping[str, Any],
    split: np.ndarray | None,
    taken: Mapping[str, str],
) -> Found:
    """Rows of numbers as an array n×columns, or as series n×1×columns."""
    wrong = [n for n, t in types.items() if not (pa.types.is_integer(t) or pa.types.is_floating(t) or pa.types.is_boolean(t))]
    if wrong or not types:
        raise DataError(
            f"{where}: kind={request.kind!r} needs columns of numbers; {', '.join(wrong[:5]) or 'none'} is not (kind='table' takes words)"
        )
    source = open_columns(list(types))
    table = source.rows(np.arange(len(source)))
    values = np.stack([table.column(n).cast(pa.float64()).to_numpy() for n in types], axis=1)
    found = Array(values if request.kind == "array" else values[:, None])
    return Found(str(request.kind), found, where, columns, split, taken, {"exclude": sorted(set(taken.values()))})


def _reader(name: str, column: Callable[[str], Any], classes: tuple[str, ...] | None) -> Callable[[], Raw]:
    return lambda: Raw(column(name), classes, f"in column {name!r}", codes=classes is not None)


def _class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Names of class codes that Hugging Face datasets keeps in the file."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {n: tuple(f["names"]) for n, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError):
        return {}


def _split(values: Any, where: str) -> np.ndarray:
    words = [str(v).lower() for v in (values.to_pylist() if hasattr(values, "to_pylist") else values)]
    odd = sorted(set(words) - set(SPLITS))
    if odd:
        raise DataError(f"{where}: the split column holds {odd[0]!r}; it may hold train, test, validation")
    return np.array([SPLITS[w] for w in words], np.int8)


def _is_picture(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return {"bytes", "path"} == {f.name for f in kind}
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_list(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return False
    inner = kind.value_type
    return _is_list(inner) or pa.types.is_floating(inner) or pa.types.is_integer(inner)


def paths_of(column: Any, where: str) -> list[str | None]:
    """Paths that stand in a column, relative to the folder of the file they stand in."""
    root = os.path.dirname(where) if os.path.isfile(where) else ""
    return [None if p is None else os.path.join(root, p) for p in column.to_pylist()]


def _mean_length(column: Any) -> float:
    return pc.mean(pc.utf8_length(column.slice(0, 1000))).as_py() or 0.0
