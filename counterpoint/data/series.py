"""Series n×channels×length: standardised channel by channel, unequal lengths padded with NaN, NaN inside = missing.

A list of arrays may be (t,) or two-axed; the axis that all share is the channels', and if all share both it is (channels, t).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Modality
from counterpoint.data import drawing, grids
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Dense, Ragged, offsets


def sample_size(source: Source) -> int:
    return 20_000


def fit(rows: Any, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of series: channels, length, and mean and deviation of each channel over all time steps that are known."""
    ragged = not isinstance(rows, np.ndarray)
    axes = (hints.get("axes") or _axes(rows, where)) if ragged else "first"
    values = _flat(rows, axes) if ragged else np.moveaxis(_three(rows), 1, -1).reshape(-1, _three(rows).shape[1])
    values = values.astype(np.float64)
    known = np.abs(values) < grids.LARGEST
    if not known.any():
        raise DataError(f"{where}: the series hold no number, only NaN")
    count = known.sum(0)
    mean = np.where(known, values, 0).sum(0) / np.maximum(count, 1)
    deviation = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(0) / np.maximum(count, 1))
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1)
    if constant.all() and len(rows) > 1:
        raise DataError(f"{where}: all {len(constant):,} channels are constant; there is nothing to tell apart")
    deviation[constant] = 1.0
    length = hints.get("length") or (
        max((len(r) if r.ndim == 1 or axes == "last" else r.shape[1]) for r in rows) if ragged else rows.shape[-1]
    )
    return {
        "kind": "series",
        "axes": axes,
        "ragged": ragged or bool(np.isnan(_three(rows)[:, :, -1]).all(1).any()),
        "length": int(length),
        "mean": mean.tolist(),
        "std": deviation.tolist(),
        "constant": int(constant.sum()),
        "missing": round(float(1 - known.mean()), 4) if ragged else 0.0,
    }


def convert(rows: Any, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw series → (n, c, t) float32, NaN past the end."""
    mean, deviation = np.array(found["mean"]), np.array(found["std"])
    if isinstance(rows, np.ndarray):
        values = _three(rows)
        if values.shape[1] != len(mean) or values.shape[2] > found["length"]:
            want = f"{len(mean)} channel{'s' * (len(mean) > 1)} of at most {found['length']:,} steps"
            raise DataError(f"the series have shape {rows.shape}; the preparation is for {want}")
        with np.errstate(over="ignore", invalid="ignore"):
            made = ((values - mean[:, None]) / deviation[:, None]).astype(np.float32)
        bad = _bad((np.abs(made) > grids.LARGEST).any(axis=(1, 2)), np.isnan(made).all(axis=(1, 2)))
        if made.shape[2] < found["length"]:
            made = np.concatenate([made, np.full((*made.shape[:2], found["length"] - made.shape[2]), np.nan, np.float32)], axis=2)
        return Converted(Dense(torch.from_numpy(made)), bad)
    lengths = np.array([len(r) if r.ndim == 1 or found["axes"] == "last" else r.shape[1] for r in rows])
    width = {r.shape[0 if found["axes"] == "first" else 1] if r.ndim == 2 else 1 for r in rows}
    if width and width != {len(mean)}:
        raise DataError(f"the series have {'/'.join(map(str, sorted(width)))} channels; the preparation is for {len(mean)}")
    if len(lengths) and lengths.max() > found["length"]:
        raise DataError(f"a series has {lengths.max():,} steps; the preparation is for at most {found['length']:,}")
    with np.errstate(over="ignore", invalid="ignore"):
        flat_values = ((_flat(rows, found["axes"]) - mean) / deviation).astype(np.float32)
    starts = np.cumsum(lengths) - lengths
    filled = lengths > 0
    infinite, empty = np.zeros(len(rows), bool), np.ones(len(rows), bool)
    if filled.any():
        infinite[filled] = np.logical_or.reduceat((np.abs(flat_values) > grids.LARGEST).any(1), starts[filled])
        empty[filled] = np.logical_and.reduceat(np.isnan(flat_values).all(1), starts[filled])
    store = Ragged(torch.from_numpy(flat_values), offsets(torch.from_numpy(lengths)), found["length"], float("nan"))
    return Converted(store, _bad(infinite, empty))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("series", (len(found["mean"]), found["length"]), {"ragged": found["ragged"]})


def words(found: Mapping[str, Any], items: int) -> str:
    channels = len(found["mean"])
    most = "at most " if found["ragged"] else ""
    missing = f", {found['missing']:.1%} of the values missing" if found.get("missing") else ""
    constant = f", {found['constant']} of the channels constant" if found["constant"] else ""
    return f"{items:,} series of {channels} channel{'s' * (channels > 1)} × {most}{found['length']:,} steps{missing}{constant}"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    return [drawing.curve(x) for x in items.numpy()]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    """Channels one after the other; what is missing or past the end is 0, the channel's mean."""
    return torch.nan_to_num(items).flatten(1).numpy()


def _three(rows: np.ndarray) -> np.ndarray:
    if rows.ndim == 2:
        return rows[:, None]
    if rows.ndim != 3:
        raise DataError(f"series as an array have shape n×channels×length or n×length; this one has {rows.ndim} axes")
    return rows


def _axes(rows: list[np.ndarray], where: str) -> str:
    """Which axis of two-axed series is the channels': "first" (c, t) or "last" (t, c)."""
    if any(r.ndim not in (1, 2) for r in rows) or len({r.ndim for r in rows}) > 1:
        raise DataError(f"{where}: each series must be (t,) or (channels, t), all alike")
    if rows[0].ndim == 1:
        return "first"
    first, second = ({r.shape[axis] for r in rows} for axis in (0, 1))
    if len(first) > 1 and len(second) > 1:
        raise DataError(f"{where}: the series share neither axis (first: {min(first)}–{max(first)}, second: {min(second)}–{max(second)})")
    return "first" if len(first) == 1 else "last"


def _flat(rows: list[np.ndarray], axes: str) -> np.ndarray:
    """All time steps below each other (total, c)."""
    return np.concatenate([r[:, None] if r.ndim == 1 else r.T if axes == "first" else r for r in rows])


def _bad(infinite: np.ndarray, empty: np.ndarray) -> tuple[tuple[int, str], ...]:
    found = [(int(i), "holds inf") for i in np.flatnonzero(infinite)]
    return tuple(sorted(found + [(int(i), "holds no number") for i in np.flatnonzero(empty & ~infinite)]))
