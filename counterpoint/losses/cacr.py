"""Contrastive attraction and contrastive repulsion: far positives and near negatives weigh more (paper 095)."""

from __future__ import annotations

from counterpoint.core import similarity
from counterpoint.core.options import NotNegative, Part
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import cosine_only, finish, weights


def cacr(
    scores: Scores,
    pairs: Pairs,
    *,
    attraction: NotNegative | Part = 1.0,
    repulsion: NotNegative | Part = 1.0,
    positive_sharpness: NotNegative | Part = 1.0,
    negative_sharpness: NotNegative | Part = 2.0,
    through_weights: bool = True,
) -> RowLoss:
    """Two transports, added (n,): Zheng et al., "Contrastive Attraction and Contrastive Repulsion", TMLR 2023.

    L_i = α Σ_p w⁺_ip d_ip − β Σ_k w⁻_ik d_ik,   d = |a − c|² = 2 − 2s of unit vectors,
    w⁺ = softmax over the positives of t₊ d (the far ones weigh more), w⁻ = softmax over the negatives of −t₋ d (the near ones do).
    May be negative. Rows without positives or without negatives do not count. Chance: 2 (α − β).

    attraction: α ≥ 0.
    repulsion: β ≥ 0.
    positive_sharpness: t₊ ≥ 0; 0 is the plain mean over positives.
    negative_sharpness: t₋ ≥ 0; 0 is the plain mean over negatives, large is the nearest alone. As a temperature of cosines: 1 / (2 t₋).
    through_weights: whether the gradient passes through the weights too, as in the paper's small-scale code.

    Raises OptionError for scores that are not cosines: on unbounded ones repulsion diverges.
    """
    cosine_only("cacr", scores)
    _, negative, there = weights(scores, pairs)
    alpha, beta, near, far = (float(x) for x in (attraction, repulsion, positive_sharpness, negative_sharpness))  # type: ignore[arg-type]
    pull = similarity.softmax_mean(scores, pairs, over="positives", sharpness=-2 * near, through_weights=through_weights)
    push = similarity.softmax_mean(scores, pairs, over="negatives", sharpness=2 * far, through_weights=through_weights)
    return finish(alpha * (2 - 2 * pull) - beta * (2 - 2 * push), there & (negative > 0), 2 * (alpha - beta))
