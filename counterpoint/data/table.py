"""Tables of numeric and categorical columns, with missing values.

Numeric columns are standardised with the training items' mean and deviation; categories become codes, the rare ones of a column with
many share one code; dates become seconds. Left out, and named in the summary: columns that are constant or empty, identifiers (words
with nearly as many values as rows, a running number), columns of lists. Missing is NaN everywhere; so is a category unseen before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from counterpoint.core.errors import DataError, nearest
from counterpoint.core.recipe import Modality
from counterpoint.data.grids import LARGEST
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Dense

MOST = 128  # categories of a column that keep a code of their own
MISSING = ("", "?", "NA", "N/A", "na", "n/a", "NaN", "nan", "null", "NULL", "None", "none", "-")


def sample_size(source: Source) -> int:
    return 200_000


def fit(rows: pa.Table, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of a table: which columns are numbers (mean, deviation) and which are categories (their words)."""
    numeric: dict[str, list[float]] = {}
    categories: dict[str, list[str]] = {}
    left: dict[str, list[str]] = {"constant": [], "empty": [], "identifier": [], "not a number or word": []}
    skipped = request.named | set(hints.get("exclude", ()))
    missing = 0
    for name in rows.column_names:
        if name in skipped:
            continue
        column = _plain(rows.column(name))
        if column is None:
            left["not a number or word"].append(name)
            continue
        known = len(column) - column.null_count
        if not known:
            left["empty"].append(name)
        elif pa.types.is_floating(column.type):
            values = column.to_numpy(zero_copy_only=False)
            finite = values[~np.isnan(values)]
            _refuse_infinite(finite, name, where)
            if not len(finite):
                left["empty"].append(name)
            elif (finite == finite[0]).all():
                left["constant"].append(name)
            elif _running(finite, len(values)):
                left["identifier"].append(name)
            else:
                numeric[name] = [float(finite.mean()), float(finite.std()) or 1.0]
                missing += len(values) - len(finite)
        else:
            counted = pc.value_counts(pc.drop_null(column)).to_pylist()
            counted.sort(key=lambda c: (-c["counts"], c["values"]))
            if len(counted) == 1:
                left["constant"].append(name)
            elif len(counted) > 20 and len(counted) > 0.5 * known:
                left["identifier"].append(name)
            else:
                kept = [c["values"] for c in counted[:MOST]]
                categories[name] = sorted(kept) + (["(other)"] if len(counted) > MOST else [])
                missing += column.null_count
    if not numeric and not categories:
        why = "; ".join(f"{reason}: {', '.join(names[:5])}" for reason, names in left.items() if names)
        raise DataError(f"{where}: no column to learn from ({why or 'all are labels'})")
    cells = max(len(rows) * (len(numeric) + len(categories)), 1)
    used = {reason: names for reason, names in left.items() if names}
    return {"kind": "table", "numeric": numeric, "categories": categories, "left": used, "missing": round(missing / cells, 4)}


