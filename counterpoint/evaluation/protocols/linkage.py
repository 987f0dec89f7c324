"""Record linkage: each record to the exemplar of its entity, and records to each other by a threshold chosen on the training part."""

from __future__ import annotations

import numpy as np

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.linkage import best_threshold, linked, links
from counterpoint.evaluation.retrieval import retrieval
from counterpoint.evaluation.subject import Subject


def linkage(subject: Subject, *, label: str = "label", exemplar: str = "exemplar", k: Count = 10) -> dict[str, float]:
    """{"accuracy" (records of the test part whose nearest exemplar is of their entity), "ari", "largest" (share of records in the largest
    cluster), "threshold"}. Entities of the test part should be in no other.

    label: the entity of a record.
    exemplar: 1 for the records that stand for their entity, which are searched and not asked.
    k: neighbours that may be linked.
    """
    from sklearn.metrics import adjusted_rand_score

    if not subject.held_out:
        raise RequirementError("linkage chooses its threshold on one part and scores on another, and nothing was held out")
    for name in (label, exemplar):
        if name not in subject.test.columns:
            raise RequirementError(f"linkage reads the column {name!r} and the data have {', '.join(subject.test.columns) or 'none'}")
    z, truth = subject.embed(subject.test), np.asarray(subject.test.columns[label])
    stands = np.asarray(subject.test.columns[exemplar]) == 1
    asked = retrieval(z[~stands], truth[~stands], gallery=z[stands], gallery_labels=truth[stands], at=(1,), most=5000, seed=subject.seed)
    train = subject.embed(subject.train)
    threshold, _ = best_threshold(train, np.asarray(subject.train.columns[label]), k=k)
    found = linked(len(z), *links(z, k=k), threshold=threshold)
    return {
        "accuracy": asked["recall_at_1"],
        "ari": float(adjusted_rand_score(truth, found)),
        "largest": float(np.bincount(found).max() / len(found)),
        "threshold": threshold,
    }
