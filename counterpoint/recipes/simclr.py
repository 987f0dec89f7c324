"""SimCLR: two views of an item are each other's positive, all other items of the batch are negatives.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
L_i = −s_ip / t + log Σ_{j ≠ i} exp(s_ij / t),   s = cosine similarity of the projections, p = the other view of item i.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, pairs, views
from counterpoint.core.options import Count, Positive, use
from counterpoint.core.recipe import Contrast, Recipe, Spec
from counterpoint.core.registry import method


@method()
def simclr(spec: Spec, *, temperature: Positive = 0.2, width: Count = 128) -> Recipe:
    """Two views, InfoNCE over the batch.

    temperature: softmax temperature, > 0.
    width: width of the projection.
    """
    return Recipe(
        data=use(data.shuffled),
        views=use(views.two, transform=views.default(spec)),
        encoder=use(encoders.network, backbone=encoders.default(spec), projector=use(encoders.heads.mlp, width=width)),
        objective={"contrast": Contrast(use(pairs.same), use(losses.info_nce, temperature=temperature))},
    )
