"""Bodies with six organs at about the same places in everybody: volumes in which position can be learned."""

from __future__ import annotations

import numpy as np

from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read

SIDE, ORGANS = 24, 6
# centre (depth, height, width), radii and intensity of each organ, in shares of the side: nothing is its own mirror image
PLACES = np.array([
    [0.30, 0.35, 0.30], [0.30, 0.60, 0.68], [0.50, 0.30, 0.62], [0.55, 0.66, 0.34], [0.74, 0.42, 0.40], [0.70, 0.64, 0.62],
])  # fmt: skip
RADII = np.array([[0.16, 0.12, 0.10], [0.08, 0.14, 0.08], [0.10, 0.08, 0.14], [0.14, 0.08, 0.12], [0.08, 0.08, 0.16], [0.12, 0.12, 0.06]])
LIGHT = np.array([0.85, 0.45, 0.70, 0.60, 0.90, 0.50])


@made(kind="volume", items=1000, classes=2)
def phantoms(limit: int | None = None) -> Dataset:
    """Volumes of 24³ voxels, a fifth of them for the test: an ellipsoid body, six organs that move, grow and change in brightness, noise.

    The column "label" says whether the first organ is enlarged.

    limit: items in all, 1,000 by default.
    """
    items = 1000 if limit is None else limit
    rng = np.random.default_rng(0)
    axis = (np.arange(SIDE) + 0.5) / SIDE
    at = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))  # (3, side, side, side)
    large = rng.integers(0, 2, items)

    def ellipsoid(centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
        far = sum(((at[None, k] - centre[:, k, None, None, None]) / radius[:, k, None, None, None]) ** 2 for k in range(3))
        return np.asarray(1 / (1 + np.exp((20 * (far - 1)).clip(max=60))))

    shift = rng.normal(0, 0.02, (items, 3))  # of the whole body
    x = 0.25 * ellipsoid(0.5 + shift, 0.44 * rng.uniform(0.95, 1.05, (items, 3)))
    for organ in range(ORGANS):
        grown = rng.uniform(0.85, 1.15, (items, 1)) * np.where(large & (organ == 0), 1.5, 1.0)[:, None]
        mask = ellipsoid(PLACES[organ] + shift + rng.normal(0, 0.025, (items, 3)), RADII[organ] * grown)
        light = LIGHT[organ] * rng.uniform(0.85, 1.15, items)
        x = x * (1 - mask) + light[:, None, None, None] * mask
    x = (x + rng.normal(0, 0.04, x.shape)).clip(0, 1).astype(np.float32)
    split = (rng.permutation(items) < max(items // 5, 1)).astype(np.int8)
    return read(x, kind="volume", label=large, holdout=lambda labels, groups: split)
