"""Shared neighbours against sets."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import DataError
from counterpoint.evaluation import neighbour_agreement


def neighbours(x: np.ndarray, k: int) -> list[set[int]]:
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    score = x @ x.T
    np.fill_diagonal(score, -np.inf)
    return [set(row.tolist()) for row in np.argsort(-score, axis=1)[:, :k]]


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 50), k=st.integers(1, 60), noise=st.floats(0.01, 2), seed=st.integers(0, 99))
def test_equals_sets(n: int, k: int, noise: float, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(n, 5, generator=g, dtype=torch.float64)
    b = torch.cat([a + noise * torch.randn(n, 5, generator=g, dtype=torch.float64), torch.ones(n, 1, dtype=torch.float64)], 1)
    small = min(k, n - 1)
    expected = np.mean([len(x & y) / small for x, y in zip(neighbours(a.numpy(), small), neighbours(b.numpy(), small))])
    assert neighbour_agreement(a, b, k=k) == pytest.approx(expected)


def test_limits_and_sample() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(3000, 16, generator=g), torch.randn(3000, 16, generator=g)
    assert neighbour_agreement(a, 2 * a) == 1
    assert neighbour_agreement(a, b, k=30, most=500) == pytest.approx(30 / 2999, abs=0.004)
    assert neighbour_agreement(a, a + 0.3 * b, most=500) == pytest.approx(neighbour_agreement(a, a + 0.3 * b, most=3000), abs=0.02)
    with pytest.raises(DataError, match="at least 2"):
        neighbour_agreement(a[:1], b[:1])
    with pytest.raises(DataError, match="as many rows"):
        neighbour_agreement(a[:5], b[:6])
