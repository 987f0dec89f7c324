"""Volumes n×d×h×w (or n×1×d×h×w, n×d×h×w×1): one channel, uint8 or float 0 … 1; `size` pools them to fewer voxels."""

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
from counterpoint.data.stores import Converted, Dense


def sample_size(source: Source) -> int:
    return 128


def fit(rows: np.ndarray, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of volumes: size, range, mean and deviation."""
    first = _channels_first(rows)
    size = grids.as_pair(request.size, "volumes", 3) or list(first.shape[2:])
    found: dict[str, Any] = {"kind": "volume", "raw": list(rows.shape[1:]), "size": size, "span": grids.value_range(rows)}
    found["resized"] = size != list(first.shape[2:])
    sample = convert(rows, found).values.take(torch.arange(len(rows)))
    grids.not_constant(sample, where)
    found["bytes"] = sample.dtype == torch.uint8
    found["mean"], found["std"] = grids.moments(sample)
    return found


def convert(rows: np.ndarray, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw volumes → (n, 1, d, h, w)."""
    if list(rows.shape[1:]) != found["raw"]:
        raise DataError(f"the volumes have shape {rows.shape}; the preparation is for (n, {', '.join(map(str, found['raw']))})")
    made = grids.scaled(_channels_first(rows), found["span"])
    return Converted(Dense(grids.resized(made, found["size"])), grids.not_finite(rows))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("volume", (1, *found["size"]), {"mean": tuple(found["mean"]), "std": tuple(found["std"])})


def words(found: Mapping[str, Any], items: int) -> str:
    return f"{items:,} volumes {grids.shape_text(found['size'])}" + (" (scaled to this size)" if found["resized"] else "")


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """The brightest voxel along the first axis."""
    return [drawing.picture(x) for x in items.amax(dim=2).numpy()]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    values = items.float().div(255) if items.dtype == torch.uint8 else items.float()
    return values.flatten(1).numpy()


def _channels_first(rows: np.ndarray) -> np.ndarray:
    if rows.ndim == 5 and 1 in (rows.shape[1], rows.shape[4]):
        rows = rows[:, 0] if rows.shape[1] == 1 else rows[..., 0]
    if rows.ndim != 4:
        raise DataError(f"volumes as an array have shape n×d×h×w; this one is {grids.shape_text(rows.shape)}")
    return rows[:, None]
