"""A temperature of its own for every pair, given by a small network (paper 121)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Count, NotNegative, Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, guard, weights


def adaptive(
    scores: Scores,
    pairs: Pairs,
    heat: Callable[[Tensor, Tensor], Tensor],
    *,
    low: Positive = 0.05,
    high: Positive = 2.0,
    penalty: NotNegative | Part = 0.1,
    dimension: Positive = 1.0,
    hardest: Count = 1,
) -> RowLoss:
    """A learned temperature per pair, (n,): Wang et al., "Adaptive Multi-head Contrastive Learning", ECCV 2024.

    L_i = −s_ip / τ_ip + β Ω(τ_ip) + log Σ_k exp(s_ik / τ_ik) − β Σ_k w_ik Ω(τ_ik),   Ω(τ) = m/2 log τ + 1/τ,
    k over the anchor's hardest negatives (by score), w = softmax_k(s_ik / τ_ik), τ = low + (high − low) sigmoid(heat). With one hardest
    negative this is the paper's table 2: + s_ik / τ_ik − β Ω(τ_ik). Only edges are computed: one positive, some negatives per anchor.
    Of several positives the nearest is taken. Rows without positives or without negatives do not count. May be negative.
    No chance level: the hardest negatives are chosen by score, so that random rows lie above the log of their number, where equal ones are.

    heat: (anchor positions (e,), candidate positions (e,)) -> (e,), the network's output for pairs.
    low: the lowest temperature, > 0; a temperature runs to a bound where that pays, so the bounds matter.
    high: the highest.
    penalty: β ≥ 0 of Ω.
    dimension: m of Ω; for a positive of score s < β the best temperature is 2/m (1 − s/β).
    hardest: negatives per anchor; more make the sum smooth.
    """
    if low >= high:
        raise OptionError(f"low = {low} is not below high = {high}")
    beta = float(penalty)  # type: ignore[arg-type]
    _, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    anchors = torch.arange(scores.shape[0], device=scores.device)

    def cool(columns: Tensor) -> Tensor:
        rows = anchors[:, None].expand_as(columns).reshape(-1)
        return low + (high - low) * torch.sigmoid(heat(rows, columns.clamp(min=0).reshape(-1)).float().view(columns.shape))

    own = similarity.top_k(scores, pairs, 1, over="positives")
    tau = cool(own.columns)
    pull = (-guard(own.scores, counted[:, None]) / tau + beta * _omega(tau, dimension)).sum(1)
    far = similarity.top_k(scores, pairs, hardest, over="negatives")
    tau = cool(far.columns)
    here = far.columns >= 0
    heated = (guard(far.scores, here) / tau).masked_fill(~here & counted[:, None], -torch.inf)
    share = heated.softmax(1)
    push = heated.logsumexp(1) - beta * (share * _omega(tau, dimension)).sum(1)
    return finish(pull + push, counted)


def _omega(tau: Tensor, dimension: float) -> Tensor:
    return dimension / 2 * tau.log() + 1 / tau
