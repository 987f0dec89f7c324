"""Hydra: any two classes may be a positive pair, compared in a subspace that a gate opens for that pair of classes.

Wu et al., "Rethinking Positive Pairs in Contrastive Learning", 2024 (later SimLAP).
s_ij = a ⟨z_i ⊙ g² , z_j⟩,  g = sigmoid(MLP((E[y_i] + E[y'_i]) / 2)),  y' = the classes of the batch, shuffled, z of length 1, a learned;
P(i) = {j : y_j = y'_i},  negatives = {j : y_j not in {y_i, y'_i}},  L_i = mean_p −log( e^{s_ip} / (e^{s_ip} + Σ_negatives e^{s_ij}) ).
Changes: views add the partner class, the encoder a gate, the contrast its rows, pairs and loss. The gate's MLP has no batch norm, so that a
gate depends on its two classes alone.
"""

from __future__ import annotations

from typing import Literal

from counterpoint import encoders, losses, pairs
from counterpoint.core import similarity
from counterpoint.core.options import Positive, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Spec
from counterpoint.core.registry import get, method
from counterpoint.views.partners import partnered


@method(paper=34, baseline="sup_con")
def hydra(
    spec: Spec,
    *,
    label: str = "label",
    choice: Literal["arbitrary", "distinct", "identical"] = "arbitrary",
    opened: bool = False,
    temperature: Positive = 0.1,
) -> Recipe:
    """Arbitrary positives in gated subspaces.

    label: the column of the classes.
    choice: which class an item is paired with: any of the batch, another one, or its own.
    opened: all gates 1, the control: without gates, arbitrary positives pull all classes together.
    temperature: 1 / a at the start.
    """
    contrast = Contrast(
        use(pairs.same, key="partner", other=label, exclude=label),
        use(losses.info_nce, temperature=1.0, several="each"),
        anchors="gated",
        candidates="unit",
        similarity=use(similarity.dot),
        scale="scale",
    )
    recipe = get("sup_con")(spec, label=label)
    return (
        recipe.at("views", use(partnered, views=recipe.views, key=label, choice=choice))
        .at("encoder.latent", use(encoders.latent.gate, key=label, opened=opened, temperature=temperature))
        .at("objective", {"contrast": contrast})
    )


CLAIM = Claim(
    data="cifar10[2000]",
    metric="linear",
    read={"size": 16},
    settings={"epochs": 15, "batch": 256, "lr": 2e-3, "encoder.backbone.channels": (16, 32, 64)},
    arms={"baseline": "sup_con", "simclr": "simclr", "no gate": {"encoder.latent.opened": True}},
    paper="CIFAR-10, 50 epochs: 90.8 with gates, SupCon 89.9, arbitrary pairs without a gate 25.3",
)
