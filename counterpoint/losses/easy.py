"""All candidates against the positives among them, where positives are easy: there a difference of two logarithms loses its gradient."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation, Scores
from counterpoint.losses.rows import guard

LIMIT = 0.02  # a difference below this is made anew: above it float32 keeps four digits of its gradient


def eligible(pairs: Pairs) -> Tensor | None:
    """The rows (n,) bool whose positives are all candidates, of one weight; None where none is, or where that cannot be told at once."""
    if not _unweighted(pairs.candidate) or pairs.positive.form in ("product", "tile"):
        return None
    positive = similarity.positive_count(pairs)
    inside = similarity.candidate_count(pairs) - similarity.negative_count(pairs) == positive
    found = inside if _unweighted(pairs.positive) else inside & (positive == 1)
    return found if bool((found & (positive > 0)).any()) else None


def candidates_against(scores: Scores, pairs: Pairs, own: Tensor, counted: Tensor) -> Tensor:
    """log Σ_{candidates} exp(s_ij) − own_i, (n,), own = log Σ_{positives} exp(s_ip); exact also where it is near zero.

    There, and where positives are candidates of one weight, it is softplus(log Σ_{negatives} exp(s_ik) − own_i); a pass over the negatives
    is paid only by batches with such rows.
    """
    own = guard(own, counted)
    value = guard(similarity.candidates_lse(scores, pairs), counted) - own
    rows = near_zero(value, pairs, counted)
    if rows is None:
        return value
    return torch.where(rows, softplus(similarity.negatives_lse(scores, pairs) - guard(own, rows)), value)


def near_zero(value: Tensor, pairs: Pairs, counted: Tensor) -> Tensor | None:
    """The eligible rows (n,) bool with a value below LIMIT; None where there are none."""
    small = counted & (value.detach() < LIMIT)
    if not bool(small.any()):
        return None
    allowed = eligible(pairs)
    return None if allowed is None or not bool((small & allowed).any()) else small & allowed


def spread(scores: Scores, pairs: Pairs, weight: Tensor) -> Tensor:
    """log Σ_p w_ip exp(s_ip) / Σ_p w_ip − Σ_p w_ip s_ip / Σ_p w_ip over the positives, (n,): 0 where they are equal, exact near it.

    = log(1 + mean_p h(u_p)),   u_p = s_ip less their mean,   h(u) = e^u − 1 − u, whose slope e^u − 1 vanishes with u.
    """
    scores = _centred(scores, pairs)
    middle = similarity.positive_mean(scores, pairs)
    total = similarity.sum_of(scores.plus(-middle), pairs, _beyond, over="positives", derivative=_beyond_slope)
    return (total / weight.clamp(min=1e-30)).log1p()


def _centred(scores: Scores, pairs: Pairs) -> Scores:
    """Scores that differ from these by a constant of the anchor and round less, where rows of one key are positive and near each other.

    With a', c' = rows less the mean of their key: cosines are 1 − |a' − c'|² / 2, products are a · c' and a constant.
    """
    positive = pairs.positive
    if positive.form != "equal" or scores.dense is not None:
        return scores
    keys, same = torch.cat([*positive.data]), positive.data[0] is positive.data[1] and scores.selfsame
    names, place = keys.unique(return_inverse=True)
    first, second = place[: len(positive.data[0])], place[len(positive.data[0]) :]
    with torch.no_grad():
        size = torch.bincount(second, minlength=len(names)).clamp(min=1)
        sums = scores.candidates.new_zeros(len(names), scores.candidates.shape[1]).index_add_(0, second, scores.candidates)
        centre = sums / size[:, None]
    candidates = scores.candidates - centre[second]
    if not scores.bounded:
        return replace(scores, candidates=candidates)
    if scores.column is not None:
        return scores
    anchors = candidates if same else scores.anchors - centre[first]
    return similarity.negative_squared_distance(anchors, candidates).times(0.5 * scores.scale)


def _unweighted(relation: Relation) -> bool:
    """Whether all weights are 0 or 1, as far as the form tells."""
    for vector in (relation.row, relation.column):
        if vector is not None and not bool(((vector == 0) | (vector == 1)).all()):
            return False
    if relation.form == "either":
        return all(map(_unweighted, relation.data))
    return relation.form in ("all", "self", "equal", "none") or (relation.form in ("index", "sparse") and relation.data[-1] is None)


def _beyond(u: Tensor) -> Tensor:
    """e^u − 1 − u, exact near 0; on a straight line above 30, where no row is that is looked at."""
    u = u.clamp(max=30.0)
    near = u.clamp(-0.3, 0.3)
    series = near.square() / 2 * (1 + near / 3 * (1 + near / 4 * (1 + near / 5 * (1 + near / 6 * (1 + near / 7)))))
    return torch.where(u.abs() < 0.3, series, torch.expm1(u) - u)


def _beyond_slope(u: Tensor) -> Tensor:
    return torch.expm1(u.clamp(max=30.0))
