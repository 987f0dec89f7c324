"""CLIP: two kinds of observation of the same item are each other's positive, across two encoders.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
L = ½ (CE over rows + CE over columns) of s_ij · exp(scale),   s = cosine of modality a's item i and modality b's item j, scale learned.
With more than two modalities, every other one is aligned with the first.
"""

from __future__ import annotations

from counterpoint import data, encoders, losses, pairs, views
from counterpoint.core.options import Count, Positive, use
from counterpoint.core.recipe import Contrast, Recipe, Spec
from counterpoint.core.registry import method


@method(kinds="paired")
def clip(spec: Spec, *, temperature: Positive = 0.07, width: Count = 128) -> Recipe:
    """Cross-modal InfoNCE in both directions with a learned scale.

    temperature: softmax temperature at the start, > 0; it is learned.
    width: width of the space that the modalities share.
    """
    first, *others = spec.modalities
    objective = {}
    for other in others:
        for anchors, candidates in ((first, other), (other, first)):
            objective[f"{anchors}_to_{candidates}"] = Contrast(
                use(pairs.same),
                use(losses.info_nce, temperature=1.0),
                anchors=anchors,
                candidates=candidates,
                scale="scale",
                weight=0.5 / len(others),
            )
    backbones = {name: encoders.default(modality) for name, modality in spec.modalities.items()}
    weak = {name: views.default(modality, strength="weak") for name, modality in spec.modalities.items()}
    return Recipe(
        data=use(data.shuffled),
        views=use(views.modalities, transforms=weak),
        encoder=use(encoders.towers, backbones=backbones, projector=use(encoders.heads.linear, width=width), temperature=temperature),
        objective=objective,
    )
