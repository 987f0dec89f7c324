"""Arrays in memory and lists of arrays of unequal length; and which kind of data an array holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from counterpoint.core.errors import DataError
from counterpoint.data import grids
from counterpoint.data.columns import Raw
from counterpoint.data.request import Found, Request
from counterpoint.data.sources import Array, Listed, Source, join

_AXES = {
    "image": (3, 4), "series": (2, 3), "volume": (4, 5), "video": (4, 5), "audio": (2, 3), "points": (3,), "skeleton": (4,), "table": (2,),
    "array": (2, 3, 4, 5, 6), "graph": (2,), "text": (1,),
}  # fmt: skip


def guess(shape: Sequence[int], dtype: np.dtype, where: str) -> tuple[str, dict[str, Any]]:
    """(kind, hints) of an array by its axes, type and sizes; the rules stand in `counterpoint.data.reading`."""
    if dtype.kind in "US":
        if len(shape) == 1:
            return "text", {}
        raise DataError(f"{where} holds words in {len(shape)} axes; text is one axis of words, a table a DataFrame or a csv file")
    last, wide = shape[-1], all(s >= 8 for s in shape[1:3])
    if len(shape) == 2:
        return "array", {}
    if len(shape) == 3:
        byte_like = dtype in (np.uint8, np.uint16, np.bool_)
        square = dtype.kind == "f" and shape[1] == shape[2] >= 8
        return ("image" if byte_like or square else "series"), {}
    if len(shape) == 4:
        if last <= 4 or (wide and last <= 32 and last < min(shape[1], shape[2])):
            return "image", {"axes": "last"}
        if shape[1] <= 4 or (shape[1] <= 32 and shape[1] < min(shape[2], shape[3])):
            return "image", {"axes": "first"}
        return "volume", {}
    if len(shape) == 5:
        return ("volume" if shape[1] == 1 or (last == 1 and dtype != np.uint8) else "video"), {}
    raise DataError(f"{where} has shape {tuple(shape)}; the first axis is items, and one to four more are understood")


def check_axes(kind: str, shape: Sequence[int], where: str) -> dict[str, Any]:
    """Hints for a kind that was asked for, after refusing a shape that it cannot have."""
    if len(shape) not in _AXES.get(kind, ()):
        need = " or ".join(str(a) for a in _AXES.get(kind, ()))
        raise DataError(f"{where} has shape {tuple(shape)}; kind={kind!r} needs an array of {need} axes, the first of them items")
    if kind == "image" and len(shape) == 4:
        first = shape[1] <= 4 < shape[3] or (shape[3] > 32 >= shape[1])
        return {"axes": "first" if first else "last"}
    return {}


def from_array(values: np.ndarray, request: Request, where: str) -> Found:
    """An array in memory."""
    if values.dtype.hasobject:
        if values.ndim == 1 and all(isinstance(v, str) for v in values[:100]):
            values = values.astype(str)
        elif values.ndim == 1 and len(values) and all(isinstance(v, np.ndarray) for v in values[:100]):
            return from_list(list(values), request, where)
        else:
            raise DataError(f"{where} holds Python objects (dtype object); give numbers, or a list of arrays for series of unequal length")
    if values.dtype.kind not in "biufUS":
        raise DataError(f"{where} has type {values.dtype}; it must be numbers, true/false or words")
    if values.ndim == 0:
        raise DataError(f"{where} is a single number; an array of items is needed")
    return found_in([Array(values)], values.shape, values.dtype, request, where)


def from_list(values: Sequence[Any], request: Request, where: str) -> Found:
    """Arrays of unequal length: series (t,) or with two axes, sounds, clouds of points, skeletons."""
    try:
        arrays = [np.asarray(v) for v in values]
    except ValueError:
        raise DataError(f"{where}: an item is itself ragged; each must be an array of numbers") from None
    odd = next((i for i, a in enumerate(arrays) if a.dtype.kind not in "biuf"), None)
    if odd is not None:
        raise DataError(f"{where}: item {odd} holds {arrays[odd].dtype}; each must be an array of numbers")
    shapes = {a.shape for a in arrays}
    if shapes == {()}:
        raise DataError(f"{where} is a list of numbers; each item must be an array")
    kind = request.kind or ("skeleton" if arrays[0].ndim == 3 and arrays[0].shape[2] in (2, 3) else "series")
    if kind in ("image", "volume", "video") or (request.kind is None and arrays[0].ndim == 3 and kind != "skeleton"):
        if len(shapes) == 1:
            return from_array(np.stack(arrays), request, where)
        sizes = ", ".join(grids.shape_text(s) for s in sorted(shapes)[:3])
        raise DataError(
            f"{where}: the arrays differ in size ({sizes} …); images as arrays must be of one size (files of any size are read)"
        )
    if kind in ("array", "table"):
        if len(shapes) == 1:
            return from_array(np.stack(arrays), request, where)
        raise DataError(f"{where}: the rows differ in length; kind={kind!r} needs rows of one length, kind='series' takes unequal ones")
    if kind not in ("series", "audio", "points", "skeleton"):
        raise DataError(f"{where}: a list of arrays cannot be read as {kind!r}")
    hints: dict[str, Any] = {}
    if kind == "series" and arrays:
        from counterpoint.data.series import _axes

        axes = _axes(arrays, where)
        hints = {"axes": axes, "length": max(len(a) if a.ndim == 1 or axes == "last" else a.shape[1] for a in arrays)}
    return Found(kind, Listed(arrays), where, hints=hints)


def found_in(
    sources: Sequence[Source],
    shape: Sequence[int],
    dtype: np.dtype,
    request: Request,
    where: str,
    columns: Mapping[str, Callable[[], Raw]] | None = None,
    split: np.ndarray | None = None,
    taken: Mapping[str, str] | None = None,
) -> Found:
    if len(shape) < 2 and dtype.kind not in "US":
        raise DataError(f"{where} has one axis ({shape[0]:,} numbers); items need at least one number each in a second axis")
    if 0 in shape[1:]:
        raise DataError(f"{where} has shape {tuple(shape)}: its items are empty")
    if request.kind is None:
        kind, hints = guess(shape, dtype, where)
    else:
        kind, hints = request.kind, check_axes(request.kind, shape, where)
        if dtype.kind in "US" and kind not in ("text", "table"):
            raise DataError(f"{where} holds words ({dtype}); kind={kind!r} needs numbers")
    if request.preprocessing is not None and kind in ("image", "video"):
        hints = {}  # the axes are those of the preparation
    source = join(sources)
    if kind == "table":
        from counterpoint.data.tabular import from_matrix

        return from_matrix(source.rows(np.arange(len(source))), request, where, columns or {}, split, taken or {})
    return Found(kind, source, where, columns or {}, split, taken or {}, hints)
