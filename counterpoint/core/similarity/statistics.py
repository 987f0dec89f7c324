"""Row statistics of scores under pairs: all that a loss may see. Each has an exact gradient to anchors, candidates, scale and biases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import dense
from counterpoint.core.similarity.edges import Edges, edge_products, edges_of, weigh
from counterpoint.core.similarity.precision import full_precision, ln
from counterpoint.core.similarity.relation import Pairs, Relation, check_shape
from counterpoint.core.similarity.roads import fits_both, is_dense, run
from counterpoint.core.similarity.scores import Scores
from counterpoint.core.similarity.small import small_lse
from counterpoint.core.similarity.stream import stream_mass, top_columns

Over = Literal["positives", "negatives", "candidates"]


class Top(NamedTuple):
    """columns (n, k) int64, −1 where a row has fewer; scores (n, k) with gradient, −∞ (or +∞ for the smallest) there."""

    columns: Tensor
    scores: Tensor


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


def positive_count(pairs: Pairs, device: torch.device | None = None) -> Tensor:
    """The number of positives of each anchor, (n,) int64."""
    return count(pairs.positives, pairs.shape, device or _pairs_device(pairs))


def positive_weight(pairs: Pairs, device: torch.device | None = None) -> Tensor:
    """The weight of the positives of each anchor, Σ_j w_ij, (n,) float."""
    return weight(pairs.positives, pairs.shape, device or _pairs_device(pairs))


def negative_count(pairs: Pairs, device: torch.device | None = None) -> Tensor:
    """The number of candidates of each anchor that are not positive, (n,) int64."""
    return count(pairs.negatives, pairs.shape, device or _pairs_device(pairs))


def candidate_count(pairs: Pairs, device: torch.device | None = None) -> Tensor:
    """The number of candidates of each anchor, positives included where they are candidates, (n,) int64."""
    return count(pairs.candidates, pairs.shape, device or _pairs_device(pairs))


def candidate_weight(pairs: Pairs, device: torch.device | None = None) -> Tensor:
    """The weight of the candidates of each anchor, Σ_j w_ij, (n,) float."""
    return weight(pairs.candidates, pairs.shape, device or _pairs_device(pairs))


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


@full_precision
def lse(scores: Scores, relation: Relation) -> Tensor:
    """log Σ_j w_ij exp(s_ij), (n,)."""
    check_shape(relation, scores.shape)
    if is_dense(scores, relation):
        return dense.lse(scores.matrix(), _weights(scores, relation))
    few = _few(scores, relation)
    if few is not None:
        return _edge_lse(_scores_of(scores, few), few, scores.shape[0])
    bare, row = _bare(relation)
    value = small_lse(scores, bare)
    value = run(scores, bare, "lse")[0] if value is None else value
    return value if row is None else value + ln(row.to(value.dtype))


@full_precision
def two_way_lse(scores: Scores, relation: Relation) -> tuple[Tensor, Tensor]:
    """log Σ_j w_ij exp(s_ij) of the rows (n,) and log Σ_i w_ij exp(s_ij) of the columns (m,), for about the price of one."""
    check_shape(relation, scores.shape)
    plain = relation.row is None and relation.column is None and not is_dense(scores, relation) and _few(scores, relation) is None
    per_row = isinstance(scores.scale, Tensor) and scores.scale.dim() > 0
    if plain and not per_row and not scores.selfsame and fits_both(scores):
        first, second = run(scores, relation, "both")
        return first, second
    return lse(scores, relation), lse(scores.transposed(), relation.transposed())


@full_precision
def mean(scores: Scores, relation: Relation) -> Tensor:
    """Σ_j w_ij s_ij / Σ_j w_ij, (n,); 0 for a row without weight."""
    check_shape(relation, scores.shape)
    n = scores.shape[0]
    if is_dense(scores, relation):
        return dense.mean(scores.matrix(), _weights(scores, relation))
    few = _edges(relation, scores)
    if few is not None and few.single:
        return _scores_of(scores, few)
    mass = _mass(relation, scores.shape, scores.device, False).to(scores.dtype)
    share = 1.0 / mass.masked_fill(mass == 0, torch.inf)
    if few is not None and len(few.rows) <= 2 * n:
        return _edge_sum(_scores_of(scores, few), few, n) * share
    C = scores.candidates.to(scores.dtype)
    around = weigh(relation, C, scores.shape, C.device)
    if around is None:  # no closed form: one more pass over the tiles
        return _sum_of(scores, relation, _identity, torch.ones_like) * share
    value = torch.linalg.vecdot(scores.anchors.to(scores.dtype), around) * (scores.scale * share)
    if scores.column is not None:
        columns = weigh(relation, scores.column.to(scores.dtype)[:, None], scores.shape, C.device)
        assert columns is not None
        value = value + columns[:, 0] * share
    return value if scores.row is None else value + torch.where(mass == 0, 0.0, scores.row)


def count(relation: Relation, shape: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """The number of j with w_ij > 0, (n,) int64."""
    return _mass(relation, shape, device, True).round().long()


def weight(relation: Relation, shape: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Σ_j w_ij, (n,) float32."""
    return _mass(relation, shape, device, False).float()


