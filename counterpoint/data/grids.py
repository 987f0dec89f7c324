"""What images, volumes and videos share as arrays: the range of their values, their size, their channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint.core.errors import DataError


def value_range(sample: np.ndarray) -> list[float] | None:
    """[low, high] that becomes 0 … 1, or None for bytes that stay bytes.

    Bytes: kept, unless all are 0 or 1 (masks, ink): then 0 … 1. 16-bit whole numbers: 0 … 65,535. Other numbers: as they are if within
    0 … 1; 0 … 255 if they look like bytes; else the smallest and largest of the training sample.
    """
    if sample.dtype == bool or (sample.dtype == np.uint8 and sample.size and sample.max() <= 1):
        return [0.0, 1.0]
    if sample.dtype == np.uint8:
        return None
    if sample.dtype == np.uint16:
        return [0.0, 65535.0]
    finite = sample[np.abs(sample) < LARGEST] if sample.dtype.kind == "f" else sample
    if not finite.size:
        return [0.0, 1.0]
    low, high = float(finite.min()), float(finite.max())
    if low >= 0 and high <= 1:
        return [0.0, 1.0]
    if low >= 0 and 100 < high <= 255:
        return [0.0, 255.0]
    return [low, high] if high > low else [low, low + 1.0]


def scaled(x: np.ndarray, span: Sequence[float] | None) -> Tensor:
    """Values as uint8, or as float32 with `span` mapped to 0 … 1; bytes and booleans that hold 0 and 1 become 0 and 255."""
    if x.dtype.byteorder not in "=|":
        x = x.astype(x.dtype.newbyteorder("="))
    if span is None:
        return torch.from_numpy(
            np.require(x if x.dtype == np.uint8 else np.clip(np.nan_to_num(x), 0, 255).astype(np.uint8), None, ["C", "W"])
        )
    if x.dtype in (np.bool_, np.uint8) and list(span) == [0.0, 1.0]:
        return torch.from_numpy(np.ascontiguousarray(np.minimum(x.astype(np.uint8), 1) * np.uint8(255)))
    low, high = span
    made = torch.from_numpy(np.array(x, dtype=np.float32, order="C"))
    return made if (low, high) == (0.0, 1.0) else made.sub_(low).div_(high - low)


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """(n, c, …) at another size: averaging when smaller, linear when larger; bytes stay bytes."""
    if list(x.shape[2:]) == list(size):
        return x
    work = x.float()
    if x.dim() == 4:
        work = F.interpolate(work, size=tuple(size), mode="bilinear", antialias=True, align_corners=False)
    elif all(new <= old for new, old in zip(size, x.shape[2:])):
        work = F.adaptive_avg_pool3d(work, list(size))  # type: ignore[arg-type]
    else:
        work = F.interpolate(work, size=tuple(size), mode="trilinear", align_corners=False)
    return work.round().clamp(0, 255).to(torch.uint8) if x.dtype == torch.uint8 else work


LARGEST = 1e30  # larger numbers have no square in float32: they count as infinite


def not_finite(x: np.ndarray) -> tuple[tuple[int, str], ...]:
    """Items that hold NaN or inf, each with the reason."""
    if x.dtype.kind != "f" or (x.min(initial=0) > -LARGEST and x.max(initial=0) < LARGEST):  # NaN passes through min and max
        return ()
    rows = x.reshape(len(x), -1)
    bad = ~(np.abs(rows) < LARGEST).all(axis=1)
    finite = np.isfinite(rows).all(axis=1)
    return tuple((int(i), "holds numbers beyond ±1e30" if finite[i] else "holds NaN or inf") for i in np.flatnonzero(bad))


def moments(x: Tensor) -> tuple[list[float], list[float]]:
    """Mean and deviation of each channel (axis 1), in units where bytes are 0 … 1."""
    values = x.float().div(255) if x.dtype == torch.uint8 else x.float()
    flat = values.transpose(0, 1).flatten(1).double()
    std = flat.std(dim=1, correction=0)
    return [round(v, 6) for v in flat.mean(1).tolist()], [round(v, 6) if v > 1e-6 else 1.0 for v in std.tolist()]


def not_constant(x: Tensor, where: str) -> None:
    """Refuse a sample in which all items are equal everywhere: there is nothing to learn from."""
    if len(x) > 1 and bool((x == x[:1]).all()):
        raise DataError(f"{where}: all items are equal ({len(x):,} looked at); there is nothing to tell apart")


def as_pair(size: Any, where: str, axes: int = 2) -> list[int] | None:
    """`size` as a list of whole numbers > 0, one an axis; a single number stands for all."""
    if size is None:
        return None
    each = [size] * axes if isinstance(size, int) else list(size)
    if len(each) != axes or not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in each):
        raise DataError(f"size = {size!r} does not fit {where}; it must be a whole number > 0, or {axes} of them")
    return each


def shape_text(shape: Sequence[int]) -> str:
    return "×".join(str(s) for s in shape)
