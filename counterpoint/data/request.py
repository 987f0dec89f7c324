"""What was asked for and what was found: the two records that the readers of files hand to the kinds of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from counterpoint.core.errors import LabelError, nearest
from counterpoint.data.columns import Raw
from counterpoint.data.sources import Source

Hook = Callable[[int, int, str], None]  # (done, of how many, what is being done): a progress line for long preparation


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


SPLITS = {"train": 0, "training": 0, "test": 1, "testing": 1, "val": -1, "valid": -1, "validation": -1, "dev": -1}
