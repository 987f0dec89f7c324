"""Sinkhorn against a slow float64 twin, its limits, and its refusals."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint import clustering
from counterpoint.core.errors import DataError, OptionError


def slow(scores: np.ndarray, epsilon: float, iterations: int) -> np.ndarray:
    """Plain Sinkhorn–Knopp in float64, as the papers write it: (k, b) matrix, columns of 1/b, rows of 1/k."""
    q = np.exp(scores.astype(np.float64).T / epsilon)
    q /= q.sum()
    k, b = q.shape
    for _ in range(iterations):
        for row in range(k):
            q[row] /= q[row].sum() * k
        for column in range(b):
            q[:, column] /= q[:, column].sum() * b
    return (q * b).T


@settings(deadline=None, max_examples=40)
@given(
    b=st.integers(1, 12),
    k=st.integers(1, 7),
    epsilon=st.floats(0.03, 2),
    iterations=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_equals_the_slow_twin(b: int, k: int, epsilon: float, iterations: int, seed: int) -> None:
    scores = torch.rand(b, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    got = clustering.sinkhorn(scores, epsilon=epsilon, iterations=iterations)
    np.testing.assert_allclose(got, slow(scores.numpy(), epsilon, iterations), rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(got.sum(1), torch.ones(b, dtype=torch.float64))


def test_columns_become_even() -> None:
    scores = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    scores[:, 3] += 3  # one prototype that all rows like best
    few, many = (clustering.sinkhorn(scores, epsilon=0.5, iterations=i).sum(0) for i in (1, 200))
    torch.testing.assert_close(many, torch.full((10,), 20.0), rtol=1e-3, atol=1e-3)
    assert (few - 20).abs().max() > (many - 20).abs().max()
    assert torch.softmax(scores / 0.5, 1).sum(0)[3] > 100  # without it: nearly all mass on one column


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_scores_stay_finite(size: float, dtype: torch.dtype) -> None:
    scores = (torch.randn(64, 8, generator=torch.Generator().manual_seed(1)) * size).to(dtype)
    got = clustering.sinkhorn(scores, epsilon=0.01)
    assert got.dtype == torch.float32 and bool(got.isfinite().all())
    torch.testing.assert_close(got.sum(1), torch.ones(64))


def test_offset_of_a_row_does_not_matter() -> None:
    scores = torch.randn(20, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(
        clustering.sinkhorn(scores + torch.arange(20.0, dtype=torch.float64)[:, None], epsilon=0.3, iterations=500),
        clustering.sinkhorn(scores, epsilon=0.3, iterations=500),
    )


def test_reduce_makes_two_devices_one() -> None:
    scores = torch.randn(30, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    whole = clustering.sinkhorn(scores, epsilon=0.1, iterations=4)
    parts = [scores[:11], scores[11:]]
    meet, sent, results = threading.Barrier(2), [scores[0], scores[0]], [scores, scores]

    def device(part: int) -> None:
        def reduce(log: torch.Tensor) -> torch.Tensor:
            sent[part] = log
            meet.wait(10)
            total = torch.logsumexp(torch.stack(sent), 0)
            meet.wait(10)
            return total

        results[part] = clustering.sinkhorn(parts[part], epsilon=0.1, iterations=4, reduce=reduce)

    threads = [threading.Thread(target=device, args=(part,)) for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close(torch.cat(results), whole)
    alone = torch.cat([clustering.sinkhorn(part, epsilon=0.1, iterations=4) for part in parts])
    assert (alone - whole).abs().max() > 1e-3  # without the hook the two devices disagree with the whole


def test_gradient_passes_and_detached_scores_give_none() -> None:
    scores = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: clustering.sinkhorn(s, epsilon=0.5), (scores,))
    assert not clustering.sinkhorn(scores.detach()).requires_grad


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_refuses_what_is_not_finite(bad: float) -> None:
    scores = torch.zeros(4, 3)
    scores[1, 2] = bad
    with pytest.raises(DataError, match="1 of 12 scores"):
        clustering.sinkhorn(scores)


def test_refuses_shapes_and_options() -> None:
    with pytest.raises(DataError, match="matrix"):
        clustering.sinkhorn(torch.zeros(4))
    with pytest.raises(DataError, match="matrix"):
        clustering.sinkhorn(torch.zeros(4, 0))
    with pytest.raises(OptionError, match="epsilon"):
        clustering.sinkhorn(torch.zeros(4, 2), epsilon=0.0)
    with pytest.raises(OptionError, match="iterations"):
        clustering.sinkhorn(torch.zeros(4, 2), iterations=0)
    assert clustering.sinkhorn(torch.zeros(0, 3)).shape == (0, 3)
