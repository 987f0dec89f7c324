"""Row statistics of scores under pairs: all that a loss may see. Each has an exact gradient to anchors, candidates, scale and biases."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Literal, NamedTuple, ParamSpec, TypeVar

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import dense
from counterpoint.core.similarity.relation import Pairs, Relation, check_shape
from counterpoint.core.similarity.scores import Scores

P = ParamSpec("P")
R = TypeVar("R")
Over = Literal["positives", "negatives", "candidates"]


class Top(NamedTuple):
    """columns (n, k) int64, −1 where a row has fewer; scores (n, k) with gradient, −∞ (or +∞ for the smallest) there."""

    columns: Tensor
    scores: Tensor


def _full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Similarities are float32 at least, whatever autocast says."""

    @wraps(function)
    def wide(*args: P.args, **kwargs: P.kwargs) -> R:
        kind = args[0].device.type  # type: ignore[attr-defined]
        if not torch.is_autocast_enabled(kind):
            return function(*args, **kwargs)
        with torch.autocast(kind, enabled=False):
            return function(*args, **kwargs)

    return wide


def relation_of(pairs: Pairs, over: Over | Relation) -> Relation:
    """The relation that `over` names: "positives", "negatives" (candidates that are not positive), "candidates", or any relation."""
    if isinstance(over, Relation):
        return over if pairs.block is None else over.within(*pairs.block)
    if over not in ("positives", "negatives", "candidates"):
        raise OptionError(f"over = {over!r} is not allowed; it must be 'positives', 'negatives' or 'candidates'")
    found: Relation = getattr(pairs, over)
    return found


def candidates_lse(scores: Scores, pairs: Pairs) -> Tensor:
    """log Σ_j w_ij exp(s_ij) over the candidates, w their weights: (n,). A row without candidates: −∞, gradient 0."""
    return lse(scores, relation_of(pairs, "candidates"))


def negatives_lse(scores: Scores, pairs: Pairs) -> Tensor:
    """log Σ_j w_ij exp(s_ij) over the candidates that are not positive: (n,). A row without negatives: −∞, gradient 0."""
    return lse(scores, relation_of(pairs, "negatives"))


def positives_lse(scores: Scores, pairs: Pairs) -> Tensor:
    """log Σ_j w_ij exp(s_ij) over the positives: (n,). A row without positives: −∞, gradient 0."""
    return lse(scores, relation_of(pairs, "positives"))


def positive_mean(scores: Scores, pairs: Pairs) -> Tensor:
    """Σ_j w_ij s_ij / Σ_j w_ij over the positives: (n,). A row without positives: 0, gradient 0."""
    return mean(scores, relation_of(pairs, "positives"))


def positive_count(pairs: Pairs) -> Tensor:
    """The number of positives of each anchor, (n,) int64."""
    return count(pairs.positives, pairs.shape)


def positive_weight(pairs: Pairs) -> Tensor:
    """The weight of the positives of each anchor, Σ_j w_ij, (n,) float."""
    return weight(pairs.positives, pairs.shape)


def negative_count(pairs: Pairs) -> Tensor:
    """The number of candidates of each anchor that are not positive, (n,) int64."""
    return count(pairs.negatives, pairs.shape)


def candidate_count(pairs: Pairs) -> Tensor:
    """The number of candidates of each anchor, positives included where they are candidates, (n,) int64."""
    return count(pairs.candidates, pairs.shape)


def candidate_weight(pairs: Pairs) -> Tensor:
    """The weight of the candidates of each anchor, Σ_j w_ij, (n,) float."""
    return weight(pairs.candidates, pairs.shape)


def softmax_mean(
    scores: Scores, pairs: Pairs, *, over: Over | Relation = "negatives", sharpness: float = 1.0, through_weights: bool = True
) -> Tensor:
    """Σ_j p_ij s_ij with p = softmax_j(sharpness · s_ij + log w_ij): (n,). A row with no one: 0, gradient 0.

    over:            whose scores: "positives", "negatives", "candidates", or a relation.
    sharpness:       of the weights; below 0 the far ones count more, 0 gives the weighted mean.
    through_weights: whether the gradient passes through p too, or through s only.
    """
    return _softmax_mean(scores, relation_of(pairs, over), sharpness, through_weights)


