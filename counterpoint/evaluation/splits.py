"""Splitting items into train and test so that nothing leaks."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch

from counterpoint.core.errors import LabelError
from counterpoint.core.options import Range, Whole, check
from counterpoint.evaluation.inputs import codes

OpenShare = Annotated[float, Range(0, 1, open_low=True, open_high=True)]


def holdout(labels: Any = None, groups: Any = None, *, share: OpenShare = 0.2, seed: Whole = 0, items: int | None = None) -> np.ndarray:
    """A part of the items for the test: (n,) int8, 0 = train, 1 = test.

    Without groups, each class gives round(share · size) items, at least one where it has two or more, and never all: a class with one item
    stays in train. Items without a label (−1) are drawn as if they were a class. With groups (patient, speaker, user …) a group is kept
    whole; groups are dealt in random order, large ones first, to the side where the class counts then come nearest to their target. An item
    of unknown group (−1) is a group of its own. Where a test part is impossible (one item, one group) all is train.

    labels: (n,) classes, −1 unknown; None = no labels.
    groups: (n,) group of each item, −1 unknown; None = no groups.
    share: of the items that go to the test, in (0, 1).
    seed: of the draw.
    items: n, needed only where there are neither labels nor groups.
    """
    check(share, OpenShare, "holdout: share")
    check(seed, Whole, "holdout: seed")
    given = [x for x in (labels, groups) if x is not None]
    if not given and items is None:
        raise LabelError("holdout: neither labels nor groups nor the number of items were given; one of them is needed")
    n = items if items is not None else len(given[0])
    known = codes(labels, n).numpy() if labels is not None else np.zeros(n, np.int64)
    random = np.random.default_rng(seed)
    if groups is None:
        return _by_class(known, share, random)
    return _by_group(known, codes(groups, n, "groups").numpy(), share, random)


def crossing(split: Any, groups: Any) -> np.ndarray:
    """Which test items (n,) bool belong to a group that train has too: those would leak. Items of unknown group (−1) never do."""
    side = np.asarray(torch.as_tensor(split).cpu())
    group = codes(groups, len(side), "groups").numpy()
    return (side == 1) & (group >= 0) & np.isin(group, group[side == 0])


def _by_class(labels: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    n = len(labels)
    order = random.permutation(n)
    order = order[np.argsort(labels[order], kind="stable")]
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    wanted = np.clip(np.round(share * counts), np.minimum(1, counts - 1), counts - 1).astype(np.int64)
    rank = np.arange(n) - np.repeat(starts, counts)
    split = np.zeros(n, np.int8)
    split[order] = rank < np.repeat(wanted, counts)
    return split


def _by_group(labels: np.ndarray, groups: np.ndarray, share: float, random: np.random.Generator) -> np.ndarray:
    n = len(labels)
    alone = groups < 0
    groups = np.where(alone, groups.max(initial=0) + 1 + np.arange(n), groups)
    _, group = np.unique(groups, return_inverse=True)
    classes, label = np.unique(labels, return_inverse=True)
    sizes = np.bincount(group)
    # For each group its classes and their counts, as flat runs.
    pairs, counts = np.unique(group.astype(np.int64) * len(classes) + label, return_counts=True)
    bounds = np.searchsorted(pairs // len(classes), np.arange(len(sizes) + 1))
    target = share * np.bincount(label).astype(float)
    missing = target.copy()
    side = np.zeros(len(sizes), np.int8)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    taken = 0
    for g in order.tolist():
        run = slice(bounds[g], bounds[g + 1])
        of, count = pairs[run] % len(classes), counts[run]
        # Squared, relative distance to the target with the group in the test, less that without it.
        change = (count * (count - 2 * missing[of]) / target[of]).sum()
        if change < 0 and taken + sizes[g] < n:
            side[g] = 1
            missing[of] -= count
            taken += sizes[g]
    if not taken and len(sizes) > 1:
        side[order[-1]] = 1  # even the smallest group is more than the share: better a large test part than none
    return side[group]
