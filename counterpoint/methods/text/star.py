"""STAR: texts of one author are each other's positives, many authors and several texts of each in a batch.

Huertas-Tato et al., "Understanding writing style in social media with a supervised contrastively pre-trained transformer", 2023.
L_i = −1/|P_i| Σ_{p in P_i} log( exp(s_ip / t) / Σ_{j ≠ i} exp(s_ij / t) ),   P_i the other texts by the author of i, s the cosine of
z = W h + b. The published code means to learn the scale 1 / t, but clamps it from below at 100, where it stays: here t is an option.
Its batches of 1,024 authors × 16 texts go through in pieces: --set effective_batch does that.
Changes to SupCon: batches of so many texts by so many authors, each text as it is, a linear projector.
"""

from __future__ import annotations

from counterpoint import data, encoders, views
from counterpoint.core.options import Count, Positive, use
from counterpoint.core.recipe import Claim, Recipe, Spec
from counterpoint.core.registry import get, method


@method(paper=24, baseline="sup_con")
def star(spec: Spec, *, author: str = "label", each: Count = 4, temperature: Positive = 0.07, width: Count = 128) -> Recipe:
    """Who wrote it, by contrast.

    author: the column of authors.
    each: texts of an author in a batch (16 in the paper).
    temperature: t, > 0; 0.01 in the published runs.
    width: of the space that is contrasted.
    """
    whole = use(views.plain)
    return (
        get("sup_con")(spec, label=author, temperature=temperature)
        .at("data", use(data.grouped, column=author, each=each))
        .at("views", use(views.multi_crop, global_transform=whole, local_transform=whole, globals=1, locals=0))
        .at("encoder.projector", use(encoders.heads.linear, width=width))
    )


CLAIM = Claim(
    data="clinc150[1500]",
    metric="knn",
    settings={"epochs": 8, "batch": 128, "lr": 2e-3},
    arms={
        "baseline": "simclr",
        "sup_con": {"method": "sup_con", "temperature": 0.07},
        "two of each": {"each": 2},
    },
    paper="80 % of up to 1,616 authors known by 8 texts of 512 words each (Reddit), competitive without training on PAN (abstract)",
    note="No set with authors is at hand: the intents of short questions stand in their place, the same ones in training and test.",
)
