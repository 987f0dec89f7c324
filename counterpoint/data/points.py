"""Point clouds n×points×3 (or a list of (points, 3) of unequal number): each is centred and scaled into the unit ball.

All clouds come to `size` points (by default the median number, at most 1,024), thinned or repeated evenly along their order.
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
    """The preparation of point clouds: how many points, how many numbers a point."""
    if any(np.ndim(r) != 2 for r in rows) or len({r.shape[1] for r in rows}) != 1:
        raise DataError(f"{where}: point clouds have shape n×points×3, or are a list of (points, 3)")
    if request.size is not None and (not isinstance(request.size, int) or request.size < 1):
        raise DataError(f"size = {request.size!r} does not fit point clouds; it must be the number of points, > 0")
    usual = int(np.median([len(r) for r in rows]))
    return {"kind": "points", "width": int(rows[0].shape[1]), "points": int(request.size or max(1, min(usual, 1024)))}


def convert(rows: Any, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw clouds → (n, width, points) float32."""
    out = np.zeros((len(rows), found["points"], found["width"]), np.float32)
    bad = []
    for i, row in enumerate(rows):
        if np.ndim(row) != 2 or row.shape[1] != found["width"]:
            raise DataError(f"a point cloud has shape {np.shape(row)}; the preparation is for (points, {found['width']})")
        if not len(row) or not np.isfinite(row).all():
            bad.append((i, "holds NaN or inf" if len(row) else "is empty"))
            continue
        picked = np.asarray(row, np.float64)[np.linspace(0, len(row) - 1, found["points"]).round().astype(int)]
        picked[:, :3] -= picked[:, :3].mean(0)
        picked[:, :3] /= max(np.linalg.norm(picked[:, :3], axis=1).max(), 1e-12)
        out[i] = picked
    return Converted(Dense(torch.from_numpy(out.transpose(0, 2, 1).copy())), tuple(bad))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("points", (found["width"], found["points"]))


def words(found: Mapping[str, Any], items: int) -> str:
    return f"{items:,} clouds of {found['points']:,} points with {found['width']} numbers each"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """The cloud seen along its last axis."""
    made: list[bytes | str] = []
    for cloud in items.numpy():
        canvas = np.full((64, 64), 255, np.uint8)
        place = ((np.clip(cloud[:2], -1, 1) + 1) / 2 * 63).round().astype(int)
        canvas[63 - place[1], place[0]] = 30
        made.append(drawing.png(canvas))
    return made


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    """Sorted coordinates, axis by axis: the order of points says nothing."""
    return items.sort(dim=2).values.flatten(1).numpy()