def edge_scores(scores: Scores, rows: Tensor, columns: Tensor) -> Tensor:
    """The scores s_ij of single pairs: rows (e,), columns (e,) int → (e,), with gradient."""
    return _scores_of(scores, Edges(rows, columns, None))


@full_precision
def _scores_of(scores: Scores, edges: Edges) -> Tensor:
    rows, columns = edges.rows, edges.columns
    if scores.dense is not None:
        raw = scores.dense.to(scores.dtype)[rows, columns]
    else:
        raw = edge_products(scores.anchors.to(scores.dtype), scores.candidates.to(scores.dtype), rows, columns, edges.single)
    if isinstance(scores.scale, Tensor):
        raw = raw * (scores.scale[rows] if scores.scale.dim() else scores.scale)
    elif scores.scale != 1.0:
        raw = raw * scores.scale
    if scores.row is not None:
        raw = raw + (scores.row[rows] if scores.row.dim() else scores.row)
    return raw if scores.column is None else raw + scores.column[columns]


@full_precision
def _softmax_mean(scores: Scores, relation: Relation, sharpness: float, through_weights: bool) -> Tensor:
    check_shape(relation, scores.shape)
    if is_dense(scores, relation):
        return dense.softmax_mean(scores.matrix(), _weights(scores, relation), sharpness, through_weights)
    if sharpness == 0:
        return mean(scores, relation)
    few = _few(scores, relation)
    if few is not None:
        values = _scores_of(scores, few)
        sharp = (values if through_weights else values.detach()) * sharpness
        share = (sharp - _edge_lse(sharp, few, scores.shape[0])[few.rows]).exp()
        return _edge_sum(values * share, few, scores.shape[0])
    bare, row = _bare(relation)
    value = run(scores, bare, "mean", beta=sharpness, through=through_weights)[0]
    return value if row is None else torch.where(row > 0, value, 0.0)


@full_precision
def _sum_of(
    scores: Scores, relation: Relation, function: Callable[[Tensor], Tensor], derivative: Callable[[Tensor], Tensor] | None
) -> Tensor:
    check_shape(relation, scores.shape)
    if is_dense(scores, relation):
        return dense.sum_of(scores.matrix(), _weights(scores, relation), function)
    few = _few(scores, relation)
    if few is not None:
        return _edge_sum(function(_scores_of(scores, few)), few, scores.shape[0])
    bare, row = _bare(relation)
    value = run(scores, bare, "sum", function=function, derivative=derivative)[0]
    return value if row is None else value * row.to(value.dtype)


