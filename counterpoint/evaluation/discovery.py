"""Discovery of classes that had no labels in training: accuracy on old and on new ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from counterpoint.clustering import guided_kmeans, matched
from counterpoint.core.errors import LabelError
from counterpoint.core.options import Count, Whole, check
from counterpoint.evaluation.inputs import codes, generator_of, matrix


def discovery(assignment: Any, labels: Any, *, old: Iterable[int]) -> dict[str, float]:
    """Clustering accuracy of items without training labels: {"all", "old", "new", "balanced", "items_old", "items_new"}.

    There is *one* Hungarian match over all items (Vaze et al., "Generalized Category Discovery", CVPR 2022, section 4.1); a match of its
    own for old and for new classes gives higher figures that cannot be compared. A part without items is absent. balanced: the mean over
    classes, in which rare ones count as much as frequent ones.

    assignment: (n,) cluster numbers.   labels: (n,) true classes, −1 left out.
    old: the classes that had labels in training.
    """
    truth = codes(labels, len(labels))
    found = codes(assignment, len(truth), "clusters")
    known = truth >= 0
    if not bool(known.any()):
        raise LabelError(f"none of the {len(truth)} items has a label; discovery is measured against true classes")
    of_old = torch.isin(truth[known], torch.tensor(sorted(set(old)), dtype=torch.int64))
    found, truth = (torch.unique(x[known], return_inverse=True)[1] for x in (found, truth))
    right = (matched(found, truth) == truth).double()
    each = torch.zeros(int(truth.max()) + 1, dtype=torch.float64).index_add(0, truth, right) / torch.bincount(truth)
    result = {"all": float(right.mean()), "balanced": float(each.mean()), "items_old": int(of_old.sum()), "items_new": int((~of_old).sum())}
    for name, part in (("old", of_old), ("new", ~of_old)):
        if bool(part.any()):
            result[name] = float(right[part].mean())
    return result


def class_number(z: Any, labels: Any, *, most: Count = 20, starts: Count = 3, seed: Whole = 0) -> tuple[int, dict[int, float]]:
    """How many classes there are, from those that have some labels: the best number, and the score of each that was tried.

    Half of the labelled rows guide a k-means of z (n, d) at length 1 for every K from the labelled classes to `most`. The score is the
    mean of two: the accuracy on the other half (one Hungarian match), and the mean cosine between a labelled class's centre and the
    centre of the unlabelled rows that fall to it (ProtoGCD, paper 021; the second figure as its author describes it).

    labels: (n,) 0 … c − 1, −1 where there is none.
    most: largest number tried.
    starts: of each k-means.
    seed: of the halves and of k-means.

    Raises LabelError where fewer than two rows have a label.
    """
    check(most, Count, "class_number: most")
    x = torch.nn.functional.normalize(matrix(z), dim=1)
    y = codes(labels, len(x))
    known = torch.nonzero(y >= 0).flatten()
    if len(known) < 2:
        raise LabelError(f"class_number: {len(known)} rows with a label; at least two are needed")
    draw = generator_of(seed)
    held = known[torch.randperm(len(known), generator=draw)[: len(known) // 2]]
    guide = y.clone()
    guide[held] = -1
    count = int(guide.max()) + 1
    if len(torch.unique(guide[guide >= 0])) < count:
        raise LabelError("class_number: a class has too few labelled rows to keep some aside; give two or more of each")
    scores = {}
    for k in range(count, max(most, count) + 1):
        found = guided_kmeans(x, guide, k=k, starts=starts, generator=draw).assignment
        right = (matched(torch.unique(found[held], return_inverse=True)[1], y[held]) == y[held]).double().mean()
        scores[k] = (float(right) + _agreement(x, y, found, count)) / 2
    return max(scores, key=lambda k: scores[k]), scores


def _agreement(x: Any, y: Any, found: Any, count: int) -> float:
    """Mean cosine between the centre of each labelled class and that of the unlabelled rows in its cluster; 0 for one without."""
    free = y < 0
    total = 0.0
    for c in range(count):
        mine, theirs = x[y == c], x[free & (found == c)]
        if len(theirs):
            total += float(torch.nn.functional.cosine_similarity(mine.mean(0), theirs.mean(0), dim=0))
    return total / max(count, 1)
