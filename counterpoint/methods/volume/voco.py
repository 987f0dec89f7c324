"""VoCo: a crop of a volume learns where it lies, by being as similar to each cell of a grid as it overlaps it.

Wu et al., "VoCo: A Simple-yet-Effective Volume Contrastive Learning Framework for 3D Medical Image Analysis", CVPR 2024.
L = −Σ_ij y_ij log(1 − |y_ij − l_ij|) / Σ_ij y_ij + mean_{y_ij = 0} l_ij² + mean_{j<k} relu(cos(b_j, sg b_k))²,
l_ij = ½ [relu(cos(x_i, b'_j)) + relu(cos(x'_i, b_j))],  x crops, b cells, a prime for a moving average, y_ij the share of x_i in b_j.
The published code also mirrors crops, which makes left and right the same; here pieces change in intensity only.
Changes: the views are cells and crops of one volume, the encoder gets a teacher, the objective compares inside a volume alone.
"""

from __future__ import annotations

from counterpoint import encoders, terms, views
from counterpoint.core.options import Count, NotNegative, Share, use
from counterpoint.core.recipe import Claim, Recipe, Spec, Term
from counterpoint.core.registry import get, method
from counterpoint.views.grid import grid_and_crops


@method(paper=88, baseline="simclr", kinds="volume")
def voco(
    spec: Spec,
    *,
    grid: tuple[Count, Count, Count] = (2, 2, 2),
    crops: Count = 4,
    hard: bool = False,
    apart: NotNegative = 1.0,
    momentum: Share = 0.9,
) -> Recipe:
    """Position by overlap.

    grid: cells along depth, height and width; (1, 4, 4) in the paper.
    crops: random crops of a volume.
    hard: the cell with the largest share is the only positive, the control.
    apart: weight of the term that holds cells apart.
    momentum: share of the teacher that stays at a step.
    """
    recipe = get("simclr")(spec)
    pieces = use(grid_and_crops, grid=grid, crops=crops, transform=use(views.volume.intensity))
    return (
        recipe.at("views", pieces)
        .at("encoder.teacher", use(encoders.teacher.ema, momentum=momentum))
        .at("objective", {"placed": Term(use(terms.placed, hard=hard)), "apart": Term(use(terms.cells_apart), weight=apart)})
    )


CLAIM = Claim(
    data="phantoms[160]",
    protocol="position",
    metric="cell",
    settings={"epochs": 20, "batch": 16, "encoder.backbone.channels": (8, 16, 32), "encoder.backbone.stem": 8},
    arms={"hard labels": {"hard": True}, "cells not apart": {"apart": 0.0}},
    paper="better Dice and accuracy than training from scratch and than earlier self-supervision on six downstream tasks",
    note="On made bodies and, as a further try, on shapes of adrenal glands from CT scans, judged by position, not by segmentation. "
    "SimCLR unlearns position (the untrained encoder has 0.73), VoCo learns it, but the raw voxels of a piece tell it still "
    "better (0.89). Hard labels, and cells not held apart, do as well: the softness of the labels made no difference here. "
    "With 40 epochs and seeds 0 and 1: SimCLR 0.76 and 0.71, VoCo 0.86 and 0.86, hard labels 0.87 and 0.88, cells not apart "
    "0.88 and 0.87.",
)
