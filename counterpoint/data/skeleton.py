"""Skeleton sequences n×t×joints×coordinates (or a list of unequal lengths): centred, scaled, brought to one number of frames.

The first frame's mean joint is the origin, the deviation of the training coordinates the unit. Sequences are sampled evenly to `size`
frames (by default the median number, at most 64).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Modality
from counterpoint.data import drawing
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Dense


def sample_size(source: Source) -> int:
    return 10_000


def fit(rows: Any, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of skeletons: frames, joints, coordinates, unit."""
    if any(np.ndim(r) != 3 for r in rows) or len({r.shape[1:] for r in rows}) != 1:
        raise DataError(f"{where}: skeletons have shape n×t×joints×coordinates, or are a list of (t, joints, coordinates)")
    if request.size is not None and (not isinstance(request.size, int) or request.size < 1):
        raise DataError(f"size = {request.size!r} does not fit skeletons; it must be the number of frames, > 0")
    frames = int(request.size or max(1, min(int(np.median([len(r) for r in rows])), 64)))
    _, joints, width = rows[0].shape
    found = {"kind": "skeleton", "frames": frames, "joints": int(joints), "width": int(width), "unit": 1.0}
    raw = convert(rows, found)
    good = np.ones(len(rows), bool)
    good[[i for i, _ in raw.bad]] = False
    spread = float(raw.values.take(torch.from_numpy(np.flatnonzero(good))).std()) if good.any() else 0.0
    if not spread > 0:
        raise DataError(f"{where}: no skeleton of those looked at moves or differs from another")
    return found | {"unit": round(spread, 6)}


def convert(rows: Any, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw sequences → (n, coordinates, t, joints) float32."""
    want = (found["joints"], found["width"])
    out = np.zeros((len(rows), found["frames"], *want), np.float32)
    bad = []
    for i, row in enumerate(rows):
        if np.ndim(row) != 3 or row.shape[1:] != want:
            raise DataError(f"a skeleton sequence has shape {np.shape(row)}; the preparation is for (t, {want[0]}, {want[1]})")
        if not len(row) or not np.isfinite(row).all():
            bad.append((i, "holds NaN or inf" if len(row) else "is empty"))
            continue
        picked = np.asarray(row, np.float64)[np.linspace(0, len(row) - 1, found["frames"]).round().astype(int)]
        out[i] = (picked - picked[0].mean(0)) / found["unit"]
    return Converted(Dense(torch.from_numpy(out.transpose(0, 3, 1, 2).copy())), tuple(bad))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("skeleton", (found["width"], found["frames"], found["joints"]))


def words(found: Mapping[str, Any], items: int) -> str:
    return f"{items:,} skeleton sequences of {found['frames']} frames × {found['joints']} joints × {found['width']} coordinates"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """The joints of the middle frame."""
    made: list[bytes | str] = []
    for one in items.numpy():
        frame = one[:2, one.shape[1] // 2]
        low, span = frame.min(1, keepdims=True), max(float(np.ptp(frame, axis=1).max()), 1e-9)
        place = ((frame - low) / span * 61).round().astype(int) + 1
        canvas = np.full((64, 64), 255, np.uint8)
        for down in (0, 1):
            canvas[place[1] - down, place[0]] = 30
        made.append(drawing.png(canvas))
    return made


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    return items.flatten(1).numpy()
