"""Feature transformation: MoCo with positives pushed apart along their difference and negatives replaced by mixtures of them.

Zhu et al., "Improving Contrastive Learning by Visualizing Feature Transformation", ICCV 2021.
q' = λ q + (1 − λ) k,  k' = λ k + (1 − λ) q,  λ = 1 + Beta(a, a);  c' = μ c + (1 − μ) c_r,  μ ~ Beta(b, b), r a random permutation;
L = InfoNCE of q' against k' and c'.  For unit vectors q'·k' = S − 2 λ (λ − 1)(1 − S), so that the pair is harder.
Changes: the loss, and rows that a queue does not hold yet are ignored: nothing random is mixed.
The queue keeps the keys as they are.
"""

from __future__ import annotations

from typing import Literal

from counterpoint import losses
from counterpoint.core.options import Positive, use
from counterpoint.core.recipe import Claim, Recipe, Spec
from counterpoint.core.registry import get, method


@method(paper=63, baseline="moco")
def feature_transformation(
    spec: Spec,
    *,
    positive: Positive | None = 2.0,
    negative: Positive | None = 1.6,
    normalised: bool = False,
    per: Literal["step", "row"] = "step",
    temperature: Positive = 0.2,
) -> Recipe:
    """Extrapolated positives, interpolated negatives.

    positive: a of the Beta distribution of λ; none leaves positives as they are.
    negative: b of that of μ; none leaves negatives as they are.
    normalised: whether transformed rows are made unit vectors again; without, part of the effect is one of temperature.
    per: one λ and μ for the "step", or for each "row".
    temperature: softmax temperature, > 0.
    """
    loss = use(losses.transformed, temperature=temperature, positive=positive, negative=negative, normalised=normalised, per=per)
    recipe = get("moco")(spec).at("objective.contrast.loss", loss)
    return recipe.at("objective.contrast.pairs.unknown", "ignored")


CLAIM = Claim(
    data="cifar10[2000]",
    metric="knn",
    read={"size": 16},
    settings={"epochs": 10, "batch": 128, "lr": 2e-3, "encoder.backbone.channels": (16, 32, 64)},
    arms={
        "baseline": "moco",
        "positives only": {"objective.contrast.loss.negative": None},
        "negatives only": {"objective.contrast.loss.positive": None},
        "interpolated positives": {"objective.contrast.loss.extrapolate": False},
    },
    paper="ImageNet-1K linear 60.6 -> 61.9 (MoCo v1) and 67.5 -> 69.6 (v2); interpolating positives hurts",
    note="Extrapolated negatives do no harm (0.351), extrapolated positives do (0.330): at this size positives are not too easy, and "
    "making them harder takes signal away. Interpolating them is worse than leaving them, as the paper says (0.339).",
)
