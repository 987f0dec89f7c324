"""The two-dimensional map: PCA exactly, t-SNE repeatably."""

from __future__ import annotations

import numpy as np
import pytest

from counterpoint.core.errors import DataError
from counterpoint.report.map2d import project


def blobs(n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    code = random.integers(0, 3, n)
    return (random.normal(size=(3, width))[code] * 3 + random.normal(size=(n, width))).astype(np.float32), code


@pytest.mark.parametrize(("n", "width"), [(50, 6), (6, 50), (300, 260)])
def test_pca_is_that_of_the_singular_values(n: int, width: int) -> None:
    vectors, _ = blobs(n, width)
    centred = vectors.astype(np.float64) - vectors.astype(np.float64).mean(0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    expected = u[:, :2] * s[:2]
    found = project(vectors, seed=0, way="pca", normalise=False)
    assert found.dtype == np.float32 and found.shape == (n, 2)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_rows_are_scaled_to_length_one_unless_told_otherwise() -> None:
    vectors, _ = blobs(40, 5)
    scaled = vectors * np.linspace(0.1, 10, 40, dtype=np.float32)[:, None]
    np.testing.assert_allclose(project(scaled, seed=0, way="pca"), project(vectors, seed=0, way="pca"), atol=1e-5)
    assert not np.allclose(
        project(scaled, seed=0, way="pca", normalise=False), project(vectors, seed=0, way="pca", normalise=False), atol=1e-2
    )


def test_tsne_is_repeatable_and_keeps_groups() -> None:
    pytest.importorskip("openTSNE")
    vectors, code = blobs(90, 12)
    found = project(vectors, seed=3, way="tsne")
    assert np.array_equal(found, project(vectors, seed=3, way="tsne"))
    distance = np.linalg.norm(found[:, None] - found[None], axis=2) + np.eye(90) * 1e9
    assert (code[distance.argmin(1)] == code).mean() > 0.9


@pytest.mark.parametrize("way", ["auto", "pca", "tsne"])
@pytest.mark.parametrize("vectors", [np.ones((1, 4)), np.ones((40, 4)), np.zeros((2, 1)), np.arange(3.0)[:, None]])
def test_few_or_equal_vectors_are_mapped(vectors: np.ndarray, way: str) -> None:
    found = project(vectors, seed=0, way=way)  # type: ignore[arg-type]
    assert found.shape == (len(vectors), 2) and np.isfinite(found).all()


@pytest.mark.parametrize("vectors", [np.ones(4), np.ones((0, 4)), np.ones((4, 0)), np.ones((2, 2, 2))])
def test_another_shape_is_refused(vectors: np.ndarray) -> None:
    with pytest.raises(DataError, match="n rows and d columns"):
        project(vectors, seed=0)


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 3 vectors hold NaN"):
        project(np.array([[1.0], [np.nan], [2.0]]), seed=0)
