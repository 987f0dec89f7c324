"""`read`: whatever the data are, one call; it recognises what it was given and imports only what that kind needs.

How a source is understood (`kind=` overrides each guess, `Dataset.summary()` says what was guessed):

- a folder: images or sounds, whichever there are more of, the first subfolders being the classes, below train/ and test/ (val/) where
  those are there; else files train.* and test.*; else parquet or Arrow pieces below each other; or a saved Hugging Face data set.
- .npz: `x`, or `x_train` and `x_test`; `y` are labels, arrays with one value an item are columns by name; `offset` cuts a flat `x` into
  items of unequal length; `edges` beside `x` make a graph whose nodes are the items. .npy: the items.
- an array: words → text; 2 axes → array; 3 axes: bytes, 16-bit or true/false → images n×h×w, floats of equal height and width ≥ 8 → images,
  else series n×channels×length; 4 axes: few channels last (≤ 4, or fewer than both sides and ≤ 32) → images n×h×w×c, few channels first →
  images n×c×h×w, else volumes n×d×h×w; 5 axes: one channel → volumes, else videos n×t×h×w×c.
- a list: of words → text (of names of image files → images), of arrays → series (skeletons where the arrays have 3 axes, the last 2 or 3).
- csv, jsonl, parquet, Arrow, DataFrame, Hugging Face data set: a column of pictures → images; a column `text`, or text as the only column →
  text; lists of numbers as the only column → series; else table. A column called `label` is taken as the label.
- .txt → a text a line. A dictionary → paired data; {"x": features, "edges": links, "y": labels} → a graph;
  {"interactions": (user, product), "held_out": …} → users and products.
- a name of the catalogue ("mnist5k", "cifar10[8000]") where no such file is there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from counterpoint.core.errors import DataError, nearest
from counterpoint.data import arrays, folders, npz, rows, tabular
from counterpoint.data.build import build
from counterpoint.data.columns import Raw
from counterpoint.data.dataset import Dataset
from counterpoint.data.request import Found, Holdout, Hook, Request, columns_asked, request_of
from counterpoint.data.sources import Listed


def read(
    source: Any,
    *,
    kind: str | Mapping[str, str] | None = None,
    label: Any = None,
    text: str | Mapping[str, str] | None = None,
    columns: Mapping[str, Any] | Sequence[str] | None = None,
    modalities: Mapping[str, str] | None = None,
    size: Any = None,
    limit: int | None = None,
    memory: int | str | None = None,
    tokenizer: str | None = None,
    on_bad: str = "error",
    preprocessing: Mapping[str, Any] | None = None,
    progress: Hook | None = None,
    holdout: Holdout | None = None,
) -> Dataset:
    """Read data of any kind. Wrong input is a DataError or LabelError of one line.

    source: path, array, list, DataFrame, Hugging Face data set, {modality: source}, name in the catalogue, or a Dataset.
    kind: of the data, instead of the guess.
    label: column with the classes, or the classes themselves, one an item; never learned from unless a method asks for it.
    text: column with the text.
    columns: key → column (or its values): {"group": "subject"}; a list of names keeps them. "split" names train and test.
    modalities: modality → column, for several modalities in one table.
    size: of images (side, or height and width), frames, voxels; tokens of a text; samples of a sound.
    limit: at most this many items of each part (train, test), drawn once and for all.
    memory: what prepared data may take: bytes, "8GB", or "auto" (half of what is free); larger sets stay on disk and stream.
    tokenizer: local folder of a transformers model whose tokeniser makes the ids.
    on_bad: "error" lists items that cannot be used, "skip" leaves them out.
    preprocessing: of an earlier data set: new data are prepared in just that way.
    progress: called with (done, of how many, what) while data are prepared.
    holdout: (labels, groups) -> split, where the data have no test part of their own: preparation is then fitted on the train part only.
    """
    if isinstance(source, Dataset):
        return again(source, label, columns)
    request = request_of(
        kind=kind,
        label=label,
        text=text,
        columns=columns,
        modalities=modalities,
        size=size,
        limit=limit,
        memory=memory,
        tokenizer=tokenizer,
        on_bad=on_bad,
        preprocessing=preprocessing,
        progress=progress,
        holdout=holdout,
    )
    several = list((preprocessing or {}).get("modalities", ())) not in ([], ["x"])
    if isinstance(source, Mapping) and not hasattr(source, "with_format") and not _is_hub(source):
        if set(source) <= {"x", "y"} and "x" in source:
            return read(source["x"], **{**request.__dict__, "label": label if label is not None else source.get("y")})
        if {"x", "edges"} <= set(source) <= {"x", "y", "edges"}:
            from counterpoint.data import graph

            wanted = replace(request, label=label if label is not None else source.get("y"))
            return build({"x": graph.from_arrays(source["x"], source["edges"], "the graph")}, wanted)
        if "interactions" in source and set(source) <= {"interactions", "held_out"}:
            from counterpoint.data import interactions

            return build({"x": interactions.from_pairs(source["interactions"], source.get("held_out"), "the choices")}, request)
        from counterpoint.data import paired

        return paired.from_sources(source, request, find)
    if request.modalities:
        from counterpoint.data import paired

        return paired.from_columns(source, request, find)
    if several:
        there = ", ".join((preprocessing or {})["modalities"])
        raise DataError(f"the preparation is for several modalities ({there}); give them as {{modality: source}} or with modalities=")
    if request.preprocessing is not None and request.kind is None:
        request = replace(request, kind=request.preprocessing["modalities"]["x"]["kind"])
    if isinstance(source, str) and not os.path.exists(source):
        from counterpoint.data import catalogue

        if catalogue.known(source):
            return catalogue.load(source, **request.__dict__)
    return build({"x": find(source, _for_one(request))}, request)


def find(source: Any, request: Request) -> Found:
    """Recognise one source. Nothing is prepared yet."""
    if isinstance(source, str) and not source.strip():
        raise DataError("an empty name was given; give the path of a file or folder")
    if isinstance(source, (str, os.PathLike)):
        return _path(Path(source).expanduser(), request)
    if isinstance(source, torch.Tensor):
        return arrays.from_array(source.detach().cpu().numpy(), request, "the tensor")
    if isinstance(source, np.ma.MaskedArray):
        source = np.ma.filled(source.astype(np.float64), np.nan)
    if isinstance(source, np.ndarray):
        return arrays.from_array(source, request, "the array")
    if _is_hub(source) or hasattr(source, "with_format"):
        return folders.from_hub(source, request, "the data set")
    if type(source).__module__.split(".")[0] in ("pandas", "polars") and hasattr(source, "columns"):
        return tabular.from_frame(source, request, "the DataFrame")
    if type(source).__module__.split(".")[0] == "pyarrow" and hasattr(source, "schema"):
        return tabular.from_table(source, request, "the table")
    if hasattr(source, "to_numpy"):  # a column of pandas or polars
        return find(source.to_numpy(), request)
    if hasattr(source, "toarray"):
        return arrays.from_array(source.toarray(), request, "the sparse matrix")
    if isinstance(source, Sequence):
        return _list(source, request)
    raise DataError(f"{type(source).__name__} cannot be read; give a path, an array, a list, a DataFrame, or {{modality: source}}")


def _path(path: Path, request: Request) -> Found:
    try:
        there = path.exists()
    except (OSError, ValueError) as error:
        raise DataError(f"{str(path)[:80]!r} is not the name of a file ({error.__class__.__name__})") from None
    if not there:
        beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        hint = nearest(path.name, beside) if beside else f"; the folder {path.parent} is not there either"
        raise DataError(f"there is no file or folder {str(path)!r}{hint if 'did you mean' in hint or 'folder' in hint else ''}")
    try:
        if path.is_dir():
            return folders.from_folder(path, request)
        form = rows.suffix(path)
        if form in (".npy", ".npz"):
            return npz.from_file(path, request)
        if form in tabular.FORMATS:
            return tabular.from_file(path, request)
        if form in folders.IMAGES | folders.SOUNDS:
            return Found("image" if form in folders.IMAGES else "audio", Listed([str(path)], resident=False), str(path))
    except PermissionError:
        raise DataError(f"{path} may not be read (no permission)") from None
    known = ", ".join([".npz", ".npy", *tabular.FORMATS, "folders", "images", "sounds"])
    raise DataError(f"{path}: files of type {form or 'unknown'!r} cannot be read; these can: {known}")


def _list(values: Sequence[Any], request: Request) -> Found:
    if not values:
        raise DataError("an empty list was given; at least two items are needed")
    first = next((v for v in values if v is not None), None)
    if first is None:
        raise DataError("every item of the list is None")
    if isinstance(first, (str, os.PathLike)):
        ends = {os.path.splitext(str(v))[1].lower() for v in values[:50] if v is not None}
        is_file = bool(ends & (folders.IMAGES | folders.SOUNDS)) or os.path.exists(str(first))
        if (request.kind == "image" and is_file) or (request.kind is None and ends <= folders.IMAGES):
            return Found("image", Listed([None if v is None else str(v) for v in values], resident=False), "the list of files")
        if (request.kind == "audio" and is_file) or (request.kind is None and ends <= folders.SOUNDS):
            return Found("audio", Listed([str(v) for v in values], resident=False), "the list of files")
        if request.kind not in (None, "text"):
            raise DataError(f"a list of words was given; it cannot be read as {request.kind!r}")
        return Found("text", Listed([None if v is None else str(v) for v in values]), "the list of texts")
    if isinstance(first, (bytes, memoryview)):
        return Found("image", Listed(values), "the list of images")
    if hasattr(first, "convert") and hasattr(first, "getbands"):  # images of PIL
        return arrays.from_list([np.asarray(v) for v in values], request, "the list of images")
    if isinstance(first, Mapping):
        return tabular.from_table(rows.table_of(values), request, "the list of rows")
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        raise DataError("a list of numbers was given; each item must be an array, a text or a file")
    return arrays.from_list([v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v for v in values], request, "the list")


def _for_one(request: Request) -> Request:
    """In readers, `preprocessing` is that of the one modality."""
    if request.preprocessing is None:
        return request
    return replace(request, preprocessing=request.preprocessing["modalities"].get("x"))


def _is_hub(source: Any) -> bool:
    return type(source).__module__.split(".")[0] == "datasets"


def again(source: Dataset, label: Any, columns: Mapping[str, Any] | Sequence[str] | None) -> Dataset:
    """A Dataset as it is, with columns that were given as values."""
    given = {**({} if label is None else {"label": label}), **columns_asked(columns)}
    more = {}
    for key, value in given.items():
        if isinstance(value, str):
            if value not in source.columns:
                raise DataError(f"the data set has no column {value!r}{nearest(value, source.columns)}")
            if value != key:
                more[key] = Raw(source.columns[value], tuple(source.names.get(value, ())) or None, f"in column {value!r}", codes=True)
        else:
            more[key] = Raw(value, origin="given", codes=True)
    return source.with_columns(more) if more else source
