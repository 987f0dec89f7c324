"""CLAN: learn what is normal from normal rows alone; corrupted rows are the negatives.

Wilkie et al., "Contrastive Self-Supervised Network Intrusion Detection using Augmented Negative Pairs", 2025.
x (n, d) normal rows, x~ the same with random values in a tenth of the columns; z, z~ (n, 64) projections; d(u, v) = (1 − cos(u, v)) / 2,
L = α Σ_ij d(z_i, z_j) / #{d > ε} + (1 − α) Σ_ij max(0, m − d(z_i, z~_j)) / #{> 0}.   Anomaly score: −cos(z(x), mean of normal z).
Train it on rows that are known to be normal: `counterpoint.evaluation.protocols.anomalies` scores the held-out ones.
Changes: the second view is a negative, all rows are each other's positives, the loss, a network without batch statistics, embed = z.
"""

from __future__ import annotations

from counterpoint import encoders, losses, pairs, views
from counterpoint.core.options import Positive, Share, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Select, Spec
from counterpoint.core.registry import get, method


@method(paper=57, baseline="simclr", kinds=("table", "array"))
def clan(
    spec: Spec, *, share: Share = 0.1, spread: Positive = 1.7, margin: Share = 0.5, balance: Share = 0.5, active: bool = True
) -> Recipe:
    """Normal rows against corrupted ones.

    share: probability of a value to be corrupted; at least one of every row is. More for tables of few columns.
    spread: a: corrupted numbers are uniform in ±a deviations.
    margin: m; 0.5 asks for a right angle.
    balance: α, weight of the attraction.
    active: average over the pairs that still cost something, as published, or over all.
    """
    numeric = spec.only.info.get("numeric") if spec.kind == "table" else None
    corrupted = use(views.table.uniform, share=share, spread=spread, **({} if numeric is None else {"numeric": numeric}))
    contrast = Contrast(
        use(pairs.roles, positive=("normal",), negative=("corrupted",)),
        use(losses.active_margin, margin=margin, balance=balance, active=active),
        Select("z", views=("normal",)),
        "z",
    )
    return (
        get("simclr")(spec)
        .at("views", use(views.two, transform=use(views.plain), second=corrupted, names=("normal", "corrupted")))
        .at("encoder.backbone.norm", "none")
        .at("encoder.projector", use(encoders.heads.linear, width=64))
        .at("encoder.embed", "z")
        .at("objective", {"contrast": contrast})
    )


CLAIM = Claim(
    data="intrusions[4000]",
    protocol="anomalies",
    metric="auroc",
    settings={"epochs": 30, "batch": 500, "lr": 0.001, "weight_decay": 0.0},
    arms={
        "baseline": {
            "method": "simclr",
            "views.transform": use(views.table.uniform, share=0.1),
            "encoder.backbone.norm": "none",
            "encoder.projector": use(encoders.heads.linear, width=64),
            "encoder.embed": "z",
        },
        "all pairs": {"active": False},
    },
    paper="Lycos2017, trained on benign flows only: mean AUROC per class 0.959; SimSiam 0.907, VICReg 0.884, isolation forest 0.839",
    note="Corrupted rows as negatives are better than corrupted rows as positives, and the mean over active pairs is what does it; "
    "but the untrained encoder (0.919), an isolation forest (0.910) and the distance to the mean of raw rows (0.905) are as "
    "good: attacks in NSL-KDD lie far from the benign mean, and not where a corruption puts them.",
)
