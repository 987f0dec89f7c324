"""SupCon: all items of the same class are positives of each other.

Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equation 2 (mean outside the logarithm).
L_i = −1/|P_i| Σ_{p in P_i} log( exp(s_ip / t) / Σ_{j ≠ i} exp(s_ij / t) ),   P_i = the other rows with the label of i.
"""

from __future__ import annotations

from counterpoint import losses, pairs
from counterpoint.core.options import Positive, use
from counterpoint.core.recipe import Contrast, Recipe, Spec
from counterpoint.core.registry import get, method


@method(baseline="simclr")
def sup_con(spec: Spec, *, temperature: Positive = 0.1, label: str = "label") -> Recipe:
    """Positives by a column of the data.

    temperature: softmax temperature, > 0.
    label: the column whose equal values are positives; unknown values match nothing but the item's own views.
    """
    contrast = Contrast(use(pairs.same, key=label), use(losses.supervised, temperature=temperature))
    return get("simclr")(spec).at("objective", {"contrast": contrast})
