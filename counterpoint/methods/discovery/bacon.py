"""BaCon: category discovery where classes are unevenly frequent; clusters estimate how frequent, and predictions are corrected by it.

Bai et al., "Towards Distribution-Agnostic Generalized Category Discovery", NeurIPS 2023.
Contrastive branch z: L = (1 − λ) InfoNCE(all) + λ/2 SupCon(labelled) + λ/2 L_soft,
L_soft = −mean_i Σ_j W_ij log p_ij / Σ_j W_ij,  W_ij = q_i · q_j,  q = mean over views of softmax(o / 0.1 − ½ log n), on all labelled and
the surest predicted items, fewer of frequent classes.   Class branch o, its own perceptron: L = (1 − λ) (L_distil + L_prior) + λ CE,
L_prior = Σ_k p_k log p_k + log K with p ∝ p̄ / n^1.1.   n: sizes of K clusters of h, matched to the labels, every few epochs.
Changes to SimGCD: the classes get a branch, the mean prediction a prior, the contrast soft positives, the run a round that estimates n.
"""

from __future__ import annotations

from counterpoint import clustering, losses, pairs, terms
from counterpoint.core import values
from counterpoint.core.options import Count, NotNegative, Positive, Share, Whole, use
from counterpoint.core.recipe import Claim, Recipe, Round, Spec, Term
from counterpoint.core.registry import get, method


@method(paper=118, baseline="simgcd")
def bacon(
    spec: Spec,
    *,
    label: str = "label",
    new: Whole = 5,
    supervision: Share = 0.35,
    balance: NotNegative = 0.5,
    adjustment: NotNegative = 0.5,
    every: Count = 5,
    branch: Count = 128,
    temperature: Positive = 0.2,
    warmup: Share = 0.3,
) -> Recipe:
    """Soft positives from debiased predictions, a prior from clusters.

    label: the column of the labels 0 … c − 1, −1 where there is none.
    new: classes without labels.
    supervision: λ, weight of what labels say; the rest has 1 − λ.
    balance: β; how much rarer the items of frequent classes are kept for the soft contrast.
    adjustment: α; how much of the prior is taken from predictions.
    every: epochs between two estimates of the prior.
    branch: width of the perceptron of the classes.
    temperature: of the contrast of all items.
    warmup: share of the run in which the contrasts learn alone; 0 for a backbone that is pre-trained, as published.
    """
    soft = use(
        terms.debiased,
        pairs=use(pairs.product, key="q"),
        loss=use(losses.supervised, temperature=0.07),
        label=label,
        adjustment=adjustment,
        balance=balance,
    )
    first = warmup + 0.05 * (1 - warmup)  # until then predictions are too young to give positives
    estimate = use(clustering.estimate_prior, classes=max(spec.columns.get(label, (1, 0.0))[0] + new, 1), label=label)
    return (
        get("simgcd")(spec, label=label, new=new, supervision=supervision, even=1.0, temperature=temperature, warmup=warmup)
        .at("encoder.latent.branch", branch)
        .at("objective.even.compute", use(terms.even_prediction, prior="prior", power=1.1))
        .at("objective.labelled.weight", use(values.step, before=supervision, after=supervision / 2, share=first))
        .at("objective.soft", Term(soft, weight=use(values.step, before=0.0, after=supervision / 2, share=first)))
        .at("rounds", (Round(estimate, when=use(values.every, epochs=every)),))
    )


CLAIM = Claim(
    data="mnist_long_tail[1200]",
    protocol="discovery",
    options={"by": "plain"},
    metric="balanced",
    settings={"epochs": 15, "batch": 128, "lr": 3e-3, "encoder.backbone.channels": (16, 32, 64), "encoder.backbone.stem": 16},
    arms={
        "even prior": {"objective.even.compute.prior": None, "adjustment": 0.0},
        "all rows kept": {"balance": 0.0},
        "contrast alone": {"method": "simclr"},
    },
    paper="better than imbalanced semi-supervised learning and than category discovery where classes are long-tailed (no figures given)",
    note="The prior is no help where clusters are poor: their shares are off by 0.23 at the end (half the sum of the differences), by "
    "0.16 with SimGCD, which has none. A published run starts from a transformer pre-trained on ImageNet, of which two blocks "
    "are trained.",
)
