"""Whether a piece of a volume tells where it was: the cell of a grid, by a linear probe, on volumes that were held out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.core.recipe import Batch
from counterpoint.evaluation.inputs import generator_of
from counterpoint.evaluation.probe import linear_probe
from counterpoint.evaluation.subject import Subject

GRID = (0.001, 0.01, 0.1, 1.0)


def position(
    subject: Subject, *, grid: tuple[Count, Count, Count] = (2, 2, 2), crops: Count = 8, modality: str = "x", batch: Count = 64
) -> dict[str, float]:
    """{"cell", "chance", "place"}: pieces of the size of a cell at random places of training and of held-out volumes are embedded.

    cell: accuracy of a linear probe for the cell that the piece lies in most.   place: R² of a ridge regression to the three coordinates of
    the piece's centre.   chance: the share of the commonest cell.

    grid: cells along depth, height and width.
    crops: pieces of a volume.
    modality: which field is cut.
    batch: volumes at a time.
    """
    if subject.model is None and subject.name != "raw":
        raise RequirementError(f"position embeds pieces of volumes, which {subject.name} cannot")
    if not subject.held_out:
        raise RequirementError("position is measured on volumes that were held out, and there are none")
    (z, cell, place), (z_test, cell_test, place_test) = (
        _embedded(subject, part, grid, crops, modality, batch, number) for number, part in enumerate((subject.train, subject.test))
    )
    return {
        "cell": linear_probe(z, cell, z_test, cell_test, grid=GRID, seed=subject.seed),
        "place": _ridge(z, place, z_test, place_test),
        "chance": float(torch.bincount(cell_test).max() / len(cell_test)),
    }


def _embedded(
    subject: Subject, part: Any, grid: tuple[int, int, int], crops: int, modality: str, batch: int, number: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows (n, d), cells (n,) and centres (n, 3) in shares of the volume."""
    draw = generator_of(2 * subject.seed + number)
    rows, cells, centres = [], [], []
    device = torch.device("cpu") if subject.model is None else next(subject.model.parameters()).device
    for ids in part.ids.split(batch):
        x = part.batch(ids).fields[modality]
        if x.dim() != 5:
            raise RequirementError(f"position cuts volumes (items, channels, depth, height, width); these are {tuple(x.shape)}")
        side = torch.tensor([n // g for n, g in zip(x.shape[2:], grid)])
        for _ in range(crops):
            corner = torch.stack([torch.randint(0, int(s * (g - 1)) + 1, (len(x),), generator=draw) for s, g in zip(side, grid)], 1)
            piece = torch.stack([v[:, a : a + s[0], b : b + s[1], c : c + s[2]] for v, (a, b, c), s in _each(x, corner, side)])
            which = ((corner + side / 2) / side).floor().long()
            cells.append((which * torch.tensor([grid[1] * grid[2], grid[2], 1])).sum(1))
            centres.append((corner + side / 2) / (side * torch.tensor(grid)))
            if subject.model is None:
                rows.append(piece.float().flatten(1))
                continue
            with torch.no_grad():
                out = subject.model.embed(Batch({modality: piece.to(device)}, {"item": ids.to(device)}))  # type: ignore[operator]
            rows.append(out["embedding"].z.float().cpu())
    return torch.cat(rows), torch.cat(cells), torch.cat(centres)


def _each(x: Tensor, corner: Tensor, side: Tensor) -> Any:
    return ((v, place, side.tolist()) for v, place in zip(x, corner.tolist()))


def _ridge(z: Tensor, y: Tensor, z_test: Tensor, y_test: Tensor) -> float:
    """R² of a ridge regression, its penalty chosen by leave-one-out on train."""
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    scale = StandardScaler().fit(z.numpy())
    fitted = RidgeCV(alphas=(1.0, 10.0, 100.0, 1000.0)).fit(scale.transform(z.numpy()), y.numpy())
    return float(fitted.score(scale.transform(z_test.numpy()), y_test.numpy()))
