"""What was asked for and what was found: the two records that the readers of files hand to the kinds of data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from counterpoint.core.errors import DataError, LabelError, OptionError, nearest
from counterpoint.data.budget import budget
from counterpoint.data.columns import Raw
from counterpoint.data.sources import Source

Hook = Callable[[int, int, str], None]  # (done, of how many, what is being done): a progress line for long preparation

Holdout = Callable[[Any, Any], Any]  # (labels, groups), (n,) codes or None -> (n,) 0 = train, 1 = test, −1 = neither


@dataclass(frozen=True)
class Request:
    """The options of `data.read`."""

    kind: str | None = None
    label: Any = None
    text: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    modalities: Mapping[str, str] = field(default_factory=dict)
    size: Any = None
    limit: int | None = None
    memory: int = 2**62
    on_bad: str = "error"
    tokenizer: str | None = None
    preprocessing: Mapping[str, Any] | None = None
    progress: Hook | None = None
    holdout: Holdout | None = None

    @property
    def wanted(self) -> dict[str, Any]:
        """Key → column name or values, label included."""
        return {**({} if self.label is None else {"label": self.label}), **self.columns}

    @property
    def named(self) -> set[str]:
        """Columns of the source that were asked for by name: not part of what is learned from."""
        return {value for value in self.wanted.values() if isinstance(value, str)}

    def told(self, done: int, of: int, what: str) -> None:
        if self.progress is not None:
            self.progress(done, of, what)


@dataclass(frozen=True)
class Found:
    """A source of one modality, and what lies beside it.

    where:   what errors call it.   columns: name → how to get it.   split: (n,) 0 train, 1 test, −1 neither.
    taken:   key → column, of those that are taken without being asked for (folder names, `y` of an npz).
    hints:   what the kind should know: the order of axes, the column that holds the items.   tables: of the whole set (edges).
    """

    kind: str
    source: Source
    where: str
    columns: Mapping[str, Callable[[], Raw]] = field(default_factory=dict)
    split: np.ndarray | None = None
    taken: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)

    def column(self, key: str, wanted: Any) -> Raw:
        """The column that was asked for as `key`: by name, or the values themselves."""
        if not isinstance(wanted, str):
            return Raw(wanted, origin="given", codes=True)
        if wanted not in self.columns:
            hint = nearest(wanted, self.columns)
            what = f"there is no column {wanted!r}{hint}" if self.columns else f"there are no columns, so no {wanted!r}"
            raise LabelError(f"{self.where}: {what} ({key} was to be read from it)")
        return self.columns[wanted]()


KINDS = ("array", "audio", "graph", "image", "interactions", "points", "series", "skeleton", "table", "text", "video", "volume")
SPLITS = {"train": 0, "training": 0, "test": 1, "testing": 1, "val": -1, "valid": -1, "validation": -1, "dev": -1}


def request_of(**options: Any) -> Request:
    """The options of `read`, checked."""
    unknown = sorted(set(options) - {f.name for f in fields(Request)})
    if unknown:
        raise OptionError(f"data.read has no option {unknown[0]!r}{nearest(unknown[0], [f.name for f in fields(Request)])}")
    on_bad, kind = options.get("on_bad", "error"), options.get("kind")
    if on_bad not in ("error", "skip"):
        raise OptionError(f"on_bad = {on_bad!r} is not allowed; it must be 'error' or 'skip'")
    for each in kind.values() if isinstance(kind, Mapping) else [kind]:
        if each is not None and each not in KINDS:
            raise OptionError(f"there is no kind {each!r}{nearest(str(each), KINDS)}")
    checked = {
        "columns": columns_asked(options.get("columns")),
        "modalities": dict(options.get("modalities") or {}),
        "memory": budget(options.get("memory")),
        "preprocessing": _checked(options.get("preprocessing")),
    }
    return Request(**{**options, **checked})


def columns_asked(columns: Mapping[str, Any] | Sequence[str] | None) -> dict[str, Any]:
    """`columns=` as key → column or values, checked."""
    if columns is None:
        return {}
    if isinstance(columns, str):
        columns = [columns]
    made = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    odd = next((key for key in made if not isinstance(key, str) or not re.fullmatch(r"[^\W\d]\w*", key) or key in ("item", "view")), None)
    if odd is not None:
        raise OptionError(f"{odd!r} cannot be the name of a column here; names are words, and 'item' and 'view' are taken")
    return made


def _checked(preprocessing: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if preprocessing is None:
        return None
    if not isinstance(preprocessing, Mapping) or not preprocessing.get("modalities") or preprocessing.get("version") != 1:
        raise DataError("preprocessing= is not that of a data set; give Dataset.preprocessing as it was, or none")
    odd = next((kept for kept in preprocessing["modalities"].values() if kept.get("kind") not in KINDS), None)
    if odd is not None:
        raise DataError(f"preprocessing= is for {odd.get('kind')!r} data, which are not read; there are: {', '.join(KINDS)}")
    return preprocessing
