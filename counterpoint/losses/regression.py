"""Attraction alone: the positives' similarity, without negatives. Something else has to prevent the collapse (a teacher, a predictor)."""

from __future__ import annotations

from counterpoint.core import similarity
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import cosine_only, finish


def cosine_regression(scores: Scores, pairs: Pairs) -> RowLoss:
    """Squared distance of unit vectors (Grill et al., "Bootstrap Your Own Latent", NeurIPS 2020, equation 2), (n,).

    L_i = 2 − 2 Σ_p w_ip s_ip,   s cosine, w the positives' weights over their sum. In [0, 4]. Rows without positives do not count.
    Chance: 2.

    Raises OptionError for scores that are not cosines.
    """
    cosine_only("cosine_regression", scores)
    return finish(2 - 2 * similarity.positive_mean(scores, pairs), similarity.positive_count(pairs) > 0, 2.0)
