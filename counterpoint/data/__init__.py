"""Data of any kind: read, described, batched, drawn. `read` recognises what it is given; `load` takes sets by name."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterpoint.data.catalogue import files, load, sets
    from counterpoint.data.dataset import Dataset
    from counterpoint.data.hard_batches import near_classes
    from counterpoint.data.reading import read
    from counterpoint.data.request import KINDS
    from counterpoint.data.samplers import balanced, coverage, distinct, grouped, half_labelled, paired_ids, same_group, shuffled
    from counterpoint.data.windowed import windows

_HOME = {
    "Dataset": "dataset",
    "KINDS": "request",
    "balanced": "samplers",
    "coverage": "samplers",
    "distinct": "samplers",
    "files": "catalogue",
    "grouped": "samplers",
    "half_labelled": "samplers",
    "load": "catalogue",
    "near_classes": "hard_batches",
    "paired_ids": "samplers",
    "read": "reading",
    "same_group": "samplers",
    "sets": "catalogue",
    "shuffled": "samplers",
    "windows": "windowed",
}

__all__ = [
    "KINDS", "Dataset", "balanced", "coverage", "distinct", "files", "grouped", "half_labelled", "load", "near_classes", "paired_ids",
    "read", "same_group", "sets", "shuffled", "windows",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Names are imported when they are used, so that `counterpoint.data` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
