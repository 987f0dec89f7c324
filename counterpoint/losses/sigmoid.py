"""Every pair a yes-or-no question."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, weights


def sigmoid(scores: Scores, pairs: Pairs, *, temperature: Positive | Part = 0.1, bias: float = -10.0) -> RowLoss:
    """Binary cross-entropy of all pairs, (n,): Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023.

    L_i = Σ_p softplus(−x_ip) + Σ_{k negative} softplus(x_ik),   x = s / t + b. Rows without candidates do not count.
    A learned scale and bias belong to the contrast (`scale=`, `bias=`); then temperature = 1 and bias = 0 here.
    Chance: the best constant score, the entropy of the share of positives times the pairs of a row.

    temperature: t > 0; may move over the run.
    bias: b, about −log(negatives per positive) at the start, so that the many negatives do not dominate at first.
    """
    scores = scores.divide(temperature).plus(bias)  # type: ignore[arg-type]
    positive, negative, _ = weights(scores, pairs)
    pull = similarity.sum_of(scores, pairs, _no, over="positives", derivative=_no_slope)
    push = similarity.sum_of(scores, pairs, softplus, over="negatives", derivative=torch.sigmoid)
    counted = positive + negative > 0
    return finish(pull + push, counted, _entropy(positive[counted], negative[counted]))


def _no(x: Tensor) -> Tensor:
    return softplus(-x)


def _no_slope(x: Tensor) -> Tensor:
    return -torch.sigmoid(-x)


def _entropy(positive: Tensor, negative: Tensor) -> float:
    """Pairs per row times the entropy of the share of positives, in nats."""
    p, n = float(positive.sum()), float(negative.sum())
    if p == 0 or n == 0:
        return 0.0
    return -(p * math.log(p / (p + n)) + n * math.log(n / (p + n))) / len(positive)
