"""Harder negatives: made by mixing (paper 064), or weighted up."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Count, NotNegative, Part, Positive, Share, Whole
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import cosine_only, finish, guard, makes_rows, weights


@makes_rows
def mixed_negatives(
    scores: Scores,
    pairs: Pairs,
    *,
    temperature: Positive | Part = 0.2,
    hardest: Count = 64,
    between: Whole | Part = 32,
    towards: Whole | Part = 16,
    cap: Share = 0.5,
) -> RowLoss:
    """InfoNCE with negatives made from the hardest ones, (n,): Kalantidis et al., "Hard Negative Mixing", NeurIPS 2020.

    Of each anchor's N hardest negatives, `between` mixtures α n_a + (1 − α) n_b with α ~ U(0, 1) and `towards` mixtures β q + (1 − β) n
    with β ~ U(0, cap), all made unit vectors and detached, join its denominator as private columns:
    L_i = softplus( log( Σ_k exp(s_ik / t) + Σ_h exp(a_i · h / t) ) − log Σ_p exp(s_ip / t) ).
    N is cut to the negatives that an anchor has; let the rule ignore what a queue does not hold yet (`pairs.same`: unknown).
    Draws from torch's global generator, which the step seeds. Rows without positives do not count. No chance
    level, since mixtures are chosen hard; without mixtures that of InfoNCE.

    temperature: t > 0; may move over the run.
    hardest: N, how many of the hardest negatives are mixed.
    between: mixtures of two negatives per anchor; 0 is off, and so a part can switch it on later.
    towards: mixtures of the anchor and a negative.
    cap: largest share of the anchor in these; at most 0.5, so that the mixture stays nearer to the negative.

    Raises OptionError for scores that are not cosines of rows, or cap > 0.5.
    """
    cosine_only("mixed_negatives", scores)
    if scores.dense is not None:
        raise OptionError("mixed_negatives mixes rows, and these scores are a matrix; give scores of rows")
    if cap > 0.5:
        raise OptionError(f"cap = {cap} is not allowed; above 0.5 a mixture is nearer to the anchor than to the negative")
    scaled = scores.divide(temperature)  # type: ignore[arg-type]
    positive, negative, counted = weights(scores, pairs)
    made = _mixtures(scores, pairs, hardest, int(between), int(towards), cap)  # type: ignore[arg-type]
    plain = similarity.negatives_lse(scaled, pairs)
    chance: Tensor | None = (negative / positive.clamp(min=1e-30)).log1p()
    if made is not None:
        some = negative > 0
        private = (scores.anchors[:, None] * made).sum(2) * _per_row(scaled.scale)  # no product of matrices: autocast leaves it alone
        plain = torch.logaddexp(guard(plain, some), private.logsumexp(1)).masked_fill(~some, -math.inf)
        chance = None
    own = guard(similarity.positives_lse(scaled, pairs), counted)
    return finish(softplus(plain - own), counted, chance)


@torch.no_grad()
def _mixtures(scores: Scores, pairs: Pairs, hardest: int, between: int, towards: int, cap: float) -> Tensor | None:
    """Unit vectors (n, between + towards, d), every anchor's from its own hardest negatives."""
    if between + towards == 0:
        return None
    top = similarity.top_k(scores.detach(), pairs, hardest)
    there = (top.columns >= 0).sum(1, keepdim=True).clamp(min=1)

    def pick(size: int) -> Tensor:
        place = (torch.rand(len(there), size, device=there.device) * there).long().clamp(max=top.columns.shape[1] - 1)
        return scores.candidates[top.columns.gather(1, place).clamp(min=0)]

    n, d = scores.anchors.shape
    made = scores.anchors.new_empty(n, 0, d)
    if between:
        share = torch.rand(n, between, 1, device=made.device)
        made = torch.cat([made, share * pick(between) + (1 - share) * pick(between)], 1)
    if towards:
        share = torch.rand(n, towards, 1, device=made.device) * cap
        made = torch.cat([made, share * scores.anchors[:, None] + (1 - share) * pick(towards)], 1)
    return normalize(made, dim=2, eps=1e-6)


def reweighted(
    scores: Scores, pairs: Pairs, *, temperature: Positive | Part = 0.2, hardness: NotNegative | Part = 0.5, prior: Share = 0.0
) -> RowLoss:
    """InfoNCE whose negatives weigh by how hard they are, (n,): Robinson et al., "Hard Negative Samples", ICLR 2021.

    L_i = softplus(N_i − P_i), P_i as in `info_nce`, N_i = log M + log Σ_k w_k exp(s_ik / t), w = softmax_k(β s_ik / t) over M negatives.
    With a prior τ₊ for false negatives (Chuang et al., NeurIPS 2020): the negatives' sum becomes max((Σ − τ₊ M exp(P_i)) / (1 − τ₊),
    M exp(−1/t)). β = 0, τ₊ = 0 is InfoNCE. Rows without positives do not count. Chance as there.

    temperature: t > 0; may move over the run.
    hardness: β ≥ 0; 0 weighs all alike.
    prior: τ₊ in [0, 1), the share of negatives that are of the anchor's class; one positive per anchor where it is above 0.

    Raises OptionError for a prior of 1, or one with scores that are not cosines.
    """
    if prior >= 1:
        raise OptionError(f"prior = {prior} is not allowed; it must be below 1")
    if prior:
        cosine_only("reweighted with a prior", scores)
    t, beta = float(temperature), float(hardness)  # type: ignore[arg-type]
    scaled = scores.divide(t)
    positive, negative, counted = weights(scores, pairs)
    some = negative > 0
    size = similarity.ln(negative.clamp(min=1e-30))
    own = guard(similarity.positives_lse(scaled, pairs), counted)
    against = guard(similarity.negatives_lse(scaled.times(1 + beta), pairs), some)
    if beta:
        against = against - guard(similarity.negatives_lse(scaled.times(beta), pairs), some) + size
    if prior:
        inside = -torch.expm1((math.log(prior) + size + own - against).clamp(max=-1e-6))
        debiased = against + inside.log() - math.log(1 - prior)
        against = torch.maximum(debiased, size - 1 / t)
    against = against.masked_fill(~some, -math.inf)
    return finish(softplus(against - own), counted, (negative / positive.clamp(min=1e-30)).log1p())


def _per_row(scale: float | Tensor) -> float | Tensor:
    return scale[:, None] if isinstance(scale, Tensor) and scale.dim() else scale
