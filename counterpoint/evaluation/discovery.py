"""Discovery of classes that had no labels in training: accuracy on old and on new ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from counterpoint.clustering import matched
from counterpoint.core.errors import LabelError
from counterpoint.evaluation.inputs import codes


def discovery(assignment: Any, labels: Any, *, old: Iterable[int]) -> dict[str, float]:
    """Clustering accuracy of items without training labels: {"all", "old", "new", "items_old", "items_new"}.

    There is *one* Hungarian match over all items (Vaze et al., "Generalized Category Discovery", CVPR 2022, section 4.1); a match of its
    own for old and for new classes gives higher figures that cannot be compared. A part without items is absent.

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
    result = {"all": float(right.mean()), "items_old": int(of_old.sum()), "items_new": int((~of_old).sum())}
    for name, part in (("old", of_old), ("new", ~of_old)):
        if bool(part.any()):
            result[name] = float(right[part].mean())
    return result