@full_precision
def _top_k(scores: Scores, relation: Relation, k: int, largest: bool) -> Top:
    check_shape(relation, scores.shape)
    n, m = scores.shape
    worst = -torch.inf if largest else torch.inf
    with torch.no_grad():
        if scores.dense is not None or 0 in scores.shape:
            S = scores.matrix().masked_fill(_weights(scores, relation) == 0, worst)
            found, columns = S.topk(min(k, m), 1, largest=largest)
            missing = found == worst
        else:
            columns = top_columns(scores.detach(), relation, min(k, m), largest)
            missing = columns < 0
    rows = torch.arange(n, device=columns.device)[:, None].expand_as(columns)
    values = edge_scores(scores, rows.reshape(-1), columns.clamp(min=0).reshape(-1)).view_as(columns).masked_fill(missing, worst)
    return Top(columns.masked_fill(missing, -1), values)


# ---- helpers


def _few(scores: Scores, relation: Relation) -> Edges | None:
    """The edges of a relation where going through them is less work than through tiles."""
    found = _edges(relation, scores)
    groups = relation.form == "equal"  # large groups make good tiles
    return None if found is None or (groups and len(found.rows) > 4 * max(scores.shape)) else found


def _edges(relation: Relation, scores: Scores) -> Edges | None:
    """The edges of a relation; none where all of its weights are written out, unless they are n at most or given."""
    written = relation.form not in ("index", "self", "none") and relation.written(scores.shape, scores.device) is not None
    return None if written else edges_of(relation, scores.shape, scores.device)


def _bare(relation: Relation) -> tuple[Relation, Tensor | None]:
    """A relation without its weights per anchor, and these: they need no tile."""
    return (relation, None) if relation.row is None else (replace(relation, row=None), relation.row)


def _edge_sum(values: Tensor, edges: Edges, n: int) -> Tensor:
    values = values if edges.weights is None else values * edges.weights.to(values.dtype)
    return values if edges.single else values.new_zeros(n).index_add(0, edges.rows, values)


def _edge_lse(values: Tensor, edges: Edges, n: int) -> Tensor:
    if edges.single:
        return values if edges.weights is None else values + ln(edges.weights.to(values.dtype))
    top = values.new_full((n,), -torch.inf).scatter_reduce(0, edges.rows, values.detach(), "amax")
    empty = top == -torch.inf
    top = top.masked_fill(empty, 0.0)
    mass = _edge_sum((values - top[edges.rows]).exp(), edges, n)
    return (ln(mass.masked_fill(empty, 1.0)) + top).masked_fill(empty, -torch.inf)


def _identity(S: Tensor) -> Tensor:
    return S


def _mass(relation: Relation, shape: tuple[int, int], device: torch.device | None, indicator: bool) -> Tensor:
    check_shape(relation, shape)
    device, indicator = device or _device(relation) or torch.device("cpu"), indicator and not relation.binary
    key = ("mass", shape, device, indicator)
    if key not in relation.cache:
        closed = weigh(relation, None, shape, device, indicator)
        relation.cache[key] = stream_mass(relation, shape, device, indicator) if closed is None else closed[:, 0]
    found: Tensor = relation.cache[key]
    return found


def _pairs_device(pairs: Pairs) -> torch.device | None:
    if pairs.block is not None:
        return pairs.block[0].device
    return _device(pairs.positive) or _device(pairs.candidate)


def _weights(scores: Scores, relation: Relation) -> Tensor:
    return relation.dense(scores.shape, scores.device).to(scores.dtype)


def _device(relation: Relation) -> torch.device | None:
    """The device of the first tensor in a relation."""
    tensors = [*relation.data, relation.row, relation.column, *(t for pair in relation.inside for t in pair)]
    found = next((t.device for t in tensors if isinstance(t, Tensor)), None)
    inner = [*(r for r in relation.data if isinstance(r, Relation)), *relation.ignored]
    return found if found is not None else next((d for r in inner if (d := _device(r)) is not None), None)
