"""Digits with labels for half of 0 to 4 and none for 5 to 9: category discovery."""

from __future__ import annotations

from counterpoint.data.catalogue import load
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.partly import hide_labels


@made(kind="image", items=70_000, classes=5, parts=("mnist",))
def mnist_discovery(limit: int | None = None) -> Dataset:
    """MNIST; the column "truth" holds all classes."""
    whole = load("mnist" if limit is None else f"mnist[{limit}]")
    return hide_labels(whole, old=5)
