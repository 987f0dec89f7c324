"""How well clusters agree with classes, and with themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from counterpoint.clustering import kmeans, matched
from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Whole, check
from counterpoint.evaluation.inputs import codes, generator_of, matrix, sample


def clusters(
    z: Any,
    labels: Any = None,
    *,
    k: Count | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    starts: Count = 5,
    normalise: bool = True,
    silhouette: Count = 2000,
) -> dict[str, tuple[float, float]]:
    """K-means of z (n, d): {"acc", "nmi", "ari", "silhouette"} → (mean, standard deviation) over the seeds.

    All rows are clustered; those with a label are compared. acc: share of rows right under *one* Hungarian match of clusters to classes;
    nmi: mutual information over the mean of the entropies; ari: Rand index corrected for chance; silhouette: of the clusters found,
    Euclidean, no labels needed. Without labels only the silhouette is given; where k-means finds one cluster (collapse), not even that.

    labels: (n,) classes, −1 unknown; None = none.
    k: number of clusters; None = the number of known classes.
    seeds: one k-means each.
    starts: k-means++ starts of each, of which the lowest inertia counts.
    normalise: bring rows to length 1 first.
    silhouette: rows used for it, drawn at random where there are more.

    Raises DataError where k is larger than n, or not given and there are no labels.
    """
    check(starts, Count, "clusters: starts")
    z = matrix(z)
    truth = torch.full((len(z),), -1) if labels is None else codes(labels, len(z))
    known = truth >= 0
    if k is None:
        k = len(torch.unique(truth[known]))
        if not k:
            raise DataError("clusters: no labels and no k; one of them tells how many clusters to make")
    z = torch.nn.functional.normalize(z, dim=1) if normalise else z
    values: dict[str, list[float]] = {}
    for seed in seeds:
        check(seed, Whole, "clusters: seed")
        found = kmeans(z, k=k, starts=starts, generator=generator_of(seed)).assignment.cpu()
        figures = _agreement(found[known], truth[known]) if bool(known.any()) else {}
        figures |= _silhouette(z, found, silhouette, seed)
        for name, value in figures.items():
            values.setdefault(name, []).append(value)
    return {name: (float(np.mean(v)), float(np.std(v))) for name, v in values.items()}


def cluster_accuracy(assignment: Any, labels: Any) -> float:
    """Share of labelled rows whose cluster (n,) is matched to their class (n,), under one Hungarian match over all labelled rows."""
    truth = codes(labels, len(labels))
    found = codes(assignment, len(truth), "clusters")
    known = truth >= 0
    if not bool(known.any()):
        raise DataError(f"none of the {len(truth)} rows has a label; at least one is needed")
    found, truth = (torch.unique(x[known], return_inverse=True)[1] for x in (found, truth))
    return float((matched(found, truth) == truth).double().mean())


def _agreement(found: torch.Tensor, truth: torch.Tensor) -> dict[str, float]:
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    a, b = truth.numpy(), found.numpy()
    return {
        "acc": cluster_accuracy(found, truth),
        "nmi": float(normalized_mutual_info_score(a, b)),
        "ari": float(adjusted_rand_score(a, b)),
    }


def _silhouette(z: torch.Tensor, found: torch.Tensor, most: int, seed: int) -> dict[str, float]:
    from sklearn.metrics import silhouette_score

    rows = sample(len(z), most, seed)
    there = len(torch.unique(found[rows]))
    if not 1 < there < len(rows):
        return {}
    return {"silhouette": float(silhouette_score(z[rows.to(z.device)].cpu().numpy(), found[rows].numpy()))}
