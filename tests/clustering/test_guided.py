"""K-means with labels, and the class shares that clusters tell."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from counterpoint.clustering import class_prior, estimate_prior, guided_kmeans
from counterpoint.core.errors import LabelError, RequirementError
from counterpoint.core.recipe import Rows


def blobs(sizes, seed=0, d=8):
    g = torch.Generator().manual_seed(seed)
    truth = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    centres = torch.eye(len(sizes), d) * 4
    return centres[truth] + 0.3 * torch.randn(len(truth), d, generator=g), truth


def test_labels_stay_and_clusters_keep_their_numbers():
    x, truth = blobs([30, 30, 30, 30])
    labels = torch.where((truth < 2) & (torch.arange(120) % 3 == 0), truth, -1)
    labels[0] = 1  # against its neighbours
    found = guided_kmeans(x, labels, k=4)
    assert bool((found.assignment[labels >= 0] == labels[labels >= 0]).all())
    assert bool((found.assignment[1:60] == truth[1:60]).all())  # old classes by number
    assert len(found.assignment[60:90].unique()) == 1 and len(found.assignment[60:].unique()) == 2


def test_without_labels_it_is_k_means():
    x, truth = blobs([20, 20, 20])
    found = guided_kmeans(x, torch.full((60,), -1), k=3).assignment
    assert all(len(found[truth == c].unique()) == 1 for c in range(3)) and len(found.unique()) == 3


@pytest.mark.parametrize(("labels", "k"), [([0, 2, 2, -1], 3), ([0, 1, 2, -1], 2), ([0, 1], 2)])
def test_labels_that_do_not_fit_are_refused(labels, k):
    with pytest.raises(LabelError, match="guided_kmeans"):
        guided_kmeans(torch.randn(4, 2), torch.tensor(labels), k=k)


def test_the_prior_is_that_of_separate_clusters():
    sizes = [60, 10, 100, 30, 15]  # 0 … 2 old, 3 and 4 new
    x, truth = blobs(sizes)
    labels = torch.where((truth < 3) & (torch.arange(len(truth)) % 2 == 0), truth, -1)
    found = class_prior(x, labels, classes=5)
    assert torch.allclose(found, torch.tensor([60.0, 10, 100, 30, 15]) / 215)


def test_sizes_follow_the_order_of_the_labelled_counts():
    """Two old classes that clusters mix up get the larger size where there are more labels."""
    x, _ = blobs([80, 20, 40])
    labels = torch.full((140,), -1)
    labels[:4], labels[80:90] = 0, 1  # few labels of the large class
    found = class_prior(x, labels, classes=3)
    assert found[1] > found[0] and found[2] == pytest.approx(40 / 140)


def test_a_round_writes_the_prior_and_repeats_itself():
    x, truth = blobs([30, 20, 10])
    labels = torch.where(truth < 2, truth, -1)

    def run():
        torch.manual_seed(3)
        made = SimpleNamespace(tables={}, embed_all=lambda: Rows(x, {"label": labels}, False))
        estimate_prior(made, classes=3)
        return made.tables["prior"]

    assert torch.equal(run(), run()) and float(run().sum()) == pytest.approx(1)
    with pytest.raises(RequirementError, match="labels"):
        estimate_prior(SimpleNamespace(tables={}, embed_all=lambda: Rows(x, {}, False)), classes=3, label="labels")


def test_more_labels_than_classes_are_refused():
    with pytest.raises(LabelError, match="at least as many"):
        class_prior(torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2]), classes=2)
