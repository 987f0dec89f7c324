"""Record linkage: which records are of one thing, by a threshold on their similarity."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch

from counterpoint.clustering import nearest
from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Range, check
from counterpoint.evaluation.inputs import codes, matrix

Cosine = Annotated[float, Range(-1, 1)]


def links(z: Any, *, k: Count = 10) -> tuple[np.ndarray, np.ndarray]:
    """Edges (e, 2) from every row of z (n, d) to its k nearest others, and their cosines (e,): what thresholds are tried on.

    Never a matrix of all pairs; components at a threshold are those of all pairs unless a row has more than k others above it.
    """
    rows = matrix(z, "the embeddings")
    check(k, Count, "links: k")
    if len(rows) < 2:
        raise DataError(f"links: {len(rows)} row; at least two are needed")
    k = min(k, len(rows) - 1)
    cosine, place = nearest(rows, rows, k=k, itself=False)
    begin = torch.arange(len(rows)).repeat_interleave(k)
    return torch.stack([begin, place.flatten().cpu()], 1).numpy(), cosine.flatten().cpu().numpy()


def linked(items: Count, edges: np.ndarray, cosines: np.ndarray, *, threshold: Cosine) -> np.ndarray:
    """(items,) cluster numbers: single linkage, components of the edges (e, 2) whose cosine is at least the threshold."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    kept = edges[cosines >= threshold]
    graph = coo_array((np.ones(len(kept)), (kept[:, 0], kept[:, 1])), shape=(items, items))
    return np.asarray(connected_components(graph, directed=False)[1])


def best_threshold(z: Any, labels: Any, *, k: Count = 10, tries: Count = 100) -> tuple[float, float]:
    """The cosine above which records are linked so that the adjusted Rand index with the labels (n,) is highest, and that index.

    labels: −1 = unknown, left out.
    k: as in `links`.
    tries: quantiles of the cosines that are tried.
    """
    from sklearn.metrics import adjusted_rand_score

    rows = matrix(z, "the embeddings")
    truth = codes(labels, len(rows))
    rows, known = rows[truth >= 0], truth[truth >= 0].cpu().numpy()
    edges, cosines = links(rows, k=k)
    grid = np.unique(np.quantile(cosines, np.linspace(0, 1, tries)))
    scores = [adjusted_rand_score(known, linked(len(rows), edges, cosines, threshold=float(np.clip(t, -1, 1)))) for t in grid]
    best = int(np.argmax(scores))
    return float(np.clip(grid[best], -1, 1)), float(scores[best])
