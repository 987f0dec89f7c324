"""A bound on how far positives may stand from negatives: a regulariser of unbounded contrastive scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from counterpoint.core import similarity
from counterpoint.core.recipe import RowLoss, joint
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, guard, weights


@joint("whole")
def score_gap(scores: Scores, pairs: Pairs, *, whole: bool = False) -> RowLoss:
    """How far scores reach beyond where positives and negatives meet, (n,): Qin et al., MCLRec, SIGIR 2023, equations 10 and 11.

    o₋ = min(s⁺, max s⁻), o₊ = max(s⁺, max s⁻),   R_i = max(0, s_i⁺ − o₋) + mean_k max(0, o₊ − s_ik),   k over the negatives.
    Rows without positives or without negatives do not count. No chance level: the hardest negative is chosen by score.

    whole: o₋ is the least and o₊ the largest over all rows (the paper); a row's own (the published code) without.
    """
    _, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    own = guard(similarity.positive_mean(scores, pairs), counted)
    hardest = guard(similarity.top_k(scores, pairs, 1).scores[:, 0], counted)
    low, high = own, hardest
    if whole and bool(counted.any()):
        low, high = own[counted].min().expand_as(own), hardest[counted].max().expand_as(own)
    least, most = torch.minimum(low, high), torch.maximum(low, high)
    push = similarity.sum_of(scores.plus(-most), pairs, _below, derivative=_below_slope) / negative.clamp(min=1e-30)
    return finish(relu(own - least) + push, counted)


def _below(x: Tensor) -> Tensor:
    return relu(-x)


def _below_slope(x: Tensor) -> Tensor:
    return -(x < 0).to(x.dtype)
