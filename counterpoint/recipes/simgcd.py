"""SimGCD: a classifier over old and new classes, taught by the few labels and by its own sharper predictions of another view.

Wen et al., "Parametric Classification for Generalized Category Discovery: A Baseline Study", ICCV 2023.
L = (1 − λ) (L_con + L_distil + ε L_even) + λ (L_sup + L_class):  InfoNCE of all items, self-distilled pseudo-labels, the mean prediction
even, SupCon and cross-entropy of the items with a label. Logits are cosines with one direction per class; half of a batch has labels.
There the backbone is pre-trained and InfoNCE has the temperature 1; here it starts anew, which needs a lower one, and the classes wait for
the contrasts.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, pairs, terms
from counterpoint.core import values
from counterpoint.core.options import NotNegative, Positive, Share, Whole, use
from counterpoint.core.recipe import Contrast, Recipe, Spec, Stage, Term, Update
from counterpoint.core.registry import get, method


@method(baseline="simclr")
def simgcd(
    spec: Spec,
    *,
    label: str = "label",
    new: Whole = 5,
    supervision: Share = 0.35,
    even: NotNegative = 2.0,
    temperature: Positive = 0.2,
    warmup: Share = 0.3,
) -> Recipe:
    """A classifier over old and new classes.

    label: the column of the labels 0 … c − 1, −1 where there is none.
    new: classes without labels.
    supervision: λ, weight of what labels say; the rest has 1 − λ.
    even: ε, weight of the even mean prediction; lower for skewed classes.
    temperature: of the contrast of all items.
    warmup: share of the run in which the two contrasts learn alone; 0 for a backbone that is pre-trained, as published.
    """
    known = use(pairs.same, key=label, own=False, unknown="ignored")
    sharp = use(values.linear, start=0.07, end=0.04, first=warmup, last=warmup + 0.15 * (1 - warmup))
    objective = {
        "contrast": Contrast(use(pairs.same), use(losses.info_nce, temperature=temperature), weight=1 - supervision),
        "labelled": Contrast(known, use(losses.supervised, temperature=0.07), weight=supervision),
        "classified": Term(use(terms.classified, label=label), weight=supervision),
        "distilled": Term(use(terms.pseudo_labels, teacher_temperature=sharp), weight=1 - supervision),
        "even": Term(use(terms.even_prediction), weight=(1 - supervision) * even),
    }
    first = Stage("contrast", warmup, {"updates": (Update(terms=("contrast", "labelled")),)})
    return (
        get("simclr")(spec)
        .at("data", use(data.half_labelled, column=label))
        .at("encoder.latent", use(encoders.classes.classes, label=label, new=new))
        .at("objective", objective)
        .at("stages", (first, Stage("classes", 1 - warmup)) if 0 < warmup < 1 else ())
    )
