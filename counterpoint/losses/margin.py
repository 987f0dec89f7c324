"""Losses with a margin: no probability, only "nearer by so much"."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from counterpoint.core import similarity
from counterpoint.core.options import NotNegative, Part, Positive, Share
from counterpoint.core.recipe import RowLoss, joint
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import cosine_only, finish, guard, weights


def margin(scores: Scores, pairs: Pairs, *, positive: float = 0.9, negative: float = 0.4) -> RowLoss:
    """Positives above one score, negatives below another, (n,): Hadsell et al., CVPR 2006, equation 4, on scores and without squares.

    L_i = mean_p max(0, m₊ − s_ip) + mean_k max(0, s_ik − m₋). Rows without positives or without negatives count with the other half.
    Chance (scores 0): max(0, m₊) + max(0, −m₋).

    positive: m₊, the score that positives should reach.
    negative: m₋, the score that negatives should stay below.
    """
    pull_weight, push_weight, _ = weights(scores, pairs)
    pull = similarity.sum_of(
        scores, pairs, lambda s: relu(positive - s), over="positives", derivative=lambda s: -(s < positive).to(s.dtype)
    )
    push = similarity.sum_of(scores, pairs, lambda s: relu(s - negative), derivative=lambda s: (s > negative).to(s.dtype))
    values = pull / pull_weight.clamp(min=1e-30) + push / push_weight.clamp(min=1e-30)
    chance = (pull_weight > 0) * max(0.0, positive) + (push_weight > 0) * max(0.0, -negative)
    return finish(values, pull_weight + push_weight > 0, chance)


@joint()
def active_margin(
    scores: Scores,
    pairs: Pairs,
    *,
    margin: Share = 0.5,
    balance: Share = 0.5,
    active: bool = True,
    least: NotNegative = 1e-6,
) -> RowLoss:
    """Every positive near, every negative at least a margin away, averaged over the pairs that still cost something (paper 057), (n,).

    d = (1 − s) / 2, s cosine, in [0, 1];   L = β Σ_positives d / #{d > ε} + (1 − β) Σ_negatives h / #{h > ε},   h = max(0, m − d).
    The sums run over all pairs of the batch; a row's value is its part of them times the number of rows, so that the mean over rows is L.
    As pairs come to rest the others weigh more, and L does not fade. Chance (scores 0): β / 2 + (1 − β) max(0, m − 1/2); where all rows
    are the same, (1 − β) m, which is no less at the defaults.

    margin: m, half a squared distance on the sphere: 0.5 is a right angle, 1 opposite.
    balance: β, weight of the positives.
    active: whether the means are over active pairs; without, over all.
    least: ε, what a pair must cost at least to count as active.

    Raises OptionError for scores that are not cosines.
    """
    cosine_only("active_margin", scores)
    near, far, _ = weights(scores, pairs)
    pull = similarity.sum_of(scores, pairs, lambda s: (1 - s) / 2, over="positives", derivative=lambda s: torch.full_like(s, -0.5))
    bound = 1 - 2 * margin  # the score at the margin
    push = similarity.sum_of(
        scores, pairs, lambda s: relu(s - bound) / 2, over="negatives", derivative=lambda s: (s > bound).to(s.dtype) / 2
    )
    if active:
        still, flat = scores.detach(), torch.zeros_like
        near = similarity.sum_of(still, pairs, lambda s: (s < 1 - 2 * least).to(s.dtype), over="positives", derivative=flat)
        far = similarity.sum_of(still, pairs, lambda s: (s > bound + 2 * least).to(s.dtype), over="negatives", derivative=flat)
    counted = similarity.candidate_weight(pairs) > 0
    rows = counted.sum()
    values = balance * pull / near.sum().clamp(min=1) + (1 - balance) * push / far.sum().clamp(min=1)
    return finish(rows * values, counted, balance / 2 + (1 - balance) * max(0.0, margin - 0.5))


def triplet(
    scores: Scores,
    pairs: Pairs,
    *,
    margin: NotNegative = 0.2,
    mining: Literal["hardest", "semi_hard", "all"] = "semi_hard",
    active: bool = True,
) -> RowLoss:
    """Each positive above the negatives by a margin, (n,): Schroff et al., "FaceNet", CVPR 2015, section 3.

    L_i = Σ_p Σ_k max(0, s_ik − s_ip + m) over the chosen triplets, by their number: triplets are streamed, one positive of every anchor
    at a time; none of the n · P · m is held. Rows without positives or without negatives do not count. Chance (scores 0): m where
    all triplets count; none where they are chosen by score.

    margin: m ≥ 0, in the unit of the scores.
    mining: "all" negatives; "semi_hard" those below the positive but within the margin; "hardest" the one with the largest score.
    active: whether the sum is divided by the number of triplets above 0; without, by all that were looked at.
    """
    _, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    most = int(similarity.positive_count(pairs).max()) if len(counted) else 0
    near = similarity.top_k(scores, pairs, max(most, 1), over="positives")
    own, known = near.scores, near.columns >= 0  # by place, not by score: a NaN is there
    hardest = similarity.top_k(scores, pairs, 1).scores[:, 0] if mining == "hardest" else None
    total, number = 0 * guard(own[:, :1], counted[:, None]).sum(1), torch.zeros_like(negative)
    inside = _Step(0.0, margin if mining == "semi_hard" else float("inf"))
    for slot in range(own.shape[1]):
        here = known[:, slot] & counted
        threshold = margin - guard(own[:, slot], here)
        if hardest is not None:
            cost = relu(guard(hardest, here) + threshold)
            found, seen = (cost > 0).to(cost.dtype), torch.ones_like(cost)
        else:
            shifted = scores.plus(threshold)
            cost = similarity.sum_of(shifted, pairs, lambda x: relu(x) * inside(x), derivative=inside)
            found = similarity.sum_of(shifted.detach(), pairs, inside, derivative=torch.zeros_like)
            seen = similarity.negative_count(pairs).to(cost.dtype)
        total = total + guard(cost, here)
        number = number + guard(found if active else seen, here)
    return finish(total / number.clamp(min=1), counted, float(margin) if mining == "all" and not active else None)


class _Step:
    """1 where low < x < high, else 0."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, x: Tensor) -> Tensor:
        return ((x > self.low) & (x < self.high)).to(x.dtype)


def multi_similarity(
    scores: Scores, pairs: Pairs, *, positive: Positive | Part = 2.0, negative: Positive | Part = 50.0, base: float = 0.5
) -> RowLoss:
    """Soft margins on both sides (Wang et al., "Multi-Similarity Loss", CVPR 2019), (n,).

    L_i = 1/α log(1 + Σ_p exp(−α (s_ip − λ))) + 1/β log(1 + Σ_k exp(β (s_ik − λ))). Rows without positives or without negatives count with
    the other half. Chance (scores 0): the same with s = 0.

    positive: α > 0, sharpness on the positives; may move over the run.
    negative: β > 0, sharpness on the negatives; may move over the run.
    base: λ, the score between the two.
    """
    alpha, beta = float(positive), float(negative)  # type: ignore[arg-type]
    near, far, _ = weights(scores, pairs)
    pull = softplus(similarity.positives_lse(scores.plus(-base).times(-alpha), pairs)) / alpha
    push = softplus(similarity.negatives_lse(scores.plus(-base).times(beta), pairs)) / beta
    chance = softplus(near.log() + alpha * base) / alpha + softplus(far.log() - beta * base) / beta
    return finish(pull + push, near + far > 0, chance)
