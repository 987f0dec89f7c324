"""Similarities at the speed of the matrix product: scores, relations, pairs, and row statistics with exact gradients.

    scores = similarity.cosine(anchors, candidates).divide(0.1)              # (n, m), never made
    pairs = Pairs(Relation.index(partner), Relation.all().without(Relation.itself()), (n, m))
    loss = similarity.contrast(scores, pairs)                                # softplus(negatives_lse − positives_lse)

Tiles of the scores are made, used and dropped, forward and backward; extra memory grows with n + m and with one tile. Where anchors
are the candidates (the same tensor object) only the upper triangle is computed. Everything is float32 at least, also under autocast.
"""

from counterpoint.core.similarity.contrasts import contrast, two_way_contrast
from counterpoint.core.similarity.precision import ln
from counterpoint.core.similarity.relation import Pairs, Relation
from counterpoint.core.similarity.scores import DENSE_LIMIT, Scores, cosine, dot, learned, negative_squared_distance, unit
from counterpoint.core.similarity.statistics import (
    Top,
    candidate_count,
    candidate_weight,
    candidates_lse,
    count,
    edge_scores,
    lse,
    mean,
    negative_count,
    negatives_lse,
    positive_count,
    positive_mean,
    positive_weight,
    positives_lse,
    softmax_mean,
    sum_of,
    top_k,
    two_way_lse,
    weight,
)

__all__ = [
    "DENSE_LIMIT", "Pairs", "Relation", "Scores", "Top", "candidate_count", "candidate_weight", "candidates_lse", "contrast", "cosine",
    "count", "dot", "edge_scores", "learned", "ln", "lse", "mean", "negative_count", "negative_squared_distance", "negatives_lse",
    "positive_count", "positive_mean", "positive_weight", "positives_lse", "softmax_mean", "sum_of", "top_k", "two_way_contrast",
    "two_way_lse", "unit", "weight",
]  # fmt: skip
