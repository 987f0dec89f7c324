"""Positives against negatives, exact where positives are easy: what InfoNCE in all its forms is made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint.core.similarity.precision import full_precision
from counterpoint.core.similarity.relation import Pairs, check_shape
from counterpoint.core.similarity.scores import Scores
from counterpoint.core.similarity.small import small_contrast, small_two_way
from counterpoint.core.similarity.statistics import negatives_lse, positives_lse, two_way_lse


@full_precision
def contrast(scores: Scores, pairs: Pairs) -> Tensor:
    """softplus(N_i − P_i) = −log( e^{P_i} / (e^{P_i} + e^{N_i}) ), N, P = negatives_lse, positives_lse: (n,).

    Exact for easy positives, where the difference of a logarithm over all candidates and P loses its gradient. Rows without positives,
    and rows without negatives: 0.
    """
    check_shape(pairs.positive, scores.shape)
    value = small_contrast(scores, pairs)
    return _against(positives_lse(scores, pairs), negatives_lse(scores, pairs)) if value is None else value


@full_precision
def two_way_contrast(scores: Scores, pairs: Pairs) -> Tensor:
    """The contrast of the anchors against the candidates, then of the candidates against the anchors, as in CLIP: (n + m,).

    Many rows share one pass over the scores: about half the price of two contrasts.
    """
    check_shape(pairs.positive, scores.shape)
    both = small_two_way(scores, pairs)
    if both is not None:
        return both
    turned, back = scores.transposed(), pairs.transposed()
    value = small_contrast(scores, pairs)
    if value is not None:
        return torch.cat([value, contrast(turned, back)])
    rows, columns = two_way_lse(scores, pairs.negatives)
    return torch.cat([_against(positives_lse(scores, pairs), rows), _against(positives_lse(turned, back), columns)])


def _against(own: Tensor, others: Tensor) -> Tensor:
    counted = own != -torch.inf
    return torch.where(counted, F.softplus(others - own.masked_fill(~counted, 0.0)), 0.0)
