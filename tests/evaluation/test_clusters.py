"""Cluster figures against scikit-learn and all permutations; discovery."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from counterpoint.core.errors import DataError, LabelError
from counterpoint.evaluation import cluster_accuracy, clusters, discovery

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=25)


@settings(deadline=None, max_examples=40)
@given(PAIRS, st.permutations(range(4)))
def test_accuracy_is_that_of_the_best_renaming(pairs: list[tuple[int, int]], renamed: list[int]) -> None:
    found, truth = np.array(pairs).T
    best = max(np.mean(np.array(p)[found] == truth) for p in itertools.permutations(range(4)))
    assert cluster_accuracy(found, truth) == pytest.approx(best)
    assert cluster_accuracy(np.array(renamed)[found], truth) == pytest.approx(best)


def blobs(spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 4
    return torch.randn(4, 6, generator=g)[y] + spread * torch.randn(300, 6, generator=g), y


def test_figures_equal_scikit_learn() -> None:
    from counterpoint.clustering import kmeans

    z, y = blobs(0.7)
    found = clusters(z, y, seeds=(5,))
    u = torch.nn.functional.normalize(z, dim=1)
    own = kmeans(u, k=4, starts=5, generator=torch.Generator().manual_seed(5)).assignment
    assert found["nmi"] == (pytest.approx(metrics.normalized_mutual_info_score(y, own)), 0)
    assert found["ari"][0] == pytest.approx(metrics.adjusted_rand_score(y, own))
    assert found["silhouette"][0] == pytest.approx(metrics.silhouette_score(u, own), abs=1e-5)
    assert found["acc"][0] == pytest.approx(cluster_accuracy(own, y))


def test_clear_groups_partly_labelled() -> None:
    z, y = blobs(0.02)
    y[:150] = -1
    found = clusters(z, y)
    assert found["acc"] == (1, 0)
    assert found["nmi"][0] == pytest.approx(1)


def test_without_labels_and_collapse() -> None:
    z, _ = blobs(0.5)
    assert set(clusters(z, k=4)) == {"silhouette"}
    assert clusters(torch.ones(20, 3), [0, 1] * 10)["acc"][0] == pytest.approx(0.5, abs=0.06)
    with pytest.raises(DataError, match="no labels and no k"):
        clusters(z)
    with pytest.raises(DataError, match="at most 300"):
        clusters(z, k=301)
    with pytest.raises(DataError, match="at least one"):
        cluster_accuracy([0, 1], [-1, -1])


def test_discovery_uses_one_match() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])
    found = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0])
    result = discovery(found, labels, old=[0, 1])
    # Cluster 0 goes to class 2 (3 rows beat 2), cluster 1 to class 1: class 0 has none left.
    shares = {"all": 6 / 9, "old": 3 / 6, "new": 1.0, "balanced": 2 / 3}  # the classes have 0, 3 and 3 of 3
    assert result == {**{name: pytest.approx(share) for name, share in shares.items()}, "items_old": 6, "items_new": 3}
    assert "new" not in discovery(found[:6], labels[:6], old=[0, 1])
    with pytest.raises(LabelError, match="none of the 2"):
        discovery([0, 1], [-1, -1], old=[])
