"""BYOL: predict the slowly moving teacher's projection of the other view; no negatives at all.

Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020, equations 2 and 3.
L_i = 2 − 2 cos(p(z_i), teacher(view' of i)),   both directions, no gradient into the teacher; momentum rises as a cosine to 1.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, pairs, views
from counterpoint.core import values
from counterpoint.core.options import Count, Share, use
from counterpoint.core.recipe import Contrast, Recipe, Spec
from counterpoint.core.registry import method


@method(baseline="simclr")
def byol(spec: Spec, *, momentum: Share = 0.98, width: Count = 128, hidden: Count = 512) -> Recipe:
    """Predictor and teacher.

    momentum: share of the teacher that stays at a step, at the start of the run.
    width: width of the projection.
    hidden: width of the predictor's hidden layer.
    """
    network = use(
        encoders.network,
        backbone=encoders.default(spec),
        projector=use(encoders.heads.mlp, width=width),
        predictor=use(encoders.heads.mlp, width=width, hidden=hidden),
        teacher=use(encoders.teacher.ema, momentum=use(values.cosine, start=momentum, end=1.0)),
    )
    contrast = Contrast(use(pairs.same), use(losses.cosine_regression), anchors="p", candidates="teacher")
    return Recipe(
        data=use(data.shuffled),
        views=use(views.two, transform=views.default(spec)),
        encoder=network,
        objective={"contrast": contrast},
    )
