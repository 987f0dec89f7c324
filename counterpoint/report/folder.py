"""What a run folder holds, read with care: a file that is missing or broken becomes a sentence, not an error."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from counterpoint.core.errors import RunError

MOST_ITEMS = 20_000  # more points than this say nothing more on a screen
TEXT_LENGTH = 240


@dataclass(frozen=True)
class Items:
    """The embedded items that the report looks at: all of them, or a sample that holds every item with a preview.

    total: items in the file.   dropped: items left out because their vector is not finite.   ids (n,), vectors (n, d) float32;
    places (n, 2) or None;   columns: name → (n,) codes, −1 = unknown, with their names in `names`;   pictures, texts: row → preview.
    """

    total: int
    dropped: int
    ids: np.ndarray
    vectors: np.ndarray
    places: np.ndarray | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    pictures: dict[int, bytes] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def name(self, column: str, row: int) -> str | None:
        """The name of an item's value in a column; None where it is not known."""
        code = int(self.columns[column][row]) if column in self.columns else -1
        return self.names[column][code] if code >= 0 else None


@dataclass(frozen=True)
class Folder:
    """A run folder. `missing`: file name → the sentence that stands in place of its section."""

    path: Path
    metrics: list[dict[str, Any]]
    config: dict[str, Any] = field(default_factory=dict)
    config_text: str = ""
    model: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    items: Items | None = None
    views: bytes | None = None
    missing: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> Folder:
    """Read a run folder. Raises RunError where there is no folder or nothing in metrics.jsonl."""
    path = Path(path)
    if not path.is_dir():
        raise RunError(f"{path} is not a run folder: there is no such folder; give the folder that `counterpoint fit` wrote")
    missing: dict[str, str] = {}
    config_text = _text(path / "config.yaml", missing)
    return Folder(
        path=path,
        metrics=_metrics(path / "metrics.jsonl", missing),
        config=_parsed(path / "config.yaml", config_text, missing),
        config_text=config_text,
        model=_parsed(path / "model.json", _text(path / "model.json", missing), missing),
        evaluation=_parsed(path / "evaluation.json", _text(path / "evaluation.json", missing), missing),
        health=_parsed(path / "health.json", _text(path / "health.json", missing), missing),
        items=_items(path / "embeddings.parquet", missing),
        views=_bytes(path / "views.png"),
        missing=missing,
    )


def _text(path: Path, missing: dict[str, str]) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        missing[path.name] = f"The run folder has no {path.name}."
    except OSError as error:
        missing[path.name] = f"{path.name} could not be read ({error.strerror})."
    return ""


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _parsed(path: Path, text: str, missing: dict[str, str]) -> dict[str, Any]:
    if path.name in missing:
        return {}
    try:
        found = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict):
        missing[path.name] = f"{path.name} is there and could not be understood: it is broken or cut off."
        return {}
    return found


def _metrics(path: Path, missing: dict[str, str]) -> list[dict[str, Any]]:
    if not path.exists():
        raise RunError(f"{path.parent} is not a run folder: it has no {path.name}; give the folder that `counterpoint fit` wrote")
    lines, broken = [], 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                found = None
            if isinstance(found, dict):
                lines.append(found)
            else:
                broken += 1
    if broken:
        missing[path.name] = (
            f"{broken} line{'s' if broken > 1 else ''} of {path.name} could not be understood and {'are' if broken > 1 else 'is'} left out."
        )
    if not lines:
        missing[path.name] = f"{path.name} is empty: the run stopped before its first step was written down."
    return lines


# ---- embeddings ------------------------------------------------------------------------------------------------------


def _items(path: Path, missing: dict[str, str]) -> Items | None:
    if not path.exists():
        missing[path.name] = f"The run folder has no {path.name}."
        return None
    try:
        with pq.ParquetFile(path) as file:
            return _sampled(file, missing)
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        missing[path.name] = f"{path.name} is there and could not be understood ({' '.join(str(error).split())[:120]})."
    return None


