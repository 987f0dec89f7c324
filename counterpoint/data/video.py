"""Videos n×t×h×w[×c]: uint8 or float 0 … 1, any number of channels; `size` is that of a frame."""

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
    """The preparation of videos: frames, size, channels, range, mean and deviation."""
    first = _channels_first(rows)
    size = grids.as_pair(request.size, "video frames") or list(first.shape[3:])
    found: dict[str, Any] = {"kind": "video", "raw": list(rows.shape[1:]), "size": size, "span": grids.value_range(rows)}
    found |= {"channels": first.shape[1], "frames": first.shape[2]}
    sample = convert(rows, found).values.take(torch.arange(len(rows)))
    grids.not_constant(sample, where)
    found["bytes"] = sample.dtype == torch.uint8
    found["mean"], found["std"] = grids.moments(sample)
    return found


def convert(rows: np.ndarray, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw videos → (n, c, t, h, w)."""
    if list(rows.shape[1:]) != found["raw"]:
        raise DataError(f"the videos have shape {rows.shape}; the preparation is for (n, {', '.join(map(str, found['raw']))})")
    made = grids.scaled(_channels_first(rows), found["span"])
    return Converted(Dense(grids.resized(made, [found["frames"], *found["size"]])), grids.not_finite(rows))


def modality(found: Mapping[str, Any]) -> Modality:
    info = {"mean": tuple(found["mean"]), "std": tuple(found["std"])}
    return Modality("video", (found["channels"], found["frames"], *found["size"]), info)


def words(found: Mapping[str, Any], items: int) -> str:
    colour = {1: "grey", 3: "RGB"}.get(found["channels"], f"{found['channels']} channels")
    return f"{items:,} videos of {found['frames']} frames {grids.shape_text(found['size'])} {colour}"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """The middle frame."""
    return [drawing.picture(x) for x in items[:, :, items.shape[2] // 2].numpy()]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    values = items.float().div(255) if items.dtype == torch.uint8 else items.float()
    return values.flatten(1).numpy()


def _channels_first(rows: np.ndarray) -> np.ndarray:
    if rows.ndim == 4:
        return rows[:, None]
    if rows.ndim != 5:
        raise DataError(f"videos as an array have shape n×t×h×w or n×t×h×w×c; this one is {grids.shape_text(rows.shape)}")
    return np.moveaxis(rows, -1, 1)
