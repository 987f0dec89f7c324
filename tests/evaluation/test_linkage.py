"""Linking by a threshold: single linkage, its threshold, and the protocol."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.core.errors import DataError
from counterpoint.evaluation.linkage import best_threshold, linked, links


def _groups(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(12), 4)
    return rng.normal(0, 1, (12, 16))[labels] + rng.normal(0, 0.15, (48, 16)), labels


def test_components_are_those_of_single_linkage() -> None:
    from scipy.cluster.hierarchy import fcluster
    from scipy.cluster.hierarchy import linkage as hierarchy
    from sklearn.metrics import adjusted_rand_score

    z, _ = _groups()
    for threshold in (0.3, 0.8, 0.95):
        found = linked(48, *links(z, k=47), threshold=threshold)
        exact = fcluster(hierarchy(z, "single", "cosine"), 1 - threshold, "distance")
        assert adjusted_rand_score(found, exact) == 1


def test_the_threshold_that_parts_groups_is_found() -> None:
    z, labels = _groups()
    assert best_threshold(z, labels)[1] > 0.97
    threshold, score = best_threshold(z, labels, tries=481)  # all cosines there are
    assert score == 1 and 0.3 < threshold < 1
    other, truth = _groups(1)
    found = linked(48, *links(other), threshold=threshold)
    assert (np.unique(found, return_counts=True)[1] == 4).all() and len(truth) == 48
    assert best_threshold(np.concatenate([z, z]), np.concatenate([labels, np.full(48, -1)]))[1] > 0.97
    with pytest.raises(DataError, match="at least two"):
        links(z[:1])
