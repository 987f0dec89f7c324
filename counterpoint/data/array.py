"""Plain arrays n×d: features of any origin, standardised column by column with the training items' mean and deviation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Modality
from counterpoint.data import grids
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Dense


def sample_size(source: Source) -> int:
    return 100_000


def fit(rows: np.ndarray, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of an array: mean and deviation of each column; constant columns become 0."""
    values = _values(rows)
    good = (np.abs(values) < grids.LARGEST).all(axis=1)
    if not good.any():
        raise DataError(f"{where}: every row looked at holds NaN, inf or numbers beyond ±1e30; fill them in, or say kind='table'")
    mean, deviation = values[good].mean(0), values[good].std(0)
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), 1)
    if constant.all() and good.sum() > 1:
        raise DataError(f"{where}: all {values.shape[1]:,} columns are constant; there is nothing to tell apart")
    deviation[constant] = 1.0
    return {"kind": "array", "mean": mean.tolist(), "std": deviation.tolist(), "constant": int(constant.sum()), "raw": list(rows.shape[1:])}


def convert(rows: np.ndarray, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw rows → (n, d) float32, standardised."""
    if list(rows.shape[1:]) != found["raw"]:
        raise DataError(f"the array has shape {rows.shape}; the preparation is for (n, {', '.join(map(str, found['raw']))})")
    with np.errstate(over="ignore", invalid="ignore"):  # of the items that are told to be bad
        made = ((_values(rows) - np.array(found["mean"])) / np.array(found["std"])).astype(np.float32)
    return Converted(Dense(torch.from_numpy(made)), grids.not_finite(rows))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("array", (len(found["mean"]),))


def words(found: Mapping[str, Any], items: int) -> str:
    constant = f" ({found['constant']:,} of them constant)" if found["constant"] else ""
    return f"{items:,} rows of {len(found['mean']):,} numbers{constant}"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """The first numbers of each row as text."""
    raw = items[:, :6].double() * torch.tensor(found["std"][:6]) + torch.tensor(found["mean"][:6])
    more = " …" if items.shape[1] > 6 else ""
    return [" ".join(f"{v:.4g}" for v in row) + more for row in raw.tolist()]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    return items.numpy()


def _values(rows: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1).astype(np.float64)
