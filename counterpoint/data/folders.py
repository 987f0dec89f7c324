"""Folders: images or sounds with class names from subfolders, the parts of a set as files, parquet in pieces, saved Hugging Face sets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from counterpoint.core.errors import DataError, need
from counterpoint.data import rows, tabular
from counterpoint.data.columns import Raw
from counterpoint.data.request import SPLITS, Found, Request
from counterpoint.data.sources import Listed, join

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2"}
SOUNDS = {".wav", ".flac", ".ogg", ".mp3"}
_NAMES = tuple(SPLITS)


def from_folder(path: Path, request: Request) -> Found:
    """A folder, by what it holds; the rules stand in `counterpoint.data.reading`."""
    if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
        return from_saved(path, request)
    files, others = _scan(path, request)
    if files[".image"] or files[".sound"]:
        kind = "image" if len(files[".image"]) >= len(files[".sound"]) else "audio"
        chosen = files[".image" if kind == "image" else ".sound"]
        if request.kind not in (None, kind):
            raise DataError(f"{path} holds {len(chosen):,} {kind} files; they cannot be read as {request.kind!r}")
        return _classes(path, chosen, kind, sum(others.values()))
    parts = _part_files(path)
    if parts:
        return _joined(parts, request, str(path))
    blocks = sorted(str(p) for ext in (".parquet", ".arrow", ".feather") for p in path.glob(f"*{ext}"))
    if blocks:
        return tabular.from_blocks(blocks, request, str(path))
    there = ", ".join(f"{n:,} {ext or 'without extension'}" for ext, n in others.most_common(4)) or "no files"
    raise DataError(f"{path} holds {there}; a folder of images, sounds, parquet files or train.*/test.* files can be read")


def _scan(root: Path, request: Request) -> tuple[dict[str, list[str]], Counter[str]]:
    """All files below a folder by what they are; hidden ones are passed over."""
    found: dict[str, list[str]] = {".image": [], ".sound": []}
    others: Counter[str] = Counter()
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(n for n in inner if not n.startswith("."))
        for name in sorted(names):
            if name.startswith("."):
                continue
            ext = os.path.splitext(name)[1].lower()
            kind = ".image" if ext in IMAGES else ".sound" if ext in SOUNDS else None
            if kind is None:
                others[ext] += 1
            else:
                found[kind].append(os.path.join(folder, name))
        request.told(len(found[".image"]) + len(found[".sound"]), 0, "listing files")
    return found, others


def _classes(root: Path, files: list[str], kind: str, others: int) -> Found:
    """Class names from the first folder below the root, below train/ and test/ where those are there."""
    below = len(os.path.join(root, ""))
    pieces = [file[below:].split(os.sep) for file in files]
    tops = {p[0].lower() for p in pieces if len(p) > 1}
    in_parts = bool(tops) and tops <= set(SPLITS) and 0 in {SPLITS[t] for t in tops} and len(tops) > 1
    split = None
    if in_parts:
        split = np.array([SPLITS[p[0].lower()] if len(p) > 1 else -1 for p in pieces], np.int8)
        pieces = [p[1:] for p in pieces]
    names = [p[0] if len(p) > 1 else None for p in pieces]
    notes = (f"{others:,} other files in the folder were passed over",) if others else ()
    columns: dict[str, Callable[[], Raw]] = {}
    taken: dict[str, str] = {}
    if len(set(names) - {None}) > 1:
        coded = pa.array(names, pa.string())
        columns["folder"] = lambda: Raw(coded, origin="from folder names")
        taken["label"] = "folder"
    return Found(kind, Listed(files, resident=False), str(root), columns, split, taken, notes=notes)


def _part_files(root: Path) -> dict[str, Path]:
    """train.csv, test.jsonl.gz …: part → file; nothing unless there is a train file and another part."""
    found: dict[str, Path] = {}
    for path in sorted(root.iterdir()):
        stem = path.name.lower().split(".")[0]
        if path.is_file() and stem in SPLITS and (rows.suffix(path) in tabular.FORMATS or path.suffix.lower() in (".npy", ".npz")):
            if stem in found:
                raise DataError(f"{root} holds {found[stem].name} and {path.name}; name the one to read")
            found[stem] = path
    found = {part: found[part] for part in SPLITS if part in found}  # train first
    return found if len(found) > 1 and any(SPLITS[s] == 0 for s in found) else {}


def _joined(parts: Mapping[str, Path], request: Request, where: str) -> Found:
    from counterpoint.data import npz

    found = [npz.from_file(p, request) if p.suffix.lower() in (".npy", ".npz") else tabular.from_file(p, request) for p in parts.values()]
    return stacked(found, [SPLITS[part] for part in parts], where)


def stacked(found: list[Found], codes: list[int], where: str) -> Found:
    """Parts of one set below each other."""
    first = found[0]
    odd = next((f for f in found if f.kind != first.kind), None)
    if odd is not None:
        raise DataError(f"{first.where} holds {first.kind} data and {odd.where} {odd.kind}; the parts of a set must be of one kind")
    split = np.concatenate([np.full(len(f.source), code, np.int8) for f, code in zip(found, codes)])
    every = dict.fromkeys(name for f in found for name in f.columns)

    def column(name: str) -> Callable[[], Raw]:
        def read() -> Raw:
            pieces: list[Any] = []
            raw = Raw(())
            for f in found:
                if name in f.columns:
                    raw = f.columns[name]()
                    values = raw.values.combine_chunks() if isinstance(raw.values, pa.ChunkedArray) else raw.values
                    pieces += values.to_pylist() if isinstance(values, pa.Array) else list(np.asarray(values).tolist())
                else:
                    pieces += [None] * len(f.source)
            return Raw(pieces, raw.names, raw.origin, raw.codes)

        return read

    taken: dict[str, str] = {key: value for f in found for key, value in f.taken.items()}
    hints = dict(first.hints)
    if "length" in hints:
        hints["length"] = max(int(f.hints["length"]) for f in found)
    source = join([f.source for f in found])
    return replace(first, source=source, where=where, columns={n: column(n) for n in every}, split=split, taken=taken, hints=hints)


def from_saved(path: Path, request: Request) -> Found:
    """A folder that `datasets.Dataset.save_to_disk` wrote."""
    datasets = need("datasets", "data")
    try:
        return from_hub(datasets.load_from_disk(str(path)), request, str(path))
    except (FileNotFoundError, OSError, ValueError, KeyError, pa.ArrowException) as error:
        from counterpoint.data.streamed import one_line

        raise DataError(f"{path} is not a whole saved data set ({one_line(error)})") from None


def from_hub(data: Any, request: Request, where: str) -> Found:
    """A Hugging Face dataset, or a dictionary of its parts."""
    if not hasattr(data, "items"):
        if not hasattr(data, "with_format") or not hasattr(data, "__len__"):
            raise DataError(f"{where} is an iterable data set without a length; save it with save_to_disk or as parquet first")
        return tabular.from_hub(data, request, where)
    parts = {name: part for name, part in data.items() if name.lower() in SPLITS}
    if not parts:
        raise DataError(f"{where} has the parts {', '.join(map(str, data))}; pick one, for instance data[{next(iter(data), 'train')!r}]")
    found = [tabular.from_hub(part, request, f"{where}: {name}") for name, part in parts.items()]
    return stacked(found, [SPLITS[name.lower()] for name in parts], where)
