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
    form: Literal["logarithm", "ratio"] = "logarithm",
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
    form: what the scores are: x, or exp(x) itself, products of non-negative factors that make up a probability (Contrastive UCB, paper
        056); below 0.001 the loss goes on along its tangent.
    """
    scaled = scores.divide(temperature)  # type: ignore[arg-type]
    positive, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    size = negative.clamp(min=1e-30)
    if measure == "logistic":
        ratio = size / positive.clamp(min=1e-30) if noise is None else torch.full_like(size, noise)
        if form == "ratio":
            shifted = scaled.times(1 / torch.where(counted, ratio, 1.0))
            pull = similarity.sum_of(shifted, pairs, _odds_against, over="positives", derivative=_odds_against_slope)
            push = similarity.sum_of(shifted, pairs, _odds, derivative=_odds_slope) / size
            return finish(pull / positive.clamp(min=1e-30) + ratio * push, counted, ratio.log1p() + ratio * (1 / ratio).log1p())
        shifted = scaled.plus(-torch.where(counted, ratio, 1.0).log())
        pull = similarity.sum_of(shifted, pairs, _yes, over="positives", derivative=_yes_slope) / positive.clamp(min=1e-30)
        push = similarity.sum_of(shifted, pairs, softplus, derivative=torch.sigmoid) / size
        return finish(pull + ratio * push, counted, ratio.log1p() + ratio * (1 / ratio).log1p())
    if form == "ratio":
        return _of_ratio(scaled, pairs, measure, positive, size, counted)
    if measure == "exponential":
        pull = similarity.positive_mean(scaled, pairs)
        push = similarity.sum_of(scaled, pairs, _exp, derivative=_exp_slope) / size
        return finish(push - pull - 1, counted, 0.0)
    pull = similarity.sum_of(scaled, pairs, _exp, over="positives", derivative=_exp_slope) / positive.clamp(min=1e-30)
    push = similarity.sum_of(scaled.times(2.0), pairs, _exp, derivative=_exp_slope) / size
    return finish(push / 2 - pull + 0.5, counted, 0.0)


def _of_ratio(scaled: Scores, pairs: Pairs, measure: str, positive: torch.Tensor, size: torch.Tensor, counted: torch.Tensor) -> RowLoss:
    """Both other measures of scores that are ratios."""
    if measure == "exponential":
        pull = similarity.sum_of(scaled, pairs, _minus_log, over="positives", derivative=_minus_log_slope) / positive.clamp(min=1e-30)
        return finish(pull + similarity.sum_of(scaled, pairs, _same, derivative=torch.ones_like) / size - 1, counted, 0.0)
    pull = similarity.positive_mean(scaled, pairs)
    return finish(similarity.sum_of(scaled, pairs, torch.square, derivative=_twice) / size / 2 - pull + 0.5, counted, 0.0)


_LEAST = 1e-3  # ratios below this are continued along the tangent: log 0 has no gradient


def _odds_against(g: torch.Tensor) -> torch.Tensor:
    """log(1 + 1 / g)"""
    low = g.clamp(min=_LEAST)
    return torch.log1p(1 / low) + _odds_against_slope(g) * (g - low)


def _odds_against_slope(g: torch.Tensor) -> torch.Tensor:
    low = g.clamp(min=_LEAST)
    return -1 / (low * (1 + low))


def _odds(g: torch.Tensor) -> torch.Tensor:
    return torch.log1p(g.clamp(min=0.0))


def _odds_slope(g: torch.Tensor) -> torch.Tensor:
    return 1 / (1 + g.clamp(min=0.0))


def _minus_log(g: torch.Tensor) -> torch.Tensor:
    low = g.clamp(min=_LEAST)
    return -low.log() - (g - low) / low


def _minus_log_slope(g: torch.Tensor) -> torch.Tensor:
    return -1 / g.clamp(min=_LEAST)


def _same(g: torch.Tensor) -> torch.Tensor:
    return g


def _twice(g: torch.Tensor) -> torch.Tensor:
    return 2 * g


def _yes(x: torch.Tensor) -> torch.Tensor:
    return softplus(-x)


def _yes_slope(x: torch.Tensor) -> torch.Tensor:
    return -torch.sigmoid(-x)


def _exp(x: torch.Tensor) -> torch.Tensor:
    """exp(x), continued along its tangent above 30."""
    return x.clamp(max=30.0).exp() * (1 + (x - 30.0).clamp(min=0.0))


def _exp_slope(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(max=30.0).exp()
