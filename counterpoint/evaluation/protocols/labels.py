"""Whether embeddings tell classes apart: neighbours and a linear probe from train to test, clusters and retrieval among the test items."""

from __future__ import annotations

import numpy as np

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.subject import Subject
from counterpoint.evaluation.table import table


def labels(subject: Subject, *, label: str = "label", k: Count = 20) -> dict[str, float]:
    """The figures of `evaluation.table` of one arm: knn, linear, acc, nmi, ari, silhouette, recall_at_1, map, uniformity …

    Without a held-out part, or without labels, those figures are absent that need them.

    label: the column of the classes.
    k: neighbours of the vote.
    """
    whole = subject.whole
    if not subject.held_out:
        side = np.ones(whole.items, np.int8)
    else:
        side = np.full(whole.items, -1, np.int8)
        side[np.isin(whole.ids.numpy(), subject.train.ids.numpy())] = 0
        side[np.isin(whole.ids.numpy(), subject.test.ids.numpy())] = 1
    if label != "label" and label not in whole.columns:
        raise RequirementError(f"the protocol reads the column {label!r} and the data have {', '.join(whole.columns) or 'none'}")
    known = whole.columns.get(label)
    groups = whole.columns.get("group")
    result = table(
        {"arm": subject.embed(whole)},
        None if known is None else known.numpy(),
        side,
        groups=None if groups is None else groups.numpy(),
        k=k,
        seed=subject.seed,
    )
    scores: dict[str, float] = result["scores"]["arm"]
    return scores
