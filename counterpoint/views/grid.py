"""Pieces of a volume, of one size: the cells of a grid that tiles it, and crops at random places with the share that lies in each cell."""

from __future__ import annotations

from itertools import product

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Part
from counterpoint.core.recipe import Batch, Progress, View, provides
from counterpoint.views import draw


@provides(column=("overlap", "cell"))
def grid_and_crops(
    batch: Batch,
    generator: Generator,
    now: Progress,
    *,
    grid: tuple[Count, Count, Count] = (2, 2, 2),
    crops: Count = 4,
    transform: Part | None = None,
    modality: str = "x",
) -> list[View]:
    """Views "base", the K cells of every volume in their order, and "crop", `crops` pieces of the same size at uniform places.

    VoCo, paper 088.

    Keys of a crop: "overlap" (b, K), the share of its volume that lies in each cell, sum 1. Of a cell: "cell", its number. Crops begin at
    whole voxels. What does not divide by the grid is left out at the far ends.

    grid: cells along depth, height and width.
    crops: pieces of every volume at random places.
    transform: of a piece; one that moves nothing (views.volume.intensity), for place is what is learned.
    modality: which field of the batch is cut.
    """
    x = batch.fields.get(modality)
    if not isinstance(x, Tensor) or x.dim() != 5:
        shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise DataError(f"a grid is cut from volumes (items, channels, depth, height, width); the batch holds {shape}")
    side = [n // g for n, g in zip(x.shape[2:], grid)]
    if min(side) < 2:
        raise DataError(f"volumes of {'×'.join(map(str, x.shape[2:]))} voxels are too small for a grid of {'×'.join(map(str, grid))}")
    cells = torch.tensor([*product(*(range(g) for g in grid))], device=x.device) * torch.tensor(side, device=x.device)
    views = []
    for number, corner in enumerate(cells):
        keys = {"cell": torch.full((len(x),), number, device=x.device)}
        views.append(("base", corner.expand(len(x), 3), keys))
    for _ in range(crops):
        corner = torch.stack([draw.integers(x, generator, 0, s * g - s + 1, len(x)) for s, g in zip(side, grid)], 1)
        views.append(("crop", corner, {"overlap": overlaps(corner, cells, side)}))
    made = []
    for name, corner, keys in views:
        piece, done = box(x, corner, side), {}
        if transform is not None:
            piece, done = transform(piece, generator)
        made.append(View(name, {modality: piece}, {**done, **batch.keys, **keys}))
    return made


def box(x: Tensor, corner: Tensor, side: list[int]) -> Tensor:
    """(b, c, *side) of volumes (b, c, d, h, w), each from its own corner (b, 3) in voxels."""
    z, y, w = (corner[:, axis, None] + torch.arange(n, device=x.device) for axis, n in enumerate(side))
    item = torch.arange(len(x), device=x.device)[:, None, None, None]
    return x.transpose(0, 1)[:, item, z[:, :, None, None], y[:, None, :, None], w[:, None, None, :]].transpose(0, 1)


def overlaps(corner: Tensor, cells: Tensor, side: list[int]) -> Tensor:
    """(b, K): the share of a box at `corner` (b, 3) that lies in a box of the same sides at each of `cells` (K, 3)."""
    size = torch.tensor(side, device=corner.device, dtype=torch.float32)
    apart = (corner[:, None] - cells[None]).abs().float() / size
    return (1 - apart).clamp(min=0).prod(2)
