"""SupCon: several positives, averaged outside or inside the logarithm; graded positives become soft targets."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn.functional import softplus

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import finish, guard


def supervised(scores: Scores, pairs: Pairs, *, temperature: Positive | Part = 0.1, mean: Literal["out", "in"] = "out") -> RowLoss:
    """All positives of an anchor, (n,): Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, equations 2 and 3.

    out: L_i = log Σ_{a candidate} exp(s_ia / t) − Σ_p w_ip s_ip / t,                        w_ip the positives' weights over their sum
    in:  L_i = log Σ_{a candidate} exp(s_ia / t) − log Σ_p w_ip exp(s_ip / t)

    Graded weights make `out` the cross-entropy with soft targets w (Dialog2Flow, paper 005; codes over prototypes). A row whose only
    positive is a candidate takes the softplus form of `info_nce`, exact for easy positives. Rows without positives do not count.
    Chance (equal scores): log of the candidates' weight.

    temperature: t > 0; may move over the run.
    mean: "out" averages the logarithms of the positives, "in" takes the logarithm of their average.
    """
    scores = scores.divide(temperature)  # type: ignore[arg-type]
    weight = similarity.positive_weight(pairs).to(scores.dtype)
    total = similarity.candidate_weight(pairs).to(scores.dtype)
    counted = (weight > 0) & (total > 0)
    chance = total.clamp(min=1e-30).log()
    if mean == "in":
        own = guard(similarity.positives_lse(scores, pairs), counted) - weight.clamp(min=1e-30).log()
    else:
        own = similarity.positive_mean(scores, pairs)
    if _one_positive(pairs, weight, total):
        return finish(softplus(similarity.negatives_lse(scores, pairs) - own), counted, chance)
    return finish(guard(similarity.candidates_lse(scores, pairs), counted) - own, counted, chance)


def _one_positive(pairs: Pairs, weight: Tensor, total: Tensor) -> bool:
    """Whether no row has more than one positive, of weight 1, which is also a candidate of weight 1."""
    negative = similarity.weight(pairs.negatives, pairs.shape).to(total.dtype)
    return bool(((total - negative == weight) & (weight <= 1) & (similarity.positive_count(pairs) == weight)).all())