def convert(rows: pa.Table, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw rows → (n, columns) float32: numbers standardised, then codes of categories; NaN where missing."""
    names = [*found["numeric"], *found["categories"]]
    absent = [n for n in names if n not in rows.column_names]
    if absent:
        hint = nearest(absent[0], rows.column_names)
        raise DataError(f"the table lacks the column {absent[0]!r} that was learned from{hint} ({len(absent)} of {len(names)} are absent)")
    out = np.empty((len(rows), len(names)), np.float32)
    for place, (name, (mean, deviation)) in enumerate(found["numeric"].items()):
        column = _plain(rows.column(name))
        if column is None or not (pa.types.is_floating(column.type) or column.null_count == len(column)):
            raise DataError(f"the column {name!r} holds {rows.column(name).type}; it was learned from as numbers")
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        _refuse_infinite(values, name, "the table")
        out[:, place] = (values - mean) / deviation
    for place, (name, known) in enumerate(found["categories"].items(), len(found["numeric"])):
        column = _plain(rows.column(name))
        if column is None:
            raise DataError(f"the column {name!r} holds {rows.column(name).type}; it was learned from as words")
        text = column if pa.types.is_string(column.type) else _as_words(column)
        codes = pc.index_in(text, value_set=pa.array(known, pa.string()))
        if known[-1] == "(other)":
            codes = pc.if_else(pc.and_(pc.is_null(codes), pc.is_valid(text)), pa.scalar(len(known) - 1, pa.int32()), codes)
        out[:, place] = codes.cast(pa.float32()).to_numpy(zero_copy_only=False)
    return Converted(Dense(torch.from_numpy(out)))


def modality(found: Mapping[str, Any]) -> Modality:
    sizes = tuple(len(words) for words in found["categories"].values())
    names = (*found["numeric"], *found["categories"])
    return Modality("table", (len(names),), {"numeric": len(found["numeric"]), "categories": sizes, "names": names})


def words(found: Mapping[str, Any], items: int) -> str:
    parts = [f"{len(found[kind]):,} {word}" for kind, word in (("numeric", "numeric"), ("categories", "categorical")) if found[kind]]
    missing = f", {found['missing']:.1%} missing" if found["missing"] else ""
    count = len(found["numeric"]) + len(found["categories"])
    left = "; ".join(f"{_listed(names)} ({reason})" for reason, names in found["left"].items())
    return f"{items:,} rows, {' and '.join(parts)} column{'s' * (count > 1)}{missing}" + (f", left out: {left}" if left else "")


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """The first columns of each row as text."""
    names = [*found["numeric"], *found["categories"]][:6]
    lines: list[bytes | str] = []
    for row in items.tolist():
        cells = []
        for place, name in enumerate(names):
            value = row[place]
            if value != value:
                shown = "missing"
            elif name in found["numeric"]:
                mean, deviation = found["numeric"][name]
                shown = f"{value * deviation + mean:.4g}"
            else:
                shown = found["categories"][name][int(value)]
            cells.append(f"{name} {shown}")
        lines.append(" · ".join(cells))
    return lines


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    """One-hot categories (missing = all zero) beside standardised numbers (missing = 0)."""
    numbers = torch.nan_to_num(items[:, : len(found["numeric"])])
    pieces = [numbers]
    for place, known in enumerate(found["categories"].values(), len(found["numeric"])):
        column = items[:, place]
        codes = torch.nan_to_num(column, nan=float(len(known))).long()
        pieces.append(torch.nn.functional.one_hot(codes, len(known) + 1)[:, :-1].float())
    return torch.cat(pieces, dim=1).numpy()


def _plain(column: pa.ChunkedArray) -> pa.Array | None:
    """A column as float64 or as words; None for lists, structures and bytes."""
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(values, pa.ChunkedArray):
        values = values.chunk(0) if values.num_chunks else pa.array([], values.type)
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _plain(values.dictionary_decode())
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    if pa.types.is_boolean(kind):
        return values.cast(pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pc.divide(values.cast(pa.timestamp("ms")).cast(pa.int64()).cast(pa.float64()), 1000.0)
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return values.cast(pa.int64() if kind.bit_width == 64 else pa.int32()).cast(pa.float64())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.float64(), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or "string" in str(kind):
        text = pc.utf8_trim_whitespace(values.cast(pa.string()))
        return pc.if_else(pc.is_in(text, value_set=pa.array(MISSING)), pa.scalar(None, pa.string()), text)
    return None


def _as_words(numbers: pa.Array) -> pa.Array:
    """Numbers as the words they would be in a file: 3.0 is "3"."""
    values = numbers.to_numpy(zero_copy_only=False)
    return pa.array([None if v != v else str(int(v)) if v == int(v) else str(v) for v in values], pa.string())


def _running(values: np.ndarray, rows: int) -> bool:
    """A running number: whole, all different, each one more than the last."""
    return len(values) == rows > 20 and bool((np.diff(values) == 1).all())


def _refuse_infinite(values: np.ndarray, name: str, where: str) -> None:
    odd = np.flatnonzero(np.abs(values) > LARGEST)
    if len(odd):
        shown = "inf" if np.isinf(values[odd[0]]) else f"{values[odd[0]]:.0e}"
        raise DataError(f"{where}: the column {name!r} holds {shown} (row {int(odd[0])}); give a number below 1e30 or leave it empty")


def _listed(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
