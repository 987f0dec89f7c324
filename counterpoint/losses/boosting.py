"""Do better than another model by a margin (paper 119)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import relu

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import NotNegative, Part, Share
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, guard, weights


def boosted(
    scores: Scores,
    pairs: Pairs,
    reference: Scores,
    *,
    margin: NotNegative = 0.2,
    boost: Literal["absolute", "relative"] = "absolute",
    strength: NotNegative | Part = 1.0,
    balance: Share = 0.5,
    hardest: bool = True,
    cap: bool = True,
) -> RowLoss:
    """Margins relative to another model's scores r, which are constants, (n,): Diao et al., "Deep Boosting Learning", IEEE TIP 2024.

    L_i = R_i + strength · B_i,   R_i = max_k [m + s_ik − s_ip]₊
    absolute:  B_i = [γ m + r_ip − s_ip]₊ + max_k [(1 − γ) m + s_ik − r_ik]₊
    relative:  B_i = max_k [m + (r_ip − r_ik) − (s_ip − s_ik)]₊
    over the negatives k; s_ip and r_ip are the positives' means. The differences s − r are scores of joined rows (a, a') · (c, −c'), so no
    matrix is held. One direction; add the contrast with anchors and candidates exchanged for the other. Rows without positives or
    without negatives do not count. Chance: both models at scores 0; none where the hardest negative is chosen.

    margin: m ≥ 0, in the unit of the scores.
    boost: what has to be better: positives and negatives each, or the gap between them.
    strength: weight of the boost; 0 leaves the ranking loss; may move over the run.
    balance: γ in [0, 1], the positives' part of the margin (absolute).
    hardest: whether the hardest negative counts, or the sum over all of them.
    cap: whether a positive is asked for at most 1 (absolute, cosine scores, or a matrix beside a reference's): without, its pull never
        ends near the limit.

    Raises OptionError where the scores of one are cosines and those of the other are not.
    """
    if scores.dense is None and reference.dense is None and scores.bounded != reference.bounded:
        raise OptionError("boosted compares scores of one range, and only one of the two is bounded; use cosine for both, or for none")
    cosines = scores.bounded if scores.dense is None else reference.dense is None and reference.bounded
    reference = reference.detach()
    _, negative, there = weights(scores, pairs)
    counted = there & (negative > 0)
    own, theirs = similarity.positive_mean(scores, pairs), similarity.positive_mean(reference, pairs)
    factor = float(strength)  # type: ignore[arg-type]

    def worst(which: Scores, threshold: Tensor) -> Tensor:
        """max_k or Σ_k [threshold_i + x_ik]₊."""
        if hardest:
            return relu(guard(similarity.top_k(which, pairs, 1).scores[:, 0], counted) + threshold)
        return similarity.sum_of(which.plus(threshold), pairs, relu, derivative=lambda x: (x > 0).to(x.dtype))

    values = worst(scores, margin - own)
    chance = negative * margin
    if factor:
        better = difference(scores, reference)
        if boost == "absolute":
            goal = theirs + balance * margin
            pull = relu((goal.clamp(max=1.0) if cap and cosines else goal) - own)
            values = values + factor * (pull + worst(better, torch.full_like(own, (1 - balance) * margin)))
            chance = chance + factor * (balance + negative * (1 - balance)) * margin
        else:
            values = values + factor * worst(better, margin + theirs - own)
            chance = chance + factor * negative * margin
    return finish(values, counted, None if hardest else chance)


def difference(scores: Scores, reference: Scores) -> Scores:
    """s − r as scores: of joined rows, or of matrices."""
    if scores.dense is not None or reference.dense is not None:
        return similarity.learned(scores.matrix() - reference.matrix())
    plain = [replace(s, row=None, column=None) for s in (scores, reference)]
    anchors = [p.anchors * _per_row(p.scale) for p in plain]
    row, column = (_minus(getattr(scores, side), getattr(reference, side)) for side in ("row", "column"))
    joined = Scores(torch.cat([anchors[0], -anchors[1]], 1), torch.cat([plain[0].candidates, plain[1].candidates], 1))
    return replace(joined, row=row, column=column)


def _per_row(scale: float | Tensor) -> float | Tensor:
    return scale[:, None] if isinstance(scale, Tensor) and scale.dim() else scale


def _minus(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    if second is None:
        return first
    return -second if first is None else first - second
