"""The neighbours' vote against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from counterpoint.core.errors import DataError, OptionError
from counterpoint.evaluation import knn, knn_predict
from counterpoint.evaluation.neighbours import others


def data(n: int = 300, d: int = 6, classes: int = 4, spread: float = 1.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=g)
    return torch.randn(classes, d, generator=g)[y] + spread * torch.randn(n, d, generator=g), y


@settings(deadline=None, max_examples=20)
@given(k=st.integers(1, 30), temperature=st.sampled_from([None, 0.07, 0.5]), seed=st.integers(0, 30))
def test_equals_scikit_learn(k: int, temperature: float | None, seed: int) -> None:
    x, y = data(seed=seed)
    x = x.double()
    vote = "uniform" if temperature is None else lambda distance: np.exp((1 - distance) / temperature)
    theirs = KNeighborsClassifier(k, metric="cosine", weights=vote).fit(x[:200], y[:200]).predict(x[200:])
    assert knn_predict(x[:200], y[:200], x[200:], k=k, temperature=temperature).tolist() == theirs.tolist()
    assert knn(x[:200], y[:200], x[200:], y[200:], k=k, temperature=temperature) == pytest.approx((theirs == y[200:].numpy()).mean())


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 100), scale=st.floats(0.01, 100))
def test_turning_scaling_and_renaming_change_nothing(seed: int, scale: float) -> None:
    x, y = data(n=80, seed=seed)
    x = x.double()
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    plain = knn(x[:60], y[:60], x[60:], y[60:], k=5)
    assert knn(x[:60] @ turn * scale, y[:60], x[60:] @ turn * scale, y[60:], k=5) == plain
    rename = torch.tensor([7, 3, 50, 0])
    assert knn(x[:60], rename[y[:60]], x[60:], rename[y[60:]], k=5) == plain


def test_unknown_labels_absent_classes_and_names() -> None:
    x, y = data(spread=0.05)
    y[:50] = -1
    y[250:275] = -1
    assert knn(x[:200], y[:200], x[200:], y[200:], k=5) == 1.0
    only = torch.where(y == 3, -1, y)
    expected = float((y[275:] != 3).double().mean())
    assert knn(x[:200], only[:200], x[275:], y[275:], k=5) == pytest.approx(expected)
    names = np.array(["a", "b", "c", "d", ""])[y.numpy()]
    assert knn_predict(x[:200], names[:200], x[275:], k=5).tolist() == y[275:].tolist()


def test_k_beyond_train_and_collapse() -> None:
    x, y = data(n=12)
    assert 0 <= knn(x[:8], y[:8], x[8:], y[8:], k=20) <= 1
    assert knn(torch.ones(8, 3), [0, 1] * 4, torch.ones(4, 3), [0, 1] * 2, k=4) == 0.5
    assert knn(x[:8] * 1e4, y[:8], x[8:] * 1e4, y[8:], k=3, temperature=1e-4, metric="dot") >= 0


def test_others_never_finds_itself() -> None:
    x = torch.ones(30, 2)  # all copies of each other: the hardest case
    rows = torch.tensor([0, 7, 29])
    found = others(x, rows, k=5)
    assert not bool((found == rows[:, None]).any())
    assert found.shape == (3, 5)


def test_refusals() -> None:
    x, y = data(n=20)
    with pytest.raises(DataError, match="none of the 10 test rows"):
        knn(x[:10], y[:10], x[10:], [-1] * 10)
    with pytest.raises(DataError, match="none of the train rows"):
        knn(x[:10], [-1] * 10, x[10:], y[10:])
    with pytest.raises(DataError, match="same width"):
        knn(x[:10], y[:10], x[10:, :3], y[10:])
    with pytest.raises(DataError, match="1 of 10 rows"):
        knn(torch.where(torch.arange(60).view(10, 6) == 0, torch.nan, x[:10]), y[:10], x[10:], y[10:])
    with pytest.raises(OptionError, match="temperature"):
        knn(x[:10], y[:10], x[10:], y[10:], temperature=0.0)
