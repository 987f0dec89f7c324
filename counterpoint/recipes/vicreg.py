"""VICReg: views agree, every dimension keeps its variance, dimensions are decorrelated; no negatives, no teacher.

Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization", ICLR 2022, equations 1 to 6.
L = 25 · mean squared distance + 25 · mean hinge(1 − std) + 1 · mean squared off-diagonal covariance.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, terms, views
from counterpoint.core.options import Count, NotNegative, use
from counterpoint.core.recipe import Recipe, Select, Spec, Term
from counterpoint.core.registry import method


@method(baseline="simclr")
def vicreg(
    spec: Spec, *, invariance: NotNegative = 25.0, variance: NotNegative = 25.0, covariance: NotNegative = 1.0, width: Count = 256
) -> Recipe:
    """Invariance, variance and covariance of the projections.

    invariance: weight of the distance between the views.
    variance: weight of the hinge on the standard deviations.
    covariance: weight of the off-diagonal covariances.
    width: width of the projection; wider is better here.
    """
    loss = use(losses.vicreg, invariance=invariance, variance=variance, covariance=covariance)
    paired = use(terms.paired, loss=loss, first=Select("z", views=(0,)), second=Select("z", views=(1,)))
    return Recipe(
        data=use(data.shuffled),
        views=use(views.two, transform=views.default(spec)),
        encoder=use(encoders.network, backbone=encoders.default(spec), projector=use(encoders.heads.mlp, width=width, hidden=width)),
        objective={"agree": Term(paired)},
    )
