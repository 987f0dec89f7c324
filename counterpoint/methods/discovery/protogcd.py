"""ProtoGCD: old and new classes share one set of directions, learned from pseudo-labels of which more and more are made hard.

Ma et al., "ProtoGCD: Unified and Unbiased Prototype Learning for Generalized Category Discovery", IEEE TPAMI 2025.
L = (1 − λ) (L_distil + 2 L_even + β L_apart + L_con) + λ (L_class + L_sup),
L_distil = −Σ_k q_ik^a log softmax(l_i^b / 0.1)_k, l = cos(h, w), q one-hot for the ⌊ρ B⌋ rows whose two highest probabilities differ
most, softmax(l / 0.05) for the others, ρ from 0 to 1;  L_even = Σ_k p̄_k log p̄_k + log K;
L_apart = mean_k log mean_{j ≠ k} exp(cos(w_k, w_j) / 0.1).
Changes to SimGCD: hard labels and a fixed teacher's temperature in the distillation, and the term that holds classes apart.
"""

from __future__ import annotations

from counterpoint import terms
from counterpoint.core import values
from counterpoint.core.options import NotNegative, Positive, Share, Whole, use
from counterpoint.core.recipe import Claim, Recipe, Spec, Term
from counterpoint.core.registry import get, method


@method(paper=21, baseline="simgcd")
def protogcd(
    spec: Spec,
    *,
    label: str = "label",
    new: Whole = 5,
    supervision: Share = 0.35,
    even: NotNegative = 2.0,
    apart: NotNegative = 0.1,
    ramp: Share = 0.5,
    temperature: Positive = 0.2,
    warmup: Share = 0.3,
) -> Recipe:
    """Confident pseudo-labels become hard, classes are held apart.

    label: the column of the labels 0 … c − 1, −1 where there is none.
    new: classes without labels.
    supervision: λ, weight of what labels say; the rest has 1 − λ.
    even: weight of the even mean prediction; lower for skewed classes.
    apart: β, weight of the distance between classes.
    ramp: share of the run, after the warm-up, in which pseudo-labels become hard; then all are.
    temperature: of the contrast of all items.
    warmup: share of the run in which the contrasts learn alone; 0 for a backbone that is pre-trained, as published.
    """
    recipe = get("simgcd")(spec, label=label, new=new, supervision=supervision, even=even, temperature=temperature, warmup=warmup)
    growing = use(values.linear, start=0.0, end=1.0, first=warmup, last=warmup + (1 - warmup) * ramp)
    distilled = use(terms.pseudo_labels, teacher_temperature=0.05, hard=growing)
    return recipe.at("objective.distilled.compute", distilled).at(
        "objective.apart", Term(use(terms.apart), weight=(1 - supervision) * apart)
    )


CLAIM = Claim(
    data="mnist_discovery[1000]",
    protocol="discovery",
    options={"most": 14},
    metric="all",
    settings={"epochs": 15, "batch": 128, "lr": 3e-3, "encoder.backbone.channels": (16, 32, 64), "encoder.backbone.stem": 16},
    arms={
        "hard at once": {"ramp": 0.0},
        "not even": {"even": 0.0},
        "contrast alone": {"method": "simclr"},
    },
    paper="state of the art among methods of category discovery on generic and fine-grained sets (no figures in the abstract)",
    note="The paper starts from a pre-trained backbone, this from nothing. Tried on seed 7 with 25 epochs, all: SimGCD 0.73, "
    "ProtoGCD 0.70, hard at once 0.71, not even 0.44, SimCLR with k-means guided by the labels 0.79; with a rate of 1e-3 both stay "
    "below 0.6. What decides is the even prediction, not when labels become hard. In so few steps the classifiers have not caught up "
    "with k-means on the contrast alone; the schedule that would do so was not within the budget.",
)
