"""SepCLR: one code holds what background and target items share, another what only targets have, and neither tells of the other.

Louiset et al., "Separating common from salient patterns with Contrastive Representation Learning", ICLR 2024.
L = A(c) + 2 U(c) + w [ A(s | target) + 2 U(s̃) + Z(s | background) ] + j J,   s̃ = s for targets, 0 for background, τ = ½,
A(u) = mean |u − u'|² / 2τ over the two views,  U(u) = log mean_{i<j} k(u_i, u_j),  k(u, v) = exp(−|u − v|² / 2τ),  Z(s) = mean |s|² / 2τ,
J = mean_i log mean_j k(c_i, c_j) k(s̃_i, s̃_j), minus the joint entropy of both codes.   c has length one, s is free: its null vector is 0.
Changes: two encoders, four kinds of terms, batches with as many background as target items.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, terms
from counterpoint.core.options import NotNegative, Positive, use
from counterpoint.core.recipe import Claim, Recipe, Select, Spec, Term
from counterpoint.core.registry import get, method


@method(paper=19, baseline="simclr")
def sepclr(
    spec: Spec,
    *,
    flag: str = "target",
    salient: NotNegative = 1000.0,
    independence: NotNegative = 10.0,
    temperature: Positive = 0.5,
) -> Recipe:
    """A common and a salient code.

    flag: the column that is 0 for background items and 1 for targets.
    salient: w, weight of all that acts on the salient code.
    independence: j, weight of the joint entropy, which keeps the codes from saying the same; 0 leaves it out.
    temperature: τ, variance of the kernel.
    """

    near = use(losses.squared_distance, temperature=temperature)
    targets = (Select("salient", (0,), {flag: 1}), Select("salient", (1,), {flag: 1}))
    objective = {
        "common": Term(use(terms.paired, loss=near, first=Select("common", (0,)), second=Select("common", (1,)))),
        "common_spread": Term(use(terms.uniformity, space="common", temperature=temperature), weight=2.0),
        "salient": Term(use(terms.paired, loss=near, first=targets[0], second=targets[1]), weight=salient),
        "salient_spread": Term(use(terms.uniformity, space="masked", temperature=temperature), weight=2 * salient),
        "null": Term(use(terms.at_zero, space=Select("salient", None, {flag: 0}), temperature=temperature), weight=salient),
        "independence": Term(use(terms.kernel_entropy, space="both", temperature=temperature), weight=independence),
    }
    return (
        get("simclr")(spec)
        .at("data", use(data.balanced, column=flag))
        .at("encoder", use(encoders.salient.common_and_salient, backbone=encoders.default(spec), flag=flag))
        .at("objective", objective)
    )


CLAIM = Claim(
    data="cifar_digits[1200]",
    protocol="leakage",
    options={"holds": {"digit": "salient", "object": "common"}, "where": {"target": 1}},
    metric="separation",
    settings={"epochs": 8, "batch": 128, "encoder.backbone.channels": (16, 32, 64), "encoder.backbone.stem": 16},
    arms={"not independent": {"independence": 0.0}},
    note="A model with one space leaks all that it tells, so that its separation is the sum of two chances, 0.24, whatever it holds. "
    "After eight epochs on 1,200 pictures SepCLR lies above it on seeds 0 and 1 (0.49, 0.38), level on seed 2; without the entropy it is "
    "at 0.26. Two further tries (more epochs, more pictures) were not within the time.",
    paper="separates common from salient patterns better than VAEs for contrastive analysis on three visual and three medical sets",
)
