"""Accuracy of the weighted vote of nearest neighbours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from counterpoint.clustering.neighbours import Metric, nearest
from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Positive, check
from counterpoint.evaluation.inputs import codes, pair


def knn(
    train: Any,
    train_labels: Any,
    test: Any,
    test_labels: Any,
    *,
    k: Count = 20,
    temperature: Positive | None = 0.07,
    metric: Metric = "cosine",
) -> float:
    """Share of test rows whose class is the weighted vote of their k nearest train rows, in [0, 1]; rows with label −1 are left out.

    The vote of a neighbour at similarity s weighs exp(s / temperature) (Wu et al., "Unsupervised Feature Learning via Non-Parametric
    Instance Discrimination", CVPR 2018, section 3.4). Exact, in tiles. A class that train does not have counts as wrong.

    k: neighbours that vote; all train rows where there are fewer.
    temperature: > 0; None = every neighbour has one vote.
    metric: "cosine", "dot" or "euclidean" (then s is minus the distance).

    Raises DataError where no labelled row is left on either side.
    """
    train_z, test_z = pair(train, test, ("the train embeddings", "the test embeddings"), rows=False)
    truth = codes(test_labels, len(test_z), "test labels")
    known = truth >= 0
    if not bool(known.any()):
        raise DataError(f"none of the {len(truth)} test rows has a label; at least one is needed")
    found = knn_predict(train_z, train_labels, test_z[known], k=k, temperature=temperature, metric=metric)
    return float((found.cpu() == truth[known]).double().mean())


def knn_predict(
    train: Any, labels: Any, test: Any, *, k: Count = 20, temperature: Positive | None = 0.07, metric: Metric = "cosine"
) -> Tensor:
    """The class (n,) int64 that the k nearest of the labelled train rows vote for, for each test row; options as in `knn`."""
    check(temperature, Positive | None, "knn: temperature")
    train_z, test_z = pair(train, test, ("the train embeddings", "the test embeddings"), rows=False)
    given = codes(labels, len(train_z), "train labels").to(train_z.device)
    train_z, given = train_z[given >= 0], given[given >= 0]
    if not len(given):
        raise DataError("none of the train rows has a label; at least one is needed")
    classes, number = torch.unique(given, return_inverse=True)
    scores, index = nearest(test_z, train_z, k=min(k, len(train_z)), metric=metric)
    # The nearest weighs 1: the vote does not change, and no temperature overflows.
    weights = torch.ones_like(scores) if temperature is None else ((scores - scores[:, :1]) / temperature).exp()
    found = torch.empty(len(test_z), dtype=torch.int64, device=test_z.device)
    step = max(1, 2**24 // len(classes))
    for left in range(0, len(test_z), step):
        part = slice(left, left + step)
        votes = scores.new_zeros(len(scores[part]), len(classes), dtype=torch.float64)
        votes.scatter_add_(1, number[index[part]], weights[part].double())
        found[part] = classes[votes.argmax(1)]
    return found


def others(z: Tensor, rows: Tensor, *, k: int, metric: Metric = "cosine") -> Tensor:
    """The k nearest other rows of z for each z[rows]: (len(rows), k) int64. A row never finds itself; k ≤ n − 1."""
    rows = rows.to(z.device)
    _, index = nearest(z[rows], z, k=k + 1, metric=metric)
    own = index == rows[:, None]
    own[~own.any(1), -1] = True  # exact copies may push a row out of its own list: then the last of the k + 1 goes
    return index[~own].view(len(rows), k)
