"""Retrieval against scikit-learn's average precision and brute force."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from counterpoint.core.errors import DataError, OptionError
from counterpoint.evaluation import paired_retrieval, retrieval


def slow(z: np.ndarray, y: np.ndarray) -> dict[str, float]:
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    recall: dict[int, list[bool]] = {1: [], 5: [], 10: []}
    precision = []
    for i in range(len(z)):
        rest = np.array([j for j in range(len(z)) if j != i and y[j] >= 0])
        right = y[rest] == y[i]
        if y[i] < 0 or not right.any():
            continue
        score = z[rest] @ z[i]
        precision.append(average_precision_score(right, score))
        for k in recall:
            recall[k].append(bool(right[np.argsort(-score)[:k]].any()))
    return {f"recall_at_{k}": np.mean(v) for k, v in recall.items()} | {"map": np.mean(precision), "queries": len(precision)}


@settings(deadline=None, max_examples=25)
@given(n=st.integers(4, 40), classes=st.integers(1, 6), unknown=st.integers(0, 2), seed=st.integers(0, 200))
def test_equals_brute_force(n: int, classes: int, unknown: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=g)
    y[:2] = 0
    y[2 : 2 + unknown] = -1
    z = torch.randn(6, 5, generator=g, dtype=torch.float64)[y] + torch.randn(n, 5, generator=g, dtype=torch.float64)
    ours, theirs = retrieval(z, y), slow(z.numpy(), y.numpy())
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value), name
    assert ours["queries"] + ours["skipped"] == int((y >= 0).sum())


def test_gallery() -> None:
    z, y = torch.eye(4), torch.tensor([0, 1, 2, -1])
    found = retrieval(z, y, gallery=torch.eye(4)[:2] + 0.1, gallery_labels=[1, 0])
    assert found["queries"] == 2  # class 2 is not in the gallery, −1 is nobody
    assert found["skipped"] == 1
    assert found["recall_at_1"] == 0
    assert found["recall_at_5"] == 1
    assert found["map"] == pytest.approx(0.5)


def test_order_of_the_file_does_not_decide_a_collapse() -> None:
    y = torch.arange(400) // 200
    found = retrieval(torch.ones(400, 3), y)
    assert found["map"] == pytest.approx(0.5, abs=0.05)


def test_sampled_queries() -> None:
    g = torch.Generator().manual_seed(0)
    y = torch.randint(5, (1500,), generator=g)
    z = torch.randn(5, 8, generator=g)[y] + torch.randn(1500, 8, generator=g)
    few, all_of_them = retrieval(z, y, most=300), retrieval(z, y)
    assert few["queries"] == 300
    assert few["map"] == pytest.approx(all_of_them["map"], abs=0.03)
    assert few == retrieval(z, y, most=300)


def test_paired() -> None:
    g = torch.Generator().manual_seed(0)
    a = torch.randn(50, 8, generator=g, dtype=torch.float64)
    b = a + torch.randn(50, 8, generator=g, dtype=torch.float64)
    u, v = (x.numpy() / np.linalg.norm(x.numpy(), axis=1, keepdims=True) for x in (a, b))
    score = u @ v.T
    rank = [(score[i] >= score[i, i]).sum() for i in range(50)]
    found = paired_retrieval(a, b)
    assert found["recall_at_1"] == pytest.approx(np.mean(np.array(rank) <= 1))
    assert found["recall_at_10"] == pytest.approx(np.mean(np.array(rank) <= 10))
    assert paired_retrieval(a, a)["recall_at_1"] == 1
    assert paired_retrieval(torch.ones(50, 3), torch.ones(50, 3))["recall_at_10"] == 0  # collapse retrieves nothing


def test_refusals() -> None:
    with pytest.raises(DataError, match="two rows"):
        retrieval(torch.eye(3), [0, 1, 2])
    with pytest.raises(DataError, match="two rows"):
        retrieval(torch.eye(3), [-1, -1, -1])
    with pytest.raises(OptionError, match="at ="):
        retrieval(torch.eye(3), [0, 0, 0], at=(0,))
    with pytest.raises(DataError, match="equal"):
        paired_retrieval(torch.eye(3), torch.ones(3, 2))
