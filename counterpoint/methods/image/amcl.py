"""AMCL: several projection heads, and in each a learned temperature for every pair, kept sane by a penalty.

Wang et al., "Adaptive Multi-head Contrastive Learning", ECCV 2024.
L_i = Σ_c −s_ip / τ_ip + s_ik / τ_ik + β (Ω(τ_ip) − Ω(τ_ik)),  k = the hardest negative in head c,  Ω(τ) = m/2 log τ + 1/τ,
τ(a, b) = low + (high − low) sigmoid(φ_c([z_a ; z_b])).  With more hardest negatives the maximum becomes a log-sum-exp (our smooth form).
Changes: the projector becomes several heads with a network on pairs each, and the objective their sum.
"""

from __future__ import annotations

from counterpoint import encoders, losses, pairs, terms
from counterpoint.core.options import Count, NotNegative, Positive, use
from counterpoint.core.recipe import Claim, Recipe, Spec, Term
from counterpoint.core.registry import get, method


@method(paper=121, baseline="simclr")
def amcl(
    spec: Spec,
    *,
    heads: Count = 3,
    penalty: NotNegative = 0.1,
    low: Positive = 0.05,
    high: Positive = 2.0,
    hardest: Count = 64,
    detach: bool = False,
) -> Recipe:
    """Several heads, one temperature per pair.

    heads: number of projection heads.
    penalty: β, weight of Ω.
    low: lowest temperature (1e-5 in the paper, where few pairs dominate).
    high: highest temperature.
    hardest: negatives per anchor and head; 1 is the paper's maximum, which collapses easily at the start.
    detach: whether the temperatures' network sees the rows as constants.
    """
    loss = use(losses.adaptive, penalty=penalty, low=low, high=high, hardest=hardest)
    return (
        get("simclr")(spec)
        .at("encoder.projector", None)
        .at("encoder.latent", use(encoders.latent.heads, count=heads, detach=detach))
        .at("objective", {"heads": Term(use(terms.adaptive_heads, pairs=use(pairs.same), loss=loss))})
    )


CLAIM = Claim(
    data="cifar10[2000]",
    metric="knn",
    read={"size": 16},
    settings={"epochs": 10, "batch": 256, "lr": 2e-3, "encoder.backbone.channels": (16, 32, 64)},
    arms={
        "baseline": "simclr",
        "one head": {"encoder.latent.count": 1},
        "hardest negative only": {"objective.heads.compute.loss.hardest": 1},
        "no penalty": {"objective.heads.compute.loss.penalty": 0.0},
    },
    paper="consistent gains over SimCLR, MoCo and Barlow Twins, larger with more kinds of augmentation",
    note="What the parts do, seed 7, 10 epochs, kNN: temperatures held at 0.2, one head and all negatives 0.357, which is DCL (0.360 "
    "with that projector, SimCLR 0.364); with three heads 0.332; of the 64 hardest negatives only 0.327; with learned "
    "temperatures 0.339, and 0.246 after 25 epochs. By then the hardest negatives have a cosine of 0.998 to their anchor: for "
    "the loss it is cheaper to raise their temperature than to push them away. The network on pairs seeing rows as constants "
    "(0.322) or a penalty of 1 (0.322) slows that, and no more.",
)
