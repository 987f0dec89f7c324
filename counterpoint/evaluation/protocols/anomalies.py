"""How well a model of normal items tells anomalies, class by class."""

from __future__ import annotations

from typing import Literal

import numpy as np

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Whole
from counterpoint.evaluation.subject import Subject


def anomalies(
    subject: Subject, *, label: str = "label", normal: Whole = 0, score: Literal["cosine", "distance"] | None = None
) -> dict[str, float]:
    """Areas under the ROC curve of the held-out items: "auroc" the mean over the classes of anomalies, each against the normal items,
    "auroc_all" all of them together, "auroc_folded" the mean of max(a, 1 − a), as some papers count it: a class scored upside down is good.

    The score of an item is minus its cosine with the mean of the normal training items, or its distance to it. "forest" is the mean
    over classes of an isolation forest on the plain features, which is given beside the raw input only.

    label: column of the classes; training items of other classes than the normal one are left out.
    normal: code of the normal class.
    score: what the score is; the cosine for models and the distance for raw input and PCA (whose mean is nothing) where not given.

    Raises RequirementError without held-out items, without the column, or where the held-out items are all normal or all not.
    """
    from sklearn.metrics import roc_auc_score

    if label not in subject.whole.columns:
        raise RequirementError(f"the protocol reads the column {label!r} and the data have {', '.join(subject.whole.columns) or 'none'}")
    if not subject.held_out:
        raise RequirementError("anomalies needs held-out items, and the data have none")
    known, truth = (part.columns[label].numpy() for part in (subject.train, subject.test))
    classes = [int(c) for c in np.unique(truth) if c not in (normal, -1)]
    if not classes or not (truth == normal).any() or not (known == normal).any():
        raise RequirementError(f"class {normal} must be in training and in the test, and another class in the test")

    def areas(values: np.ndarray) -> list[float]:
        own = values[truth == normal]
        return [
            float(roc_auc_score(np.repeat([0, 1], [len(own), int((truth == c).sum())]), np.concatenate([own, values[truth == c]])))
            for c in classes
        ]

    train, test = subject.embed(subject.train)[known == normal], subject.embed(subject.test)
    if (score or ("distance" if subject.model is None else "cosine")) == "distance":
        values = np.linalg.norm(test - train.mean(0), axis=1)
    else:
        centre = (train / np.linalg.norm(train, axis=1, keepdims=True).clip(1e-12)).mean(0)
        values = -(test @ centre) / (np.linalg.norm(test, axis=1) * np.linalg.norm(centre)).clip(1e-12)
    each, seen = areas(values), truth != -1
    found = {
        "auroc": float(np.mean(each)),
        "auroc_all": float(roc_auc_score(truth[seen] != normal, values[seen])),
        "auroc_folded": float(np.mean([max(a, 1 - a) for a in each])),
    }
    if subject.name == "raw":
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(random_state=subject.seed).fit(subject.train.flat()[known == normal])
        found["forest"] = float(np.mean(areas(-forest.score_samples(subject.test.flat()))))
    return found