def _sampled(file: pq.ParquetFile, missing: dict[str, str]) -> Items | None:
    names, total = file.schema_arrow.names, file.metadata.num_rows
    if "vector" not in names:
        raise ValueError("it has no column 'vector'")
    if total == 0:
        missing["embeddings.parquet"] = "embeddings.parquet holds no items."
        return None
    keep = _chosen(file, total)
    wanted = [n for n in ("id", "vector", "cluster", "x", "y", "split", "label", "preview", "preview_text") if n in names]
    table = pa.Table.from_batches(list(_rows(file, wanted, keep)))
    vectors = _vectors(table["vector"])
    good = np.isfinite(vectors).all(1)
    if not good.any():
        missing["embeddings.parquet"] = "No vector of embeddings.parquet is finite: the encoder gives NaN or infinity."
        return None
    table, dropped = table.filter(pa.array(good)), int((~good).sum())
    columns, column_names = _columns(table)
    places = _numbers(table, "x", "y")
    return Items(
        total=total,
        dropped=dropped,
        ids=table["id"].to_numpy() if "id" in names else np.flatnonzero(good),
        vectors=vectors[good],
        places=places if places is not None and np.isfinite(places).all() else None,
        columns=columns,
        names=column_names,
        pictures={i: p for i, p in _present(table, "preview") if isinstance(p, bytes) and is_png(p)},
        texts={i: str(t)[:TEXT_LENGTH] for i, t in _present(table, "preview_text")},
    )


def _chosen(file: pq.ParquetFile, total: int) -> np.ndarray | None:
    """Mask of the rows to look at: those with a preview, and others at random; None = all."""
    if total <= MOST_ITEMS:
        return None
    keep = np.zeros(total, bool)
    for name in {"preview", "preview_text"} & set(file.schema_arrow.names):
        start = 0
        for batch in file.iter_batches(columns=[name]):
            keep[start : start + len(batch)] |= batch.column(0).is_valid().to_numpy(zero_copy_only=False)
            start += len(batch)
    generator = np.random.default_rng(0)
    with_preview = np.flatnonzero(keep)
    if len(with_preview) > MOST_ITEMS:
        keep[generator.permutation(with_preview)[MOST_ITEMS:]] = False
    others = generator.permutation(np.flatnonzero(~keep))[: max(MOST_ITEMS - int(keep.sum()), 0)]
    keep[others] = True
    return keep


def _rows(file: pq.ParquetFile, wanted: list[str], keep: np.ndarray | None) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in file.iter_batches(columns=wanted, batch_size=8192):
        yield batch if keep is None else batch.filter(pa.array(keep[start : start + len(batch)]))
        start += len(batch)


def _vectors(column: pa.ChunkedArray) -> np.ndarray:
    rows = len(column)
    flat = np.concatenate([chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks])
    if column.null_count or rows == 0 or len(flat) % rows or len(flat) == 0:
        raise ValueError("its vectors are missing or of different lengths")
    return np.ascontiguousarray(flat.reshape(rows, -1), dtype=np.float32)


def _numbers(table: pa.Table, *names: str) -> np.ndarray | None:
    if not set(names) <= set(table.column_names):
        return None
    return np.stack([table[n].to_numpy().astype(np.float64) for n in names], 1)


def _present(table: pa.Table, name: str) -> Iterator[tuple[int, Any]]:
    if name in table.column_names:
        yield from ((i, value.as_py()) for i, value in enumerate(table[name]) if value.is_valid)


def _columns(table: pa.Table) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Label, cluster and split as codes with names; a column without a known value is left out."""
    columns: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    for name in ("label", "cluster", "split"):
        if name not in table.column_names:
            continue
        values = [None if v is None or (isinstance(v, float) and math.isnan(v)) else v for v in table[name].to_pylist()]
        if name != "label":
            values = [None if v is None or v < 0 else int(v) for v in values]
        known = sorted({v for v in values if v is not None}, key=_natural)
        if not known:
            continue
        code = {value: position for position, value in enumerate(known)}
        columns[name] = np.array([-1 if v is None else code[v] for v in values], np.int64)
        split_names = {0: "train", 1: "test"}
        names[name] = [split_names.get(v, str(v)) if name == "split" else f"cluster {v}" if name == "cluster" else str(v) for v in known]
    return columns, names


def _natural(value: Any) -> tuple[int, float, str]:
    """Numbers in their order, also when they are written as text; then texts."""
    try:
        return 0, float(value), ""
    except (TypeError, ValueError):
        return 1, 0.0, str(value)


def is_png(picture: bytes) -> bool:
    return picture[:8] == b"\x89PNG\r\n\x1a\n"
