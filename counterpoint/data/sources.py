"""Where raw items come from, before they are prepared: rows by position, the same for arrays, tables and lists of files.

A source answers `rows(positions)` with what its kind understands: a numpy array, a pyarrow table, or a list of paths, bytes or arrays.
`resident` says whether it already holds its items in memory; `blocks` where reading in order is much cheaper than reading at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa


class Source(Protocol):
    """Raw items by position."""

    @property
    def resident(self) -> bool: ...

    @property
    def blocks(self) -> np.ndarray | None:
        """The first position of each block of items that are read together (row groups), or None."""
        ...

    def __len__(self) -> int: ...

    def rows(self, positions: np.ndarray) -> Any:
        """The raw items at these positions, in this order."""
        ...


@dataclass(frozen=True)
class Array:
    """An array in memory, first axis items."""

    values: np.ndarray
    resident: bool = True
    blocks: None = None

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, positions: np.ndarray) -> np.ndarray:
        span = len(positions)
        if span and positions[-1] - positions[0] == span - 1 and (span == 1 or bool((np.diff(positions) == 1).all())):
            return self.values[positions[0] : positions[-1] + 1]  # a view: a run of rows needs no copy
        return self.values[positions]


@dataclass(frozen=True)
class Table:
    """A pyarrow table in memory."""

    values: pa.Table
    resident: bool = True
    blocks: None = None

    def __len__(self) -> int:
        return int(self.values.num_rows)

    def rows(self, positions: np.ndarray) -> pa.Table:
        span = len(positions)
        if span and positions[-1] - positions[0] == span - 1 and (span == 1 or bool((np.diff(positions) == 1).all())):
            return self.values.slice(int(positions[0]), span)
        return self.values.take(pa.array(positions))


@dataclass(frozen=True)
class Listed:
    """A list of paths, bytes or arrays. Paths are not resident: what they name is read when it is asked for."""

    values: Sequence[Any]
    resident: bool = True
    blocks: None = None

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, positions: np.ndarray) -> list[Any]:
        return [self.values[i] for i in positions]


@dataclass(frozen=True)
class Blob:
    """Files kept one after the other in one array of bytes: item i is blob[offset[i]:offset[i + 1]]."""

    blob: np.ndarray
    offset: np.ndarray
    resident: bool = True
    blocks: None = None

    def __len__(self) -> int:
        return len(self.offset) - 1

    def rows(self, positions: np.ndarray) -> list[memoryview]:
        whole = memoryview(self.blob)  # type: ignore[arg-type]
        return [whole[self.offset[i] : self.offset[i + 1]] for i in positions]


@dataclass(frozen=True)
class Hub:
    """A Hugging Face dataset: memory-mapped Arrow, so nothing is held here."""

    values: Any
    resident: bool = False
    blocks: None = None

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, positions: np.ndarray) -> pa.Table:
        table = self.values[positions.tolist()]  # of a view with_format("arrow")
        return table if isinstance(table, pa.Table) else pa.table(table)


@dataclass(frozen=True)
class Picked:
    """Some items of another source."""

    source: Source
    positions: np.ndarray

    @property
    def resident(self) -> bool:
        return self.source.resident

    @property
    def blocks(self) -> np.ndarray | None:
        inner = self.source.blocks
        if inner is None:
            return None
        starts = np.searchsorted(self.positions, inner)  # positions are kept sorted
        return np.unique(starts[starts < len(self.positions)])

    @property
    def blocks_held(self) -> int:
        return int(getattr(self.source, "blocks_held", 1))

    def __len__(self) -> int:
        return len(self.positions)

    def rows(self, positions: np.ndarray) -> Any:
        return self.source.rows(self.positions[positions])


@dataclass(frozen=True)
class Joined:
    """Sources below each other."""

    parts: tuple[Source, ...]

    @property
    def resident(self) -> bool:
        return all(part.resident for part in self.parts)

    @property
    def starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(part) for part in self.parts)])

    @property
    def blocks(self) -> np.ndarray | None:
        if all(part.blocks is None for part in self.parts):
            return None
        pieces = [np.zeros(1, np.int64) if p.blocks is None else p.blocks for p in self.parts]
        return np.unique(np.concatenate([piece + start for piece, start in zip(pieces, self.starts)]))

    @property
    def blocks_held(self) -> int:
        return min(int(getattr(part, "blocks_held", 1)) for part in self.parts)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def rows(self, positions: np.ndarray) -> Any:
        if not len(positions):
            return self.parts[0].rows(positions)
        starts = self.starts
        which = np.searchsorted(starts, positions, side="right") - 1
        found, order = [], []
        for part in np.unique(which):
            here = np.flatnonzero(which == part)
            found.append(self.parts[part].rows(positions[here] - starts[part]))
            order.append(here)
        return found[0] if len(found) == 1 else reorder(concatenate(found), np.argsort(np.concatenate(order)))


def join(parts: Sequence[Source]) -> Source:
    """Sources below each other; one array or table where all are in memory and of one shape."""
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(p, Table) for p in parts):
        return Table(concatenate([p.values for p in parts]))  # type: ignore[attr-defined]
    return Joined(tuple(parts))


def concatenate(pieces: Sequence[Any]) -> Any:
    """Raw rows below each other. Tables are joined by column name; a column that one lacks is null there."""
    if isinstance(pieces[0], np.ndarray):
        return np.concatenate(pieces)
    if isinstance(pieces[0], pa.Table):
        return pa.concat_tables(pieces, promote_options="permissive")
    return [item for piece in pieces for item in piece]


def reorder(rows: Any, order: np.ndarray) -> Any:
    """Raw rows in another order, or some of them."""
    if isinstance(rows, np.ndarray):
        return rows[order]
    if isinstance(rows, pa.Table):
        return rows.take(pa.array(order))
    return [rows[i] for i in order]
