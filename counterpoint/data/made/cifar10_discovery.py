"""CIFAR-10 with labels for half of the first five classes and none for the others: the usual split of category discovery."""

from __future__ import annotations

import numpy as np

from counterpoint.data.catalogue import files, load
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.partly import hide_labels


@made(kind="image", items=60_000, classes=5, parts=("cifar10", "cifar10_index"))
def cifar10_discovery(limit: int | None = None) -> Dataset:
    """CIFAR-10; which images have labels is that of the index files for the whole set, drawn in the same way for fewer items."""
    if limit is not None:
        return hide_labels(load(f"cifar10[{limit}]"), old=5)
    whole = load("cifar10")
    truth = whole.columns["label"].numpy()
    with np.load(files("cifar10_index")["index.npz"], allow_pickle=False) as index:
        labelled = index["gcd_labelled"]
    known = np.full(len(truth), -1)
    known[labelled] = truth[labelled]
    return whole.with_columns({"truth": truth}).with_columns({"label": known})
