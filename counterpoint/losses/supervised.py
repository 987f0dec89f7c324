"""SupCon: several positives, averaged outside or inside the logarithm; graded positives become soft targets."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.easy import candidates_against, eligible, near_least, negatives_against, spread
from counterpoint.losses.rows import finish, guard


def supervised(scores: Scores, pairs: Pairs, *, temperature: Positive | Part = 0.1, mean: Literal["out", "in"] = "out") -> RowLoss:
    """All positives of an anchor, (n,): Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equations 2 and 3.

    out: L_i = log Σ_{a candidate} exp(s_ia / t) − Σ_p w_ip s_ip / t,                        w_ip the positives' weights over their sum
    in:  L_i = log Σ_{a candidate} exp(s_ia / t) − log Σ_p w_ip exp(s_ip / t)

    Graded weights make `out` the cross-entropy with soft targets w (Dialog2Flow, paper 005; codes over prototypes). Easy rows, whose
    positives are candidates of one weight, take a form that keeps their gradient: softplus(N_i − P_i) + log of the number of positives,
    N and P as in `info_nce`, and in `out` how far P_i lies above the positives' mean. Rows without positives do not count.
    Chance (equal scores): log of the candidates' weight.

    temperature: t > 0; may move over the run.
    mean: "out" averages the logarithms of the positives, "in" takes the logarithm of their average.
    """
    scores = scores.divide(temperature)  # type: ignore[arg-type]
    weight = similarity.positive_weight(pairs).to(scores.dtype)
    total = similarity.candidate_weight(pairs).to(scores.dtype)
    count = similarity.positive_count(pairs)
    counted = (weight > 0) & (total > 0)
    chance = similarity.ln(total.clamp(min=1e-30))
    size = similarity.ln(count.clamp(min=1).to(scores.dtype))
    found = eligible(pairs, counted) if bool((count <= 1).all()) else None
    if found is not None and torch.equal(found[0], counted):  # one positive each: no other pass than that over the negatives
        own = guard(similarity.positive_mean(scores, pairs), counted)
        return finish(negatives_against(scores, pairs, own, found[1]), counted, chance)
    if mean == "in":
        return finish(candidates_against(scores, pairs, _sum(scores, pairs, weight, size), counted) + size, counted, chance)
    values = guard(similarity.candidates_lse(scores, pairs), counted) - similarity.positive_mean(scores, pairs)
    found = near_least(values - size, pairs, counted)
    if found is not None:
        rows, level = found
        own = guard(_sum(scores, pairs, weight, size), rows)
        exact = negatives_against(scores, pairs, own, level) + size + guard(spread(scores, pairs, weight), rows)
        values = torch.where(rows, exact, values)
    return finish(values, counted, chance)


def _sum(scores: Scores, pairs: Pairs, weight: Tensor, size: Tensor) -> Tensor:
    """log Σ_p exp(s_ip) of positives of one weight; of others with weights of mean 1."""
    return similarity.positives_lse(scores, pairs) - (similarity.ln(weight.clamp(min=1e-30)) - size)