def sum_of(
    scores: Scores,
    pairs: Pairs,
    function: Callable[[Tensor], Tensor],
    *,
    over: Over | Relation = "negatives",
    derivative: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Σ_j w_ij f(s_ij): (n,).

    function:   elementwise, without parameters that learn (what learns belongs into scale and biases of the scores).
    over:       whose scores: "positives", "negatives", "candidates", or a relation.
    derivative: of `function`, elementwise; None lets autograd find it, tile by tile.
    """
    return _sum_of(scores, relation_of(pairs, over), function, derivative)


def top_k(scores: Scores, pairs: Pairs, k: int, *, over: Over | Relation = "negatives", largest: bool = True) -> Top:
    """The k candidates of each anchor with the largest scores, best first; found without a gradient, the scores with one.

    over:    among whom: "positives", "negatives", "candidates", or a relation (its weights count only as zero or not).
    largest: False gives the smallest scores.
    """
    return _top_k(scores, relation_of(pairs, over), k, largest)


# ---- of a relation


@_full_precision
def lse(scores: Scores, relation: Relation) -> Tensor:
    """log Σ_j w_ij exp(s_ij), (n,)."""
    check_shape(relation, scores.shape)
    return dense.lse(scores.matrix(), _weights(scores, relation))


@_full_precision
def mean(scores: Scores, relation: Relation) -> Tensor:
    """Σ_j w_ij s_ij / Σ_j w_ij, (n,); 0 for a row without weight."""
    check_shape(relation, scores.shape)
    return dense.mean(scores.matrix(), _weights(scores, relation))


def count(relation: Relation, shape: tuple[int, int]) -> Tensor:
    """The number of j with w_ij > 0, (n,) int64."""
    return (relation.dense(shape, _device(relation)) > 0).sum(1)


def weight(relation: Relation, shape: tuple[int, int]) -> Tensor:
    """Σ_j w_ij, (n,)."""
    return relation.dense(shape, _device(relation)).sum(1)


@_full_precision
def edge_scores(scores: Scores, rows: Tensor, columns: Tensor) -> Tensor:
    """The scores s_ij of single pairs: rows (e,), columns (e,) int → (e,), with gradient."""
    if scores.dense is not None:
        raw = scores.dense[rows, columns]
    else:
        raw = (scores.anchors[rows].to(scores.dtype) * scores.candidates[columns].to(scores.dtype)).sum(-1)
    raw = raw * (scores.scale[rows] if isinstance(scores.scale, Tensor) and scores.scale.dim() else scores.scale)
    if scores.row is not None:
        raw = raw + (scores.row[rows] if scores.row.dim() else scores.row)
    return raw if scores.column is None else raw + scores.column[columns]


@_full_precision
def _softmax_mean(scores: Scores, relation: Relation, sharpness: float, through_weights: bool) -> Tensor:
    check_shape(relation, scores.shape)
    return dense.softmax_mean(scores.matrix(), _weights(scores, relation), sharpness, through_weights)


@_full_precision
def _sum_of(
    scores: Scores, relation: Relation, function: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor] | None
) -> Tensor:
    check_shape(relation, scores.shape)
    return dense.sum_of(scores.matrix(), _weights(scores, relation), function)


@_full_precision
def _top_k(scores: Scores, relation: Relation, k: int, largest: bool) -> Top:
    check_shape(relation, scores.shape)
    n, m = scores.shape
    worst = -torch.inf if largest else torch.inf
    with torch.no_grad():
        S = scores.matrix().masked_fill(_weights(scores, relation) == 0, worst)
        found, columns = S.topk(min(k, m), 1, largest=largest)
        missing = found == worst
    rows = torch.arange(n, device=S.device)[:, None].expand_as(columns)
    values = edge_scores(scores, rows.reshape(-1), columns.reshape(-1)).view_as(columns).masked_fill(missing, worst)
    return Top(columns.masked_fill(missing, -1), values)


def _weights(scores: Scores, relation: Relation) -> Tensor:
    return relation.dense(scores.shape, scores.device).to(scores.dtype)


def _device(relation: Relation) -> torch.device | None:
    """The device of the first tensor in a relation."""
    tensors = [*relation.data, relation.row, relation.column, *(t for pair in relation.inside for t in pair)]
    found = next((t.device for t in tensors if isinstance(t, Tensor)), None)
    inner = [*(r for r in relation.data if isinstance(r, Relation)), *relation.ignored]
    return found if found is not None else next((d for r in inner if (d := _device(r)) is not None), None)
