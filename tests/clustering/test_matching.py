"""The one match against all permutations."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.cluster import contingency_matrix

from counterpoint.clustering import contingency, matched
from counterpoint.core.errors import LabelError

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(LABELS)
def test_equals_the_best_permutation(pairs: list[tuple[int, int]]) -> None:
    first, second = torch.tensor(pairs).T
    best = max(sum(p[a] == b for a, b in pairs) for p in itertools.permutations(range(4)))
    assert int((matched(first, second) == second).sum()) == best


@settings(deadline=None, max_examples=25)
@given(LABELS)
def test_contingency_equals_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    first, second = torch.tensor(pairs).T
    table = contingency(first, second).numpy()
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    assert (table == contingency_matrix(first, second)).all()


def test_more_clusters_than_classes_keep_apart() -> None:
    renamed = matched(torch.tensor([0, 0, 1, 1, 2, 3]), torch.tensor([1, 1, 0, 0, 0, 0]))
    assert renamed[:4].tolist() == [1, 1, 0, 0]
    assert len(set(renamed.tolist())) == 4
    assert min(renamed[4:].tolist()) >= 2


def test_refusals() -> None:
    with pytest.raises(LabelError, match="equal length"):
        matched(torch.tensor([0]), torch.tensor([0, 1]))
    with pytest.raises(LabelError, match="unknown"):
        matched(torch.tensor([0, 1]), torch.tensor([0, -1]))
    assert matched(torch.tensor([], dtype=torch.int64), torch.tensor([], dtype=torch.int64)).shape == (0,)
