"""Windows of one long regular series, for forecasting: what is past as a series, what comes as a column, split by time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from counterpoint.core.errors import DataError
from counterpoint.data.dataset import Dataset
from counterpoint.data.reading import read


def windows(
    values: Any,
    *,
    length: int,
    horizon: int,
    train: tuple[int, int],
    test: tuple[int, int],
    stride: int = 1,
    limit: int | None = None,
) -> Dataset:
    """Items are windows (channels, length) of `values` (time, channels) or (time,); the steps that follow stand in the column "future".

    Both are standardised with mean and deviation of the training windows. A window belongs to the part in which all steps to predict lie;
    a training window lies in it whole, a test window may begin before it, as at a forecast. Columns: "future" (n, channels · horizon),
    channel by channel, and "time" (n,), the row of the first step to predict.

    length: steps of the past.
    horizon: steps to predict.
    train: (first row, last row + 1) of the training part.
    test: (first row, last row + 1) of the test part, which begins where the training ends or later.
    stride: steps between windows.
    limit: at most this many windows a part, drawn once and for all.

    Raises DataError for a gap (NaN), for parts that overlap or run backwards, and for a part without room for a window.
    """
    rows = np.asarray(values, np.float64)
    rows = rows[:, None] if rows.ndim == 1 else rows
    if rows.ndim != 2:
        raise DataError(f"a series of shape {rows.shape} was given; it must be (time, channels) or (time,)")
    if min(length, horizon, stride) < 1:
        raise DataError(f"length = {length}, horizon = {horizon}, stride = {stride}; each must be at least 1")
    if not 0 <= train[0] < train[1] <= test[0] < test[1] <= len(rows):
        raise DataError(f"train = {train} and test = {test} are not two stretches of {len(rows):,} rows, one after the other")
    gaps = np.flatnonzero(~np.isfinite(rows).all(1))
    if len(gaps):
        raise DataError(
            f"the series has no number at row {int(gaps[0])} ({len(gaps):,} such rows); fill the gaps before it is cut into windows"
        )
    first = [np.arange(max(low, length), stop - horizon + 1, stride) for low, stop in ((train[0] + length, train[1]), test)]
    for part, name in enumerate(("train", "test")):
        if not len(first[part]):
            raise DataError(f"{name} = {(train, test)[part]} has no room for a window of {length} steps and {horizon} to predict")
    rng = np.random.default_rng(0)
    chosen = [starts if limit is None else np.sort(rng.permutation(starts)[:limit]) for starts in first]
    time = np.concatenate(chosen)
    split = np.repeat(np.array([0, 1], np.int8), [len(starts) for starts in chosen])
    past = rows[time[:, None] + np.arange(-length, 0)].transpose(0, 2, 1).astype(np.float32)
    found = read(past, kind="series", columns={"time": time}, holdout=lambda labels, groups: split)
    mean, deviation = (np.asarray(found.fields["x"].found[name])[:, None] for name in ("mean", "std"))
    ahead = rows[found.every["time"].numpy()[:, None] + np.arange(horizon)].transpose(0, 2, 1)
    future = torch.from_numpy(((ahead - mean) / deviation).reshape(len(ahead), -1).astype(np.float32))
    return replace(found, every={**found.every, "future": future}, origins={**found.origins, "future": "given"})
