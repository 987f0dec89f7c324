"""K-means against scikit-learn, its invariances, and its edges."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from counterpoint.clustering import even_assignment, kmeans
from counterpoint.core.errors import DataError, OptionError


def blobs(n: int = 600, d: int = 8, k: int = 6, spread: float = 0.3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % k
    return torch.randn(k, d, generator=g)[y] + spread * torch.randn(n, d, generator=g), y


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_as_good_as_scikit_learn(spread: float) -> None:
    x, _ = blobs(spread=spread)
    theirs = KMeans(6, n_init=10, random_state=0).fit(x.numpy())
    ours = kmeans(x, k=6)
    assert ours.inertia * len(x) <= theirs.inertia_ * 1.01
    if spread < 1:
        assert adjusted_rand_score(theirs.labels_, ours.assignment) == 1
    # What is returned belongs together: every row is with its nearest centre, every centre is the mean of its rows.
    distance = ((x[:, None] - ours.centres) ** 2).sum(2)
    assert torch.equal(distance.argmin(1), ours.assignment)
    np.testing.assert_allclose(distance.min(1).values.mean(), ours.inertia, rtol=1e-4)
    assert ours.converged


def test_same_seed_same_result_and_given_centres_keep_their_numbers() -> None:
    x, _ = blobs()
    first, second = (kmeans(x, k=6, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.centres, second.centres)
    assert torch.equal(kmeans(x + 0.001, k=6, centres=first.centres).assignment, first.assignment)


@settings(deadline=None, max_examples=15)
@given(shift=st.floats(-100, 100), scale=st.floats(0.1, 10), seed=st.integers(0, 50))
def test_moving_scaling_and_rotating_change_nothing(shift: float, scale: float, seed: int) -> None:
    x, _ = blobs(n=120, d=4, k=3, seed=seed)
    x = x.double()
    turn = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))[0]
    start = x[:3]
    plain = kmeans(x, k=3, centres=start).assignment
    other = kmeans((x * scale + shift) @ turn, k=3, centres=(start * scale + shift) @ turn).assignment
    assert torch.equal(plain, other)


def test_spherical_ignores_length() -> None:
    x, y = blobs(spread=0.1)
    lengths = torch.rand(len(x), 1, generator=torch.Generator().manual_seed(1)) * 9 + 1
    found = kmeans(x * lengths, k=6, kind="spherical")
    assert adjusted_rand_score(y, found.assignment) == 1
    torch.testing.assert_close(found.centres.norm(dim=1), torch.ones(6))
    assert adjusted_rand_score(y, kmeans(x * lengths, k=6).assignment) < 1


def test_balanced_sizes() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(150, 2, generator=g), torch.randn(53, 2, generator=g) + 4])
    found = kmeans(x, k=4, kind="balanced", starts=3)
    sizes = torch.bincount(found.assignment, minlength=4)
    assert int(sizes.max() - sizes.min()) <= 1
    assert int((sizes - torch.bincount(kmeans(x, k=4).assignment)).abs().sum()) > 0


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 60), k=st.integers(1, 9), seed=st.integers(0, 99), ties=st.booleans())
def test_even_assignment_is_even(n: int, k: int, seed: int, ties: bool) -> None:
    scores = torch.randn(n, k, generator=torch.Generator().manual_seed(seed))
    scores = torch.zeros_like(scores) if ties else scores
    sizes = torch.bincount(even_assignment(scores), minlength=k)
    assert int(sizes.sum()) == n
    assert int(sizes.max() - sizes.min()) <= 1


def test_even_assignment_is_near_the_optimum() -> None:
    from scipy.optimize import linear_sum_assignment

    scores = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
    rows, columns = linear_sum_assignment(scores.repeat_interleave(20, dim=1).numpy(), maximize=True)
    best = float(scores[rows, columns // 20].sum())
    ours = float(scores.gather(1, even_assignment(scores)[:, None]).sum())
    assert 0.99 * best <= ours <= best + 1e-4


def test_edges() -> None:
    same = kmeans(torch.ones(10, 3), k=4)
    assert same.inertia == 0
    assert bool(torch.isfinite(same.centres).all())
    each = kmeans(torch.arange(12.0).reshape(6, 2), k=6)
    assert sorted(each.assignment.tolist()) == list(range(6))
    one = kmeans(torch.randn(20, 3), k=1)
    assert set(one.assignment.tolist()) == {0}
    # A centre far from everything does not stay empty.
    x, _ = blobs(k=2)
    assert int(torch.bincount(kmeans(x, k=2, centres=torch.stack([x.mean(0), x.mean(0) + 1e4])).assignment).min()) > 0


def test_refusals() -> None:
    x = torch.randn(5, 3)
    with pytest.raises(DataError, match="at most 5"):
        kmeans(x, k=6)
    with pytest.raises(DataError, match="1 of 5 rows"):
        kmeans(torch.where(torch.arange(15).view(5, 3) == 4, torch.nan, x), k=2)
    with pytest.raises(DataError, match="matrix"):
        kmeans(torch.randn(5), k=2)
    with pytest.raises(DataError, match="centres"):
        kmeans(x, k=2, centres=torch.randn(2, 4))
    with pytest.raises(OptionError, match="k = 0"):
        kmeans(x, k=0)
