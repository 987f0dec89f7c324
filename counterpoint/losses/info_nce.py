"""InfoNCE, under any pairs: NT-Xent, CLIP and MoCo are this loss with other rows and pair rules."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.easy import candidates_against
from counterpoint.losses.rows import average, finish, guard, once, weights


def info_nce(
    scores: Scores,
    pairs: Pairs,
    *,
    temperature: Positive | Part = 0.1,
    several: Literal["together", "each"] = "together",
    negatives: Literal["sum", "mean"] = "sum",
) -> RowLoss:
    """The positives against the negatives, (n,): van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018.

    L_i = softplus(N_i − P_i),   N_i = log Σ_{k negative} exp(s_ik / t),   P_i = log Σ_{p positive} exp(s_ip / t)
        = −log( Σ_p exp(s_ip / t) / (Σ_p exp(s_ip / t) + Σ_k exp(s_ik / t)) )

    The softplus keeps the gradient exact where positives are easy, where the difference of two logarithms loses it. Negatives are the
    candidates that are not positive. Rows without positives do not count; a row without negatives has loss 0.
    Chance (equal scores): log(1 + weight of the negatives / weight of the positives).

    temperature: t > 0; may move over the run.
    several: "together" sums several positives inside the logarithm; "each" averages softplus(N_i − s_ip / t) over them, each against
        the negatives alone (Hydra, paper 034).
    negatives: "mean" divides the sum over the negatives by their number, so that the loss hardly depends on the batch size (cMIM,
        paper 007).
    """
    scores = scores.divide(temperature)  # type: ignore[arg-type]
    positive, negative, counted = weights(scores, pairs)
    if several == "together" and negatives == "sum":
        chance = once(pairs, ("info_nce", scores.dtype), lambda: average((negative / positive.clamp(min=1e-30)).log1p(), counted))
        return finish(similarity.contrast(scores, pairs), counted, chance)
    against = similarity.negatives_lse(scores, pairs)
    if negatives == "mean":
        against = against - similarity.ln(negative.clamp(min=1e-30))
        negative = (negative > 0).to(negative.dtype)
    if several == "each":
        alone = counted & (negative > 0)
        total = similarity.sum_of(scores.plus(-guard(against, alone)), pairs, _below, over="positives", derivative=_below_slope)
        values = torch.where(alone, total / positive.clamp(min=1e-30), 0 * total)
        return finish(values, counted, negative.log1p())
    own = guard(similarity.positives_lse(scores, pairs), counted)
    return finish(softplus(against - own), counted, (negative / positive.clamp(min=1e-30)).log1p())


def _below(x: Tensor) -> Tensor:
    return softplus(-x)


def _below_slope(x: Tensor) -> Tensor:
    return -torch.sigmoid(-x)


def neighbouring(scores: Scores, pairs: Pairs, *, temperature: Positive | Part = 1.0) -> RowLoss:
    """The weighted share of the positives among all candidates, (n,): Hu et al., "Graph-MLP", 2021, equation 4; SCGC, paper 003.

    L_i = log Σ_{j candidate} exp(s_ij / t) − log Σ_p w_ip exp(s_ip / t),   w = the weight of the relation, inside the logarithm

    Unlike `info_nce` the positives stand in the denominator too, each with weight 1 whatever its weight above. Rows without positives do
    not count. Chance (equal scores): log of the number of candidates over the weight of the positives.

    temperature: t > 0; may move over the run.
    """
    scaled = scores.divide(temperature)  # type: ignore[arg-type]
    positive, _, counted = weights(scores, pairs)
    # of positives of one weight its logarithm is a constant: what is left is exact where they are easy
    each = similarity.ln(positive.clamp(min=1e-30)) - similarity.positive_count(pairs).clamp(min=1).to(positive.dtype).log()
    values = candidates_against(scaled, pairs, similarity.positives_lse(scaled, pairs) - each, counted) - each
    everyone = similarity.candidate_weight(pairs).to(scores.dtype)
    return finish(values, counted, similarity.ln(everyone.clamp(min=1e-30)) - similarity.ln(positive.clamp(min=1e-30)))
