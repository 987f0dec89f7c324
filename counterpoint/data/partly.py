"""Labels that are hidden on purpose: for category discovery, where some classes are known by some of their items and others by none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from counterpoint.core.errors import LabelError, nearest
from counterpoint.core.options import Count, Share, check
from counterpoint.data.dataset import Dataset


def hide_labels(dataset: Dataset, *, old: Count, share: Share = 0.5, label: str = "label", truth: str = "truth", seed: int = 0) -> Dataset:
    """The same items; the column `label` keeps a share of the items of the first `old` classes, all else is −1; `truth` keeps everything.

    Vaze et al., "Generalized Category Discovery", CVPR 2022, section 5.1. Classes are counted from 0, so that old classes are 0 … old − 1.

    old: classes that keep labels, fewer than there are or all.
    share: of the items of each old class that keep theirs, in (0, 1]; at least one item.
    label: the column of the classes.   truth: the column that keeps them.   seed: of the draw.

    Raises LabelError where the column is not there or has fewer classes.
    """
    check(old, Count, "hide_labels: old")
    check(share, Share, "hide_labels: share")
    if label not in dataset.columns:
        raise LabelError(f"hide_labels: the data have no column {label!r}{nearest(label, dataset.columns)}")
    true = dataset.columns[label].numpy()
    there = len(np.unique(true[true >= 0]))
    if old > there or there != int(true.max(initial=-1)) + 1:
        raise LabelError(f"hide_labels: old = {old} of {there} classes; at most {there}, and classes counted from 0 without a gap")
    rng = np.random.default_rng(seed)
    known = np.full(len(true), np.nan)
    for c in range(old):
        members = np.flatnonzero(true == c)
        kept = rng.permutation(members)[: max(round(share * len(members)), 1)]
        known[kept] = c
    bare = dataset.with_columns({truth: torch.as_tensor(true)})
    return bare.with_columns({label: known})


def long_tail(dataset: Dataset, *, imbalance: float, order: Sequence[int], items: Count, label: str = "label", seed: int = 0) -> Dataset:
    """A part of the training items in which class sizes fall exponentially, items · imbalance^(−place / (K − 1)); test items all stay.

    imbalance: of the largest class to the smallest, ≥ 1.
    order: the classes, the largest first.
    items: of the largest class; all of a class that has fewer.
    label: the column of the classes.   seed: of the draw.
    """
    if not imbalance >= 1:
        raise LabelError(f"long_tail: imbalance = {imbalance!r} is not allowed; it must be ≥ 1")
    rng = np.random.default_rng(seed)
    y, split = dataset.columns[label].numpy(), dataset.split.numpy()
    kept = [np.flatnonzero(split == 1)]
    for place, c in enumerate(order):
        members = rng.permutation(np.flatnonzero((y == c) & (split != 1)))
        kept.append(members[: max(round(items * imbalance ** (-place / max(len(order) - 1, 1))), 1)])
    return dataset.subset(dataset.ids[torch.from_numpy(np.sort(np.concatenate(kept)))])
