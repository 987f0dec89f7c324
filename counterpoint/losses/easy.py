"""All candidates against the positives among them, where positives are easy: there a difference of two logarithms loses its gradient."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import softplus

from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation, Scores
from counterpoint.losses.rows import guard

LIMIT = 0.02  # what lies no higher above its least is made anew: further up float32 keeps four digits of the gradient


def eligible(pairs: Pairs, counted: Tensor) -> tuple[Tensor, Tensor] | None:
    """(the rows (n,) bool whose positives are all candidates, of one weight; the logarithm of that weight as candidates (n,)).

    None where there is no such row, or where it cannot be told at once.
    """
    if {pairs.positive.form, pairs.candidate.form} & {"product", "tile"}:
        return None
    number, plain = similarity.positive_count(pairs), _unweighted(pairs.candidate)
    rows = counted & (similarity.candidate_count(pairs) - similarity.negative_count(pairs) == number)
    rows = rows if plain and _unweighted(pairs.positive) else rows & (number == 1)
    if not bool(rows.any()):
        return None
    level = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    if not plain:
        level = (similarity.candidate_weight(pairs) - similarity.weight(pairs.negatives, pairs.shape)).double().clamp(min=1e-30).log()
    return rows, guard(level, rows)


def candidates_against(scores: Scores, pairs: Pairs, own: Tensor, counted: Tensor) -> Tensor:
    """log Σ_{candidates} exp(s_ij) − own_i, (n,), own = log Σ_{positives} exp(s_ip); exact also where it is nearly all the positives'.

    A pass over the negatives alone is paid by batches with such rows only.
    """
    own = guard(own, counted)
    value = guard(similarity.candidates_lse(scores, pairs), counted) - own
    found = near_least(value, pairs, counted)
    return value if found is None else torch.where(found[0], negatives_against(scores, pairs, guard(own, found[0]), found[1]), value)


def negatives_against(scores: Scores, pairs: Pairs, own: Tensor, level: Tensor) -> Tensor:
    """log( w Σ_{positives} exp(s_ip) + Σ_{negatives} exp(s_ik) ) − own_i, (n,), log w = level, own as above, as its softplus."""
    level = level.to(own.dtype)
    return softplus(similarity.negatives_lse(scores, pairs) - (own + level)) + level


def near_least(value: Tensor, pairs: Pairs, counted: Tensor) -> tuple[Tensor, Tensor] | None:
    """`eligible`, of the rows alone whose value is less than LIMIT above the level, below which it cannot be."""
    if _unweighted(pairs.candidate) and not bool((counted & (value.detach() < LIMIT)).any()):
        return None
    found = eligible(pairs, counted)
    if found is None:
        return None
    rows = found[0] & (value.detach() < found[1] + LIMIT)
    return (rows, guard(found[1], rows)) if bool(rows.any()) else None


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
    """Whether all weights are 0 or 1, also those of anchors and candidates."""
    for vector in (relation.row, relation.column):
        if vector is not None and not bool(((vector == 0) | (vector == 1)).all()):
            return False
    return replace(relation, row=None, column=None).binary


def _beyond(u: Tensor) -> Tensor:
    """e^u − 1 − u, exact near 0; on a straight line above 30, where no row is that is looked at."""
    u = u.clamp(max=30.0)
    near = u.clamp(-0.3, 0.3)
    series = near.square() / 2 * (1 + near / 3 * (1 + near / 4 * (1 + near / 5 * (1 + near / 6 * (1 + near / 7)))))
    return torch.where(u.abs() < 0.3, series, torch.expm1(u) - u)


def _beyond_slope(u: Tensor) -> Tensor:
    return torch.expm1(u.clamp(max=30.0))
