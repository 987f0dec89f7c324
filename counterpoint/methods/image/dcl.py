"""Decoupled contrastive learning: InfoNCE without the positive in its denominator, so that small batches learn as well.

Yeh et al., "Decoupled Contrastive Learning", ECCV 2022.
L_i = −w_i s_ip / t + log Σ_{j not in {i, p}} exp(s_ij / t),   s = cosine similarity, p = the other view of item i.
w = 1, or the von Mises–Fisher weights 2 − B · softmax_i(s_ip / σ) over the batch (DCLW), whose mean is 1.
"""

from __future__ import annotations

from counterpoint import losses
from counterpoint.core.options import Positive, use
from counterpoint.core.recipe import Claim, Recipe, Spec
from counterpoint.core.registry import get, method


@method(paper=62, baseline="simclr")
def dcl(spec: Spec, *, temperature: Positive = 0.1, weighted: bool = False) -> Recipe:
    """Decouple the positive from the denominator.

    temperature: softmax temperature, > 0.
    weighted: von Mises–Fisher weights on the positives (DCLW).
    """
    return get("simclr")(spec).at("objective.contrast.loss", use(losses.decoupled, temperature=temperature, weighted=weighted))


CLAIM = Claim(
    data="cifar10[2000]",
    metric="knn",
    read={"size": 16},
    settings={"epochs": 15, "batch": 32, "lr": 2e-3, "encoder.backbone.channels": (16, 32, 64)},
    arms={
        "baseline": {"objective.contrast.loss": "losses.info_nce", "objective.contrast.loss.temperature": 0.1},
        "weighted": {"objective.contrast.loss.weighted": True},
    },
    paper="+6.4 points of top-1 over SimCLR on ImageNet-1K at batch 256, 200 epochs (68.2 %)",
)
