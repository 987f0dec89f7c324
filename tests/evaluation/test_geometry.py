"""Alignment, uniformity and effective rank against their formulas in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import DataError
from counterpoint.evaluation import alignment, effective_rank, spectrum, uniformity


def rows(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(x: torch.Tensor) -> np.ndarray:
    a = x.double().numpy()
    return a / np.linalg.norm(a, axis=1, keepdims=True)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(2, 60), d=st.integers(1, 9), scale=st.floats(0.5, 4), seed=st.integers(0, 99))
def test_uniformity_equals_the_formula(n: int, d: int, scale: float, seed: int) -> None:
    z = rows(n, d, seed)
    u = unit(z)
    pairs = [math.exp(-scale * ((u[i] - u[j]) ** 2).sum()) for i in range(n) for j in range(n) if i != j]
    assert uniformity(z, scale=scale) == pytest.approx(math.log(sum(pairs) / len(pairs)), abs=1e-9)
    assert uniformity(z.float(), scale=scale) == pytest.approx(uniformity(z, scale=scale), abs=1e-4)


def test_uniformity_over_tiles_limits_and_sample() -> None:
    z = rows(2500, 4)
    u = torch.as_tensor(unit(z))
    kernel = torch.exp(2 * (2 * (u @ u.T) - 2))
    exact = math.log((kernel.sum() - kernel.trace()) / (2500 * 2499))
    assert uniformity(z) == pytest.approx(exact, abs=1e-9)
    assert uniformity(z, most=800) == pytest.approx(exact, abs=0.05)
    assert uniformity(torch.ones(10, 3)) == pytest.approx(0, abs=1e-6)
    assert uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-8)
    with pytest.raises(DataError, match="at least 2"):
        uniformity(torch.ones(1, 3))


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 40), d=st.integers(1, 9), power=st.floats(0.5, 3), seed=st.integers(0, 99))
def test_alignment_equals_the_formula(n: int, d: int, power: float, seed: int) -> None:
    a, b = rows(n, d, seed), rows(n, d, seed + 1000)
    expected = (np.linalg.norm(unit(a) - unit(b), axis=1) ** power).mean()
    assert alignment(a, b, power=power) == pytest.approx(expected)
    assert alignment(a, 3 * a) == pytest.approx(0, abs=1e-12)
    assert alignment(a, -a) == pytest.approx(4)


@settings(deadline=None, max_examples=25)
@given(n=st.integers(2, 40), d=st.integers(2, 9), seed=st.integers(0, 99))
def test_turning_changes_nothing(n: int, d: int, seed: int) -> None:
    a, b, turn = rows(n, d, seed), rows(n, d, seed + 1000), torch.linalg.qr(rows(d, d, seed))[0]
    assert alignment(a @ turn, b @ turn) == pytest.approx(alignment(a, b))
    assert uniformity(a @ turn) == pytest.approx(uniformity(a))
    assert effective_rank(a @ turn) == pytest.approx(effective_rank(a))


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 40), d=st.integers(1, 40), seed=st.integers(0, 99), centre=st.booleans())
def test_spectrum_and_effective_rank_equal_the_singular_values(n: int, d: int, seed: int, centre: bool) -> None:
    z = rows(n, d, seed) + 1
    values = np.linalg.svd(z.numpy() - z.numpy().mean(0) if centre else z.numpy(), compute_uv=False)
    np.testing.assert_allclose(spectrum(z, centre=centre), values, atol=1e-6 * max(values.max(), 1))
    if values.max() > 1e-6:
        p = values[values > 1e-6] / values[values > 1e-6].sum()
        assert effective_rank(z, centre=centre) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-5)


def test_effective_rank_of_known_spectra() -> None:
    assert effective_rank(torch.eye(7)) == pytest.approx(7)
    assert effective_rank(torch.ones(20, 5)) == pytest.approx(1)
    assert effective_rank(torch.ones(20, 5), centre=True) == 0
    assert effective_rank(torch.zeros(4, 4)) == 0
    low = rows(500, 3) @ rows(3, 64)
    assert 1 < effective_rank(low.float()) <= 3
    assert effective_rank(low.float() * 1e-18) == pytest.approx(effective_rank(low), rel=1e-3)
    assert effective_rank(rows(300, 300), most=100) <= 100


def test_refusals() -> None:
    with pytest.raises(DataError, match="as many rows"):
        alignment(torch.ones(3, 2), torch.ones(4, 2))
    with pytest.raises(DataError, match="equal and not empty"):
        alignment(torch.ones(3, 2), torch.ones(3, 4))
    with pytest.raises(DataError, match="at least 1"):
        effective_rank(torch.ones(0, 4))
