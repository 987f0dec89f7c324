"""Decoupled contrast: InfoNCE without the positive in its denominator (paper 062)."""

from __future__ import annotations

from torch import Tensor, logsumexp

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss, joint
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import cosine_only, finish, guard, weights


@joint("weighted")
def decoupled(
    scores: Scores,
    pairs: Pairs,
    *,
    temperature: Positive | Part = 0.1,
    weighted: bool = False,
    sigma: Positive = 0.5,
    detach: bool = False,
) -> RowLoss:
    """Positives against the negatives, without their product, (n,): Yeh et al., "Decoupled Contrastive Learning", ECCV 2022.

    L_i = −w_i · mean_p s_ip / t + log Σ_{k negative} exp(s_ik / t),   w_i = 1, or (DCLW)
    w_i = 2 − exp(s_ip / σ) / mean_i exp(s_ip / σ),   over the rows that count; its mean is 1, hard positives weigh more.

    With q_i = N_i / (N_i + exp(s_ip / t)) the gradient of InfoNCE is q_i times this one's: the factor that starves small batches is gone.
    The loss may be negative. Rows without positives or without negatives do not count. Chance (equal scores): log of the negatives' weight.
    Cosines only: no denominator holds the positives back, so that the loss of unbounded scores falls without end as rows grow.

    temperature: t > 0; may move over the run.
    weighted: whether positives are weighted by how hard they are.
    sigma: σ > 0 of these weights; smaller is more unequal.
    detach: whether the weights pass no gradient. The paper's code lets it pass.

    Raises OptionError for scores that are not cosines.
    """
    cosine_only("decoupled", scores)
    _, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    plain = similarity.positive_mean(scores, pairs)
    scaled = scores.divide(temperature)  # type: ignore[arg-type]
    pull = similarity.positive_mean(scaled, pairs)
    if weighted:
        pull = pull * _weights(plain.detach() if detach else plain, counted, sigma)
    push = guard(similarity.negatives_lse(scaled, pairs), counted)
    return finish(push - pull, counted, similarity.ln(negative.clamp(min=1e-30)))


def _weights(positive: Tensor, counted: Tensor, sigma: float) -> Tensor:
    """2 − n softmax(s / σ) over the n rows that count."""
    log = (positive / sigma).masked_fill(~counted, -float("inf"))
    total = guard(logsumexp(log, 0), counted.any())
    return 2 - counted.sum() * guard((log - total).exp(), counted)
