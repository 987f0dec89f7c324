"""Scores as logarithms of a density ratio log p(c | a) / p(c): learned by telling pairs from chance."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn.functional import softplus

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, weights


def density_ratio(
    scores: Scores,
    pairs: Pairs,
    *,
    temperature: Positive | Part = 1.0,
    noise: Positive | None = None,
    measure: Literal["logistic", "exponential", "square"] = "logistic",
) -> RowLoss:
    """Noise-contrastive estimation of x = s / t, whose optimum is log p(c | a) / p(c), (n,).

    logistic:     mean_p softplus(log ν − x) + ν · mean_k softplus(x − log ν)      Gutmann & Hyvärinen, AISTATS 2010; Ma & Collins 2018
    exponential:  −mean_p x + mean_k exp(x) − 1                                     Nguyen et al., IEEE Trans. Inf. Theory 2010
    square:       −mean_p exp(x) + ½ mean_k exp(2x) + ½                             least squares, Kanamori et al., JMLR 2009

    Unlike InfoNCE, whose scores are free up to a constant of the anchor, these are anchored: exp(x) averages 1 over the negatives.
    Negatives stand for chance, so a rule that keeps duplicates among them is right here. Rows without positives or negatives do not
    count. Chance (x = 0, a ratio of 1).

    temperature: t > 0; may move over the run.
    noise: ν, negatives per positive in the comparison; the number a row has where not given (`logistic` only).
    measure: which proper divergence is minimised; "exponential" and "square" grow fast with the scores (above
        exp(30) on a straight line), "logistic" does not.
    """
    scaled = scores.divide(temperature)  # type: ignore[arg-type]
    positive, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    size = negative.clamp(min=1e-30)
    if measure == "logistic":
        ratio = size / positive.clamp(min=1e-30) if noise is None else torch.full_like(size, noise)
        shifted = scaled.plus(-torch.where(counted, ratio, 1.0).log())
        pull = similarity.sum_of(shifted, pairs, _yes, over="positives", derivative=_yes_slope) / positive.clamp(min=1e-30)
        push = similarity.sum_of(shifted, pairs, softplus, derivative=torch.sigmoid) / size
        return finish(pull + ratio * push, counted, ratio.log1p() + ratio * (1 / ratio).log1p())
    if measure == "exponential":
        pull = similarity.positive_mean(scaled, pairs)
        push = similarity.sum_of(scaled, pairs, _exp, derivative=_exp_slope) / size
        return finish(push - pull - 1, counted, 0.0)
    pull = similarity.sum_of(scaled, pairs, _exp, over="positives", derivative=_exp_slope) / positive.clamp(min=1e-30)
    push = similarity.sum_of(scaled.times(2.0), pairs, _exp, derivative=_exp_slope) / size
    return finish(push / 2 - pull + 0.5, counted, 0.0)


def _yes(x: torch.Tensor) -> torch.Tensor:
    return softplus(-x)


def _yes_slope(x: torch.Tensor) -> torch.Tensor:
    return -torch.sigmoid(-x)


def _exp(x: torch.Tensor) -> torch.Tensor:
    """exp(x), continued along its tangent above 30."""
    return x.clamp(max=30.0).exp() * (1 + (x - 30.0).clamp(min=0.0))


def _exp_slope(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(max=30.0).exp()
