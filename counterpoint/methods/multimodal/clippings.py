"""CLIPPINGS: link records by one vector made of a picture and its text, aligned without labels first, then gathered by known entities.

Arora et al., "Linking Representations with Multimodal Contrastive Learning", 2023.
First CLIP on the records' own pairs; then e_i = unit(w f(I_i) + (1 − w) g(t_i)), f and g of length one, and SupCon on e (n, d):
L_i = −1/|P_i| Σ_{p in P_i} log( exp(e_i · e_p / t) / Σ_{a ≠ i} exp(e_i · e_a / t) ), P_i the records of i's entity in the batch. A batch
holds groups of entities that are nearest to each other under the current model, embedded anew every pass (once in the paper's code).
Changes to CLIP: the embedding is pooled, entities are a term of their own, the run has two stages, the second with other batches.
"""

from __future__ import annotations

from counterpoint import clustering, data, losses, pairs
from counterpoint.core.options import Count, Positive, Share, use
from counterpoint.core.recipe import Claim, Contrast, Recipe, Round, Spec, Stage
from counterpoint.core.registry import get, method


@method(paper=14, baseline="clip", kinds="paired")
def clippings(
    spec: Spec,
    *,
    label: str = "label",
    weight: Share = 0.5,
    supervised: Share = 0.5,
    hard: bool = True,
    nearest: Count = 3,
    each: Count = 3,
    temperature: Positive = 0.1,
) -> Recipe:
    """Pooled embeddings, gathered by entity after their alignment.

    label: the column of entities; records whose entity is unknown take part in the alignment only.
    weight: w, of the first modality; the others share the rest.
    supervised: share of the run that learns from entities; 0 is the self-supervised variant.
    hard: whether batches of that share hold entities that are near each other, or any records.
    nearest: entities in a group, an item's own and those nearest to it.
    each: records of an entity in a group.
    temperature: t of the contrast of entities.
    """
    recipe = get("clip")(spec)
    first, *others = spec.modalities
    aligned = list(recipe.objective)
    entity = Contrast(use(pairs.same, key=label), use(losses.supervised, temperature=temperature), anchors="pooled", candidates="pooled")
    recipe = recipe.at("objective", {**recipe.objective, "entity": entity})
    recipe = recipe.at("encoder.pool", {first: weight, **{name: (1 - weight) / len(others) for name in others}})
    changes: dict[str, object] = {f"objective.{name}.weight": 0.0 for name in aligned}
    if hard:
        changes["data"] = use(data.near_classes, column=label, each=each)
        changes["rounds"] = (Round(use(clustering.nearest_classes, column=label, k=nearest)),)
    alone, gathered = Stage("pairs", 1 - supervised, {"objective.entity.weight": 0.0}), Stage("entities", supervised, changes)
    return recipe.at("stages", tuple(stage for stage in (alone, gathered) if stage.share > 0))


CLAIM = Claim(
    data="product_labels[1200]",
    protocol="linkage",
    metric="accuracy",
    settings={
        "epochs": 16,
        "batch": 72,
        "lr": 3e-3,
        "views.transforms": None,
        "encoder.backbones.image.channels": (16, 32, 64),
        "encoder.backbones.text.width": 128,
    },
    arms={
        "baseline": "clip",
        "image only": {"weight": 1.0},
        "text only": {"weight": 0.0},
        "any batches": {"hard": False},
    },
    paper="Japanese firms, noisy OCR, accuracy: self-supervised image 0.769, text 0.740, both 0.845; supervised 0.924, 0.790, 0.937",
)
