"""Positives pushed apart, negatives mixed: the change is made to the rows, the loss stays InfoNCE (paper 063)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn.functional import normalize, softplus

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Relation, Scores
from counterpoint.losses.rows import cosine_only, finish, guard, makes_rows, weights


@makes_rows
def transformed(
    scores: Scores,
    pairs: Pairs,
    *,
    temperature: Positive | Part = 0.2,
    positive: Positive | None = 2.0,
    negative: Positive | None = 1.6,
    extrapolate: bool = True,
    normalised: bool = False,
    per: Literal["step", "row"] = "step",
) -> RowLoss:
    """InfoNCE on transformed rows, (n,): Zhu et al., "Improving Contrastive Learning by Visualizing Feature Transformation", ICCV 2021.

    Positive pair (q, k):  q' = λ q + (1 − λ) k,  k' = λ k + (1 − λ) q,  λ = 1 + Beta(a, a): their score is s' = s − 2 λ (λ − 1)(1 − s).
    Negatives:  c'_j = μ c_j + (1 − μ) c_r(j),  r a random permutation of the candidates, μ ~ Beta(b, b).
    L_i = softplus( log Σ_j exp(q'_i · c'_j / t) − s'_i / t ), over the mixtures of two candidates that are both negatives of i.
    The model's own rows (queue, teacher) stay as they are. Let the rule ignore what a queue does not hold yet (`pairs.same`: unknown):
    random directions are nothing to mix. Draws from torch's global generator, which the step seeds. Rows without positives do not count;
    of several positives the nearest is taken. No chance level, since positives are made harder; unchanged rows have that of InfoNCE.

    temperature: t > 0; may move over the run.
    positive: a of the positives' Beta; none leaves them as they are.
    negative: b of the negatives' Beta; none leaves them as they are.
    extrapolate: without, λ is in [0, 1] and positives become easier, the control that the paper warns of.
    normalised: whether transformed rows are made unit vectors again.
    per: one λ and μ for the "step", or one for each "row".

    Raises OptionError for scores that are not cosines of rows.
    """
    cosine_only("transformed", scores)
    if scores.dense is not None:
        raise OptionError("transformed changes rows, and these scores are a matrix; give scores of rows")
    _, _, counted = weights(scores, pairs)
    a, c = scores.anchors, scores.candidates
    place = similarity.top_k(scores, pairs, 1, over="positives").columns[:, 0].clamp(min=0)
    key = c.index_select(0, place)
    own, query = (a * key).sum(1), a
    if positive is not None:
        factor = _beta(positive, len(a) if per == "row" else 1, a) + (1.0 if extrapolate else 0.0)
        query = torch.where(counted[:, None], factor * a + (1 - factor) * key, a)
        other = factor * key + (1 - factor) * a
        if normalised:
            query, other = normalize(query, dim=1), normalize(other, dim=1)
            own = (query * other).sum(1)
        else:  # the product of the two, written without cancellation
            own = own - (2 * factor * (factor - 1)).squeeze(1) * (1 - own)
    relation, mixed = pairs.negatives, c
    if negative is not None and len(c) > 1:
        order = torch.randperm(len(c), device=c.device)
        share = _beta(negative, len(c) if per == "row" else 1, c)
        mixed = share * c + (1 - share) * c[order]
        mixed = normalize(mixed, dim=1) if normalised else mixed
        relation = _negative_to_both(pairs, order)
    changed = replace(scores, anchors=query, candidates=mixed, bounded=normalised).divide(temperature)  # type: ignore[arg-type]
    against = similarity.lse(changed, relation)
    own = guard(own, counted) * changed.scale
    chance = similarity.weight(relation, pairs.shape).to(own.dtype).log1p() if positive is None else None
    return finish(softplus(against - own), counted, chance)


def _beta(concentration: float, size: int, like: Tensor) -> Tensor:
    """(size, 1) draws of Beta(c, c)."""
    drawn: Tensor = Beta(torch.tensor(float(concentration)), torch.tensor(float(concentration))).sample((size, 1))
    return drawn.to(like)


def _negative_to_both(pairs: Pairs, order: Tensor) -> Relation:
    """Who is a negative as column j and as column order_j."""
    plain = pairs.negatives
    if plain.form == "all" and not plain.inside:
        moved = permuted(plain, order)
        return plain.without(*moved.ignored).weighted(column=moved.column)
    return plain.without(Relation.all().without(permuted(plain, order)))


def permuted(relation: Relation, order: Tensor) -> Relation:
    """The relation whose column j is column order_j of the given one."""
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device)
    data = relation.data
    form = relation.form
    if form == "equal" or form == "product":
        data = (data[0], data[1][order])
    elif form == "self":
        form, data = "index", (place, None)
    elif form == "index":
        data = (torch.where(data[0] >= 0, place[data[0].clamp(min=0)], data[0]), data[1])
    elif form == "sparse":
        data = (data[0], place[data[1]], data[2])
    elif form == "tile":
        function = data[0]
        data = (lambda i, j: function(i, order[j]),)
    elif form == "either":
        data = tuple(permuted(r, order) for r in data)
    return Relation(
        form,
        data,
        relation.row,
        None if relation.column is None else relation.column[order],
        tuple((a, c[order]) for a, c in relation.inside),
        tuple(permuted(r, order) for r in relation.ignored),
    )
