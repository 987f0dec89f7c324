"""Splits that cannot leak."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import LabelError, OptionError
from counterpoint.evaluation import crossing, holdout


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-1, 5), min_size=1, max_size=120), st.floats(0.05, 0.9), st.integers(0, 1000))
def test_each_class_gives_its_share(labels: list[int], share: float, seed: int) -> None:
    y = np.array(labels)
    split = holdout(y, share=share, seed=seed)
    assert split.shape == y.shape
    assert set(split.tolist()) <= {0, 1}
    for value in set(labels):
        size, test = (y == value).sum(), split[y == value].sum()
        if size == 1:
            assert test == 0
        else:
            assert 1 <= test <= size - 1
            assert abs(test - share * size) <= 1
    assert (holdout(y, share=share, seed=seed) == split).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 9)), min_size=2, max_size=120), st.integers(0, 1000))
def test_groups_are_whole(rows: list[tuple[int, int]], seed: int) -> None:
    labels, groups = np.array(rows).T
    split = holdout(labels, groups, share=0.3, seed=seed)
    for group in set(groups[groups >= 0].tolist()):
        assert len(set(split[groups == group].tolist())) == 1
    assert not crossing(split, groups).any()
    if len(set(groups[groups >= 0].tolist())) + (groups < 0).sum() > 1:
        assert 0 < split.sum() < len(split)
    else:
        assert split.sum() == 0


def test_groups_stratified_where_possible() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(100), 10)
    labels = np.repeat(random.integers(0, 5, 100), 10)  # one class per group, as patients have one diagnosis
    split = holdout(labels, groups, share=0.2, seed=1)
    for value in range(5):
        assert abs(split[labels == value].mean() - 0.2) < 0.06
    assert (holdout(labels, groups, share=0.2, seed=2) != split).any()


def test_names_as_groups_and_many_of_them() -> None:
    names = np.array([f"patient {i // 3}" for i in range(30_000)])
    split = holdout(np.arange(30_000) % 7, names, share=0.25)
    assert abs(split.mean() - 0.25) < 0.01
    assert not crossing(split, names).any()


def test_crossing_finds_a_leak() -> None:
    assert crossing([0, 1, 1, 0, 1, -1], [5, 5, 6, -1, -1, 6]).tolist() == [False, True, False, False, False, False]


def test_without_labels_and_refusals() -> None:
    assert holdout(items=10, share=0.3).sum() == 3
    assert holdout(items=1).tolist() == [0]
    assert holdout(None, np.arange(10) // 2, share=0.4).sum() == 4
    with pytest.raises(LabelError, match="one of them is needed"):
        holdout()
    with pytest.raises(LabelError, match="groups"):
        holdout([0, 1, 2], [0, 1])
    with pytest.raises(OptionError, match="share"):
        holdout([0, 1], share=1.0)
