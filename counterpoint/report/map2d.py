"""The two-dimensional map of embeddings: t-SNE where openTSNE is installed and the set is small enough, PCA otherwise.

van der Maaten & Hinton, "Visualizing Data using t-SNE", JMLR 2008; Linderman et al., "Fast interpolation-based t-SNE", Nature Methods 2019.
"""

from __future__ import annotations

import importlib.util
from typing import Literal

import numpy as np

from counterpoint.core.errors import DataError, need

MOST_TSNE = 20_000
DIMENSIONS = 50  # t-SNE sees this many principal components: distances beyond them are mostly noise, and it is faster
FEWEST_TSNE = 32


def project(vectors: np.ndarray, *, seed: int, way: Literal["auto", "pca", "tsne"] = "auto", normalise: bool = True) -> np.ndarray:
    """Places (n, 2) float32 of vectors (n, d), the same for the same vectors and seed.

    seed: of the random numbers that t-SNE uses.
    way: "pca", "tsne" (needs the extra `report`), or "auto": t-SNE for up to 20,000 vectors where it is installed, else PCA.
    normalise: rows are scaled to length 1 first, since it is their cosine that means something; off for raw input.
    Raises DataError where the vectors are not an (n, d) array of finite numbers.
    """
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or 0 in rows.shape:
        raise DataError(f"vectors of shape {rows.shape} cannot be mapped; give an array of n rows and d columns")
    if not np.isfinite(rows).all():
        raise DataError(
            f"{int((~np.isfinite(rows)).any(1).sum())} of {len(rows)} vectors hold NaN or infinity; leave them out before mapping"
        )
    if normalise:
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    small = _components(rows, DIMENSIONS)
    if way == "auto":
        way = "tsne" if FEWEST_TSNE <= len(rows) <= MOST_TSNE and importlib.util.find_spec("openTSNE") else "pca"
    if way == "pca" or len(rows) < FEWEST_TSNE or not small.any():
        return _two(small)
    return _tsne(small, seed)


def _components(rows: np.ndarray, count: int) -> np.ndarray:
    """Rows in their first `count` principal components; signs fixed, so that a map does not flip from run to run."""
    centred = rows.astype(np.float64) - rows.mean(0, dtype=np.float64)
    if rows.shape[1] > 4 * count and min(rows.shape) > 4 * count:
        from sklearn.utils.extmath import randomized_svd

        _, _, directions = randomized_svd(centred, count, random_state=0)
    else:
        small = centred.T @ centred if rows.shape[1] <= len(rows) else centred @ centred.T
        _, vectors = np.linalg.eigh(small)
        directions = vectors[:, ::-1][:, :count].T
        if rows.shape[1] > len(rows):
            directions = directions @ centred
            directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(1)]
    return centred @ (directions * np.where(largest < 0, -1, 1)[:, None]).T


def _two(components: np.ndarray) -> np.ndarray:
    out = np.zeros((len(components), 2), np.float32)
    out[:, : components.shape[1]] = components[:, :2]
    return out


def _tsne(components: np.ndarray, seed: int) -> np.ndarray:
    tsne = need("openTSNE", "report")
    scale = components[:, 0].std()
    start = np.ascontiguousarray(_two(components) / (scale if scale > 0 else 1.0) * 1e-4, np.float64)
    embedded = tsne.TSNE(
        perplexity=min(30.0, (len(components) - 1) / 3),
        initialization=start,
        neighbors="exact",
        random_state=seed,
        n_jobs=1,  # several threads add in another order from run to run
        early_exaggeration_iter=100,  # 100 + 250 steps keep as many neighbours as the usual 250 + 500 (0.60 of 15 on 3,000 digits)
        n_iter=250,
    ).fit(components)
    return np.asarray(embedded, np.float32)
