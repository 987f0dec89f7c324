"""NSL-KDD to learn what is normal: normal records alone to train, normal ones and attacks to test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from counterpoint.data import stored_arrays
from counterpoint.data.build import build
from counterpoint.data.catalogue import files
from counterpoint.data.columns import Raw
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.request import request_of
from counterpoint.data.sources import Picked


@made(kind="table", items=13_449 + 22_544, classes=5, parts=("nsl_kdd",))
def intrusions(limit: int | None = None) -> Dataset:
    """The normal records of NSL-KDD's 20 % training sample, by which columns are standardised, and its whole test (KDDTest+)."""
    request = request_of(limit=limit)
    whole = stored_arrays.nsl_kdd(files("nsl_kdd"), request, "nsl_kdd")
    assert whole.split is not None
    family = np.asarray(whole.columns["label"]().values)
    kept = np.flatnonzero((whole.split == 1) | (family == 0))

    def of_kept(column: Callable[[], Raw]) -> Callable[[], Raw]:
        return lambda: replace(column(), values=np.asarray(column().values)[kept])

    columns = {name: of_kept(column) for name, column in whole.columns.items()}
    return build({"x": replace(whole, source=Picked(whole.source, kept), split=whole.split[kept], columns=columns)}, request)
