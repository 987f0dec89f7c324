"""Contrastive attraction and repulsion: pull the far positives and push the near negatives, each by its own softmax, and add the two.

Zheng et al., "Contrastive Attraction and Contrastive Repulsion for Representation Learning", TMLR 2023.
L_i = α Σ_p w⁺_ip d_ip − β Σ_k w⁻_ik d_ik,   d = |z_i − z_j|² on the unit sphere, w⁺ = softmax_p(t₊ d), w⁻ = softmax_k(−t₋ d).
The published code takes a softmax over the negatives for each pair of views; here one over all other views, which is the same for two.
Changes: the loss; with more than two views, the views.
"""

from __future__ import annotations

from counterpoint import losses, views
from counterpoint.core.options import Count, NotNegative, use
from counterpoint.core.recipe import Claim, Recipe, Spec
from counterpoint.core.registry import get, method


@method(paper=95, baseline="simclr")
def cacr(
    spec: Spec,
    *,
    positive_sharpness: NotNegative = 1.0,
    negative_sharpness: NotNegative = 2.0,
    attraction: NotNegative = 1.0,
    repulsion: NotNegative = 1.0,
    positives: Count = 1,
) -> Recipe:
    """Weighted attraction and weighted repulsion.

    positive_sharpness: t₊; how much more a far positive weighs, 0 for all alike.
    negative_sharpness: t₋; how much more a near negative weighs, 0 for all alike (0.9 on CIFAR-10, 2 elsewhere in the paper).
    attraction: α, factor of the pull.
    repulsion: β, factor of the push.
    positives: K, positives per view; K + 1 views of every item are made (4 in the paper's tables).
    """
    loss = use(
        losses.cacr,
        positive_sharpness=positive_sharpness,
        negative_sharpness=negative_sharpness,
        attraction=attraction,
        repulsion=repulsion,
    )
    recipe = get("simclr")(spec).at("objective.contrast.loss", loss).at("objective.contrast.pairs.same_view", False)
    if positives == 1:
        return recipe
    transform = recipe.get("views.transform")
    return recipe.at("views", use(views.multi_crop, global_transform=transform, local_transform=transform, globals=positives + 1, locals=0))


CLAIM = Claim(
    data="cifar10[2000]",
    metric="knn",
    read={"size": 16},
    settings={"epochs": 10, "batch": 128, "lr": 2e-3, "encoder.backbone.channels": (16, 32, 64)},
    arms={
        "baseline": "simclr",
        "plain attraction": {"objective.contrast.loss.positive_sharpness": 0.0},
        "plain repulsion": {"objective.contrast.loss.negative_sharpness": 0.0},
        "neither": {"objective.contrast.loss.positive_sharpness": 0.0, "objective.contrast.loss.negative_sharpness": 0.0},
    },
    paper="better than the one-against-many losses on CIFAR-10/100 and STL-10, and more robust to imbalance; ImageNet linear 74.7",
)
