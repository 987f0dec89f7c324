"""Exact neighbours against brute force in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.clustering import nearest
from counterpoint.core.errors import DataError, OptionError


def brute(q: np.ndarray, r: np.ndarray, metric: str) -> np.ndarray:
    q, r = q.astype(np.float64), r.astype(np.float64)
    if metric == "euclidean":
        return -np.sqrt(((q[:, None] - r[None]) ** 2).sum(2))
    if metric == "cosine":
        q, r = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (q, r))
    return q @ r.T


@settings(deadline=None, max_examples=40)
@given(
    n=st.integers(1, 40),
    m=st.integers(2, 60),
    d=st.integers(1, 8),
    tile=st.integers(1, 70),
    metric=st.sampled_from(["cosine", "dot", "euclidean"]),
    itself=st.booleans(),
    data=st.data(),
)
def test_equals_brute_force(n: int, m: int, d: int, tile: int, metric: str, itself: bool, data: st.DataObject) -> None:
    g = torch.Generator().manual_seed(n * 100 + m)
    reference = torch.randn(m, d, generator=g)
    queries = torch.randn(n, d, generator=g) if itself else reference
    k = data.draw(st.integers(1, m - (not itself)))
    scores, index = nearest(queries, reference, k=k, metric=metric, itself=itself, tile=tile)
    full = brute(queries.numpy(), reference.numpy(), metric)
    if not itself:
        assert not bool((index == torch.arange(m)[:, None]).any())
        np.fill_diagonal(full, -np.inf)
    np.testing.assert_allclose(scores, np.take_along_axis(full, index.numpy(), 1), rtol=1e-5, atol=2e-6)
    assert bool((scores[:, 1:] <= scores[:, :-1]).all())
    # Which of two rows at all but the same distance comes first is left to rounding, of the squared distance.
    power = 2 if metric == "euclidean" else 1
    np.testing.assert_allclose(scores.abs() ** power, np.abs(-np.sort(-full, axis=1)[:, :k]) ** power, rtol=1e-4, atol=1e-5)
    assert all(len(set(row)) == k for row in index.tolist())


def test_many_rows_take_little_memory() -> None:
    """50,000 rows: a matrix of all pairs would be 10 GB; the largest tensor made is a tile."""
    x = torch.randn(50_000, 8, generator=torch.Generator().manual_seed(0))
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for t in out if isinstance(out, (tuple, list)) else [out]:
                if isinstance(t, torch.Tensor):
                    largest = max(largest, t.numel())
            return out

    with Watch():
        scores, index = nearest(x[:4000], x, k=5)
    assert largest <= 2**24
    assert torch.equal(index[:, 0], torch.arange(4000))
    torch.testing.assert_close(scores[:, 0], torch.ones(4000))


def test_zero_rows_and_offsets() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    scores, index = nearest(x[:1], x, k=3)
    assert scores.tolist() == [[0, 0, 0]]
    far = torch.tensor([[10000.0], [10000.5], [10002.0]])
    scores, index = nearest(far, far, k=1, metric="euclidean", itself=False)
    assert index[:, 0].tolist() == [1, 0, 1]
    torch.testing.assert_close(scores[:, 0], torch.tensor([-0.5, -0.5, -1.5]), rtol=1e-3, atol=1e-3)


def test_refusals() -> None:
    x = torch.randn(5, 3)
    with pytest.raises(DataError, match="at most 5"):
        nearest(x, x, k=6)
    with pytest.raises(DataError, match="at most 4"):
        nearest(x, x, k=5, itself=False)
    with pytest.raises(DataError, match="same d"):
        nearest(x, torch.randn(5, 4), k=1)
    with pytest.raises(DataError, match="rows themselves"):
        nearest(x[:3], x, k=1, itself=False)
    with pytest.raises(OptionError, match="metric"):
        nearest(x, x, k=1, metric="manhattan")  # type: ignore[arg-type]
