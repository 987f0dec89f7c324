"""Files of lines: csv and JSON lines, plain or compressed, read whole and never more of them than memory allows."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json

from counterpoint.core.errors import DataError
from counterpoint.data.request import Request
from counterpoint.data.streamed import one_line
from counterpoint.data.table import MISSING

_PACKED = (".gz", ".bz2")


def suffix(path: Path) -> str:
    """The format of a file by its name: ".csv" of "a.csv.gz"."""
    lower = path.name.lower()
    for packed in _PACKED:
        lower = lower.removesuffix(packed)
    return Path(lower).suffix


def whole(path: Path, memory: int) -> bytes:
    """A whole file, unpacked, and never more of it than `memory`."""
    if path.stat().st_size > memory:
        raise DataError(f"{path} has {path.stat().st_size:,} bytes and memory= allows {memory:,}; write it as parquet to have it streamed")
    try:
        with pa.input_stream(str(path), compression="detect") as file:
            data = file.read(memory + 1)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked, it may be cut off ({one_line(error)})") from None
    if len(data) > memory:
        raise DataError(f"{path} unpacks to more than the {memory:,} bytes that memory= allows; write it as parquet to have it streamed")
    if not data.strip():
        raise DataError(f"{path} is empty")
    return data


def csv(path: Path, request: Request) -> pa.Table:
    data = whole(path, request.memory)
    if b"\0" in data[:4096]:
        raise DataError(f"{path} is not text (it holds zero bytes); a csv file is lines of values")
    head = data[: data.find(b"\n") if b"\n" in data else len(data)].decode("utf-8", "replace").strip("\r\ufeff")
    separator = "\t" if suffix(path) == ".tsv" else max(",;\t|", key=head.count)
    cells = [c.strip().strip('"') for c in head.split(separator)]
    no_head = all(re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?", c) for c in cells)
    types: dict[str, pa.DataType] = {}
    encoding = "utf8"
    for _ in range(len(cells) + 3):  # a column whose later rows do not fit the type of its first is read again, as words
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(data),
                read_options=pa.csv.ReadOptions(autogenerate_column_names=no_head, encoding=encoding, block_size=1 << 24),
                parse_options=pa.csv.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
                convert_options=pa.csv.ConvertOptions(null_values=list(MISSING), strings_can_be_null=True, column_types=types),
            )
        except pa.ArrowException as error:
            text = str(error)
            found = re.search(r"In CSV column #(\d+)", text)
            names = [f"f{i}" for i in range(len(cells))] if no_head else cells
            if "UTF8" in text.upper() and encoding == "utf8":
                encoding = "latin-1"
                continue
            if found and int(found[1]) < len(names) and names[int(found[1])] not in types:
                types[names[int(found[1])]] = pa.string()
                continue
            raise DataError(f"{path} is not a regular csv file ({one_line(error)})") from None
        if any(pa.types.is_binary(f.type) for f in table.schema) and encoding == "utf8":
            encoding = "latin-1"
            continue
        if not table.num_rows:
            raise DataError(f"{path} has a head line and no rows")
        return table
    raise DataError(f"{path} is not a regular csv file")


def json_lines(path: Path, request: Request) -> pa.Table:
    data = whole(path, request.memory)
    try:
        return pa.json.read_json(
            pa.BufferReader(data), read_options=pa.json.ReadOptions(block_size=max(1 << 20, min(len(data) + 1, 1 << 30)))
        )
    except pa.ArrowException:
        pass  # say which line, or take what pyarrow cannot: values of several types in one column
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number} is not JSON ({one_line(error)}); each line must be one object") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number} is {type(row).__name__}, not an object with named values")
        rows.append(row)
    return table_of(rows)


def table_of(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows with names as a table; a column with values of several types becomes words."""
    names = dict.fromkeys(name for row in rows for name in row)
    made = {}
    for name in names:
        cells = [row.get(name) for row in rows]
        try:
            made[name] = pa.array(cells)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            made[name] = pa.array([None if c is None else c if isinstance(c, str) else json.dumps(c) for c in cells], pa.string())
    return pa.table(made)
