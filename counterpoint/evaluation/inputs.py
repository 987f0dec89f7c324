"""What the evaluation takes: arrays of rows and of labels, checked once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, LabelError


def matrix(z: Any, name: str = "the embeddings", *, finite: bool = True) -> Tensor:
    """z as a (n, d) float tensor (float64 stays, all else becomes float32; a tensor stays on its device, without gradient)."""
    if not isinstance(z, Tensor):
        array = np.asarray(z)
        if array.dtype.kind not in "fiub":
            raise DataError(f"{name} are of type {array.dtype}; they must be numbers")
        z = torch.as_tensor(array if array.flags.writeable else array.copy())
    z = z.detach()
    if z.ndim != 2 or z.shape[1] == 0:
        raise DataError(f"{name} have shape {tuple(z.shape)}; they must be (items, dimensions ≥ 1)")
    z = z if z.dtype == torch.float64 else z.float()
    if finite:
        bad = int((~torch.isfinite(z)).any(1).sum())
        if bad:
            raise DataError(f"{bad} of {len(z)} rows of {name} hold NaN or infinite numbers; all must be finite")
    return z


def codes(labels: Any, items: int, name: str = "labels") -> Tensor:
    """Labels as (items,) int64 class numbers ≥ 0, −1 = unknown (a negative number, NaN, None or an empty string).

    Whole numbers are kept as they are; strings and other values are numbered in sorted order.
    """
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu().numpy()
    array = np.asarray(labels)
    if array.ndim != 1 or len(array) != items:
        raise LabelError(f"{name} of shape {array.shape} for {items} items; one value per item is needed")
    if array.dtype.kind == "f":
        known = np.isfinite(array)
        broken = array[known][array[known] != np.round(array[known])]
        if len(broken):
            raise LabelError(f"{name} hold fractions such as {broken[0]:g}; classes are whole numbers or names")
        array = np.where(known, array, -1)
    if array.dtype.kind in "fiub":
        return torch.as_tensor(np.maximum(array.astype(np.int64), -1))
    text = np.array(["" if v is None or v != v else str(v) for v in array.tolist()])
    names, index = np.unique(text, return_inverse=True)
    return torch.as_tensor(index.astype(np.int64) - 1 if len(names) and names[0] == "" else index.astype(np.int64))


def pair(first: Any, second: Any, names: tuple[str, str], *, rows: bool) -> tuple[Tensor, Tensor]:
    """Two matrices with the same number of rows (`rows`) or of columns."""
    a, b = matrix(first, names[0]), matrix(second, names[1])
    axis = 0 if rows else 1
    if a.shape[axis] != b.shape[axis]:
        what = "as many rows" if rows else "the same width"
        raise DataError(f"{names[0]} have shape {tuple(a.shape)} and {names[1]} {tuple(b.shape)}; both need {what}")
    return a, b


def generator_of(seed: int) -> Generator:
    """A CPU generator; choices of rows are made on the CPU so that every device makes the same."""
    return Generator().manual_seed(seed)


def sample(n: int, most: int, seed: int) -> Tensor:
    """All of 0 … n − 1, or `most` of them drawn at random without repetition, in ascending order: int64."""
    if n <= most:
        return torch.arange(n)
    return torch.randperm(n, generator=generator_of(seed))[:most].sort().values
