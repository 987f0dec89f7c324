"""ETTh1 to forecast: four days of a transformer's hourly oil temperature, and the day that follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from counterpoint.data import tabular
from counterpoint.data.catalogue import files
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.request import request_of
from counterpoint.data.windowed import windows


@made(kind="series", items=8640 - 119 + 2880 - 23, parts=("etth1",))
def oil_temperature(limit: int | None = None) -> Dataset:
    """Windows (1, 96) of the column OT and 24 steps to predict; the customary 12 months to train and, after 4 left out, 4 to test."""
    source = tabular.from_file(files("etth1")["ETTh1.csv.gz"], replace(request_of(), kind="table")).source
    column = source.rows(np.arange(17_420)).column("OT").to_numpy()
    return windows(column, length=96, horizon=24, train=(0, 8640), test=(11_520, 14_400), limit=limit)
