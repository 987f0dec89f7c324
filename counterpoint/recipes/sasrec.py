"""SASRec: what somebody chose, one after the other, tells what comes next, by self-attention.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018; with the cross-entropy over all choices instead of one negative.
L = −log softmax_j(h · m_j)_next,   h the state at the end of a beginning of the sequence, m_j the vector of choice j.
Items are users, their text the names of what they chose, in order.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, pairs
from counterpoint.core import similarity
from counterpoint.core.options import Count, Share, use
from counterpoint.core.recipe import Contrast, Recipe, Select, Spec
from counterpoint.core.registry import method
from counterpoint.views.sequences import next_and_two


@method(baseline="simclr", kinds="text")
def sasrec(spec: Spec, *, width: Count = 64, layers: Count = 2, dropout: Share = 0.2) -> Recipe:
    """The next choice, from those before it.

    width: of the vectors.
    layers: of attention.
    dropout: share of units dropped while training.
    """
    backbone = use(encoders.sequences.sasrec, width=width, layers=layers, dropout=dropout)
    following = Contrast(
        use(pairs.same, key="next", other="product", own=False, unknown="ignored"),
        use(losses.info_nce, temperature=1.0),
        anchors=Select("h", ("plain",)),
        candidates="products",
        similarity=use(similarity.dot),
    )
    return Recipe(
        data=use(data.shuffled),
        views=use(next_and_two, transform=None),
        encoder=use(encoders.sequences.recommender, backbone=backbone),
        objective={"next": following},
    )
