"""Digits, some twenty times as frequent as others, with labels for half of 0 to 4 and none for 5 to 9: discovery of uneven classes."""

from __future__ import annotations

from counterpoint.data.catalogue import load
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.partly import hide_labels, long_tail

ORDER = (7, 2, 0, 9, 4, 1, 5, 8, 3, 6)  # old and new classes among the frequent and the rare ones


@made(kind="image", items=25_000, classes=5, parts=("mnist",))
def mnist_long_tail(limit: int | None = None) -> Dataset:
    """MNIST with class sizes falling 20 : 1; the column "truth" holds all classes.

    limit: about as many training items in all; the test part is at most as large and even.
    """
    share = sum(20.0 ** (-place / 9) for place in range(10))
    largest = 5400 if limit is None else max(round(limit / share), 1)
    whole = load("mnist" if limit is None else f"mnist[{min(12 * largest, 60_000)}]")
    return hide_labels(long_tail(whole, imbalance=20.0, order=ORDER, items=largest), old=5)
