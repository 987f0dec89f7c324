"""Columns beside the data: labels, groups, times. Classes become codes with names, −1 where unknown; numbers stay numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from counterpoint.core.errors import LabelError

CLASSES = ("label", "group")  # columns that are always classes, whatever stands in them


@dataclass(frozen=True)
class Raw:
    """A column as it was found. `codes` says that its whole numbers are class codes, in which −1 means unknown.

    values: n of them.   names: of the codes, where the source has them.   origin: how the summary says where it is from.
    """

    values: Any
    names: tuple[str, ...] | None = None
    origin: str = ""
    codes: bool = False


def encode(column: str, raw: Raw, items: int, known: Sequence[str] | None = None) -> tuple[Tensor, list[str] | None]:
    """A column as a tensor (n,): int64 codes with their names, or numbers (float, NaN unknown; int64, −1 unknown) without names.

    known: names that have their codes already (from the training data); names that are new here follow after them.
    """
    try:
        values = _as_arrow(raw.values)
    except (pa.ArrowException, TypeError, ValueError):
        raise LabelError(
            f"{column} holds {type(raw.values).__name__} that is not one value an item; give one word or number an item"
        ) from None
    if len(values) != items:
        raise LabelError(f"{column} has {len(values):,} values for {items:,} items; give one value an item")
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)) and not _is_words(values.type):
        raise LabelError(f"{column} holds {values.type}; it must be words or numbers, one an item")
    if raw.names is not None and pa.types.is_integer(values.type):
        values, renamed = _name(column, values, raw.names), True
    else:
        renamed = False
    if pa.types.is_floating(values.type):
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        if column not in CLASSES:
            return torch.from_numpy(np.where(np.isfinite(numbers), numbers, np.nan).astype(np.float32)), None
        if (finite != np.round(finite)).any():
            distinct = len(np.unique(finite))
            raise LabelError(
                f"{column} holds real numbers ({distinct:,} different ones); a {column} must be classes: "
                f"bin it first, or take it along with columns={{'name': 'column'}}"
            )
        values = pa.array(np.where(np.isfinite(numbers), numbers, 0).astype(np.int64), mask=~np.isfinite(numbers))
    if pa.types.is_integer(values.type) and column not in CLASSES and known is None:
        return torch.from_numpy(pc.fill_null(values.cast(pa.int64()), -1).to_numpy(zero_copy_only=False).copy()), None
    values = _without_unknown(values) if raw.codes and not renamed else values
    codes, names = _codes(values, known, raw.names if renamed else None)
    distinct = int(codes.max()) + 1 if len(codes) else 0
    if column == "label" and known is None and items > 20 and distinct == items:
        raise LabelError(f"label has a different value for each of {items:,} items: that is a name, not a class; choose another column")
    return torch.from_numpy(codes), names


def _is_words(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind)


def _as_arrow(values: Any) -> pa.Array:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if not isinstance(values, pa.Array):
        if hasattr(values, "to_numpy"):  # pandas, polars
            values = values.to_numpy()
        if isinstance(values, np.ndarray):
            if values.ndim == 2 and values.shape[1] == 1:
                values = values[:, 0]
            if values.ndim != 1:
                raise ValueError("one value an item")
            if values.dtype.kind == "f":
                values = values.astype(np.float64)
        values = pa.array(values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "OU" else values, from_pandas=True)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_temporal(values.type):
        values = pc.divide(values.cast(pa.timestamp("ms")).cast(pa.int64()).cast(pa.float64()), 1000.0)
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.string())
    if pa.types.is_null(values.type):
        values = values.cast(pa.int64())
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = pc.if_else(pc.equal(pc.utf8_trim_whitespace(values), ""), pa.scalar(None, values.type), values)
    return values


def _name(column: str, codes: pa.Array, names: Sequence[str]) -> pa.Array:
    """Codes into a list of names, as words."""
    numbers = pc.fill_null(codes.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    odd = numbers[(numbers < -1) | (numbers >= len(names))]
    if len(odd):
        raise LabelError(f"{column} holds the code {int(odd[0])} and has {len(names)} class names")
    return pa.DictionaryArray.from_arrays(pa.array(numbers, mask=numbers < 0), pa.array(list(names))).dictionary_decode()


def _without_unknown(values: pa.Array) -> pa.Array:
    """−1 becomes unknown where the other codes are exactly 0 … k − 1 with k ≥ 2; {−1, 1} are two classes."""
    if not pa.types.is_integer(values.type):
        return values
    distinct = np.sort(pc.drop_null(pc.unique(values)).to_numpy(zero_copy_only=False).astype(np.int64))
    rest = distinct[distinct != -1]
    if len(rest) < len(distinct) and len(rest) >= 2 and (rest == np.arange(len(rest))).all():
        return pc.if_else(pc.equal(values, -1), pa.scalar(None, values.type), values)
    return values


def _codes(values: pa.Array, known: Sequence[str] | None, all_names: Sequence[str] | None) -> tuple[np.ndarray, list[str]]:
    """Codes in the order of the names: those known already, then the rest sorted (numbers by value)."""
    coded = pc.dictionary_encode(values)
    here = coded.dictionary.to_pylist()
    order = sorted(range(len(here)), key=lambda i: here[i])
    words = [str(name) for name in here]
    names = list(known or (all_names if all_names is not None and len(set(all_names)) == len(all_names) else ()))
    there = set(names)
    names += [words[i] for i in order if words[i] not in there]
    place = {name: code for code, name in enumerate(names)}
    table = np.array([place[w] for w in words] + [-1], dtype=np.int64)
    index = pc.fill_null(coded.indices, len(words)).to_numpy(zero_copy_only=False).astype(np.int64)
    return table[index], names
