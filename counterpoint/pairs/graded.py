"""Rules whose positives are graded: soft labels, similar labels, shared labels, weights per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import Count, NotNegative, Part, Positive, use
from counterpoint.core.recipe import UNKNOWN, Rows, joint, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import column, compose, identity, older
from counterpoint.pairs.overlap import overlapping
from counterpoint.pairs.same import same


@requires(column=("{key}",), table=("{table}",))
def soft(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    key: str = "label",
    table: str = "label_vectors",
    temperature: Positive = 0.35,
    top: Count | None = None,
) -> Pairs:
    """Everyone is positive, as much as the labels are alike: w_ij ∝ exp(cos(l_yi, l_yj) / τ) (Dialog2Flow, paper 005).

    With `losses.supervised` this is the cross-entropy with the targets softmax_j(cos(l_yi, l_yj) / τ). Rows without a label do not count.

    key: the label of a row, 0 … c − 1, −1 = unknown.
    table: the vectors (c, e) of the labels: embeddings of their names, of a tree, of anything.
    temperature: τ > 0; low is nearly "equal label", high is uniform.
    top: only the labels most alike to the anchor's are positives, this many; all of them where not given.
    """
    vectors = functional.normalize(_table(tables, table).to(anchors.z.device).float(), dim=1)
    first, second = column(anchors, key, "anchors"), column(candidates, key, "candidates")
    if max(_largest(first), _largest(second)) >= len(vectors):
        raise RequirementError(f"the table {table!r} has {len(vectors)} label vectors and the key {key!r} goes beyond; give one per label")
    present, codes = torch.cat([first, second]).unique(return_inverse=True)
    alike = ((vectors[present.clamp(min=0)] @ vectors[present.clamp(min=0)].T - 1) / temperature).exp()  # labels of the batch
    alike = alike * (present >= 0)[:, None] * (present >= 0)
    if top is not None and top < len(present):
        alike = alike * (alike >= alike.topk(top, dim=1).values[:, -1:])
    right = functional.one_hot(codes[len(first) :], len(present)).to(alike.dtype)
    return compose(anchors, candidates, Relation.product(alike[codes[: len(first)]], right), own=False)


@requires(column=("{key}",))
def product(
    anchors: Rows, candidates: Rows, tables: Mapping[str, Any], *, key: str = "q", other: str | None = None, own: NotNegative = 1.0
) -> Pairs:
    """w_ij = q_i · q_j: the chance that two rows with soft labels q (n, k) ≥ 0 have the same one (BaCon, paper 118).

    key: the soft labels of a row, a key with k real values; NaN = unknown, no positives by it.
    other: its name on the side of the candidates, where it differs.
    own: weight of the other rows of the anchor's own item where q gives them less; 0 leaves it to q.
    """
    first, second = column(anchors, key, "anchors"), column(candidates, key if other is None else other, "candidates")
    if first.ndim != 2 or second.ndim != 2 or not first.is_floating_point():
        raise RequirementError(f"the key {key!r} must hold k real values per row, shape (rows, k); it has {tuple(first.shape)}")
    if bool((first < 0).any()) or bool((second < 0).any()):
        raise RequirementError(f"the key {key!r} has values below 0; soft labels are ≥ 0")
    return compose(anchors, candidates, Relation.product(first.nan_to_num(), second.nan_to_num()), own=own)


@requires(column=("{key}",))
def overlap(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    key: str,
    weight: Literal["any", "count", "share"] = "share",
    own: bool = True,
) -> Pairs:
    """Positives share labels: the more, the more positive.

    key: several labels per row, (n, k) int, −1 where there are fewer.
    weight: "share" the shared labels over all labels of both (Jaccard), "count" their number, "any" 1 for one or more.
    own: whether other rows of the anchor's item are positives (weight 1) even without labels.
    """
    relation = overlapping(column(anchors, key, "anchors"), column(candidates, key, "candidates"), weight)
    return compose(anchors, candidates, relation, own=own)


@requires(column=("{anchor}", "{positive}", "{candidate}"))
def weighted(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    rule: Part = use(same),  # noqa: B008  (a part is a frozen value)
    anchor: str | None = None,
    positive: str | None = None,
    candidate: str | None = None,
) -> Pairs:
    """Another rule, its pairs weighted by keys of the rows; unknown (NaN) counts 1, 0 takes a row out.

    rule: the rule that says who is positive.
    anchor: key of the anchors that multiplies their positives (losses that average positives do not see it).
    positive: key of the candidates: their weight as a positive.
    candidate: key of the candidates: their weight in the denominator.
    """
    found: Pairs = rule(anchors, candidates, tables)
    one = None if anchor is None else column(anchors, anchor, "anchors").nan_to_num(1.0)
    two = None if positive is None else column(candidates, positive, "candidates").nan_to_num(1.0)
    three = None if candidate is None else column(candidates, candidate, "candidates").nan_to_num(1.0)
    return Pairs(found.positive.weighted(one, two), found.candidate.weighted(None, three), found.shape, found.block)


@joint("counted")
@requires(column=("{key}",))
def proxies(
    anchors: Rows, candidates: Rows, tables: Mapping[str, Any], *, key: str = "label", other: str | None = None, counted: bool = True
) -> Pairs:
    """Anchors against one vector per class: the class's own is positive, only classes of the batch compete (PCR, paper 103).

    With `counted` a class stands in the denominator as often as it has anchors: w_c = n_c, a column bias of log n_c. Use it with
    `losses.supervised`.

    key: the label of an anchor, −1 = unknown: does not count.
    other: the label of a candidate, where its name differs.
    counted: whether classes are weighted by their number of anchors; without, each class of the batch counts once.
    """
    first, second = column(anchors, key, "anchors"), column(candidates, key if other is None else other, "candidates")
    values, number = first[first != UNKNOWN].unique(return_counts=True)
    place = torch.searchsorted(values, second.contiguous()).clamp(max=max(len(values) - 1, 0))
    weights = torch.zeros(len(second), device=anchors.z.device)
    if len(values):
        weights = torch.where(values[place] == second, number[place] if counted else torch.ones_like(number[place]), 0).float()
    candidate = Relation.all().weighted(column=weights).without(identity(anchors, candidates), older(anchors, candidates))
    return Pairs(Relation.equal(first, second), candidate, (len(anchors), len(candidates)))


def _table(tables: Mapping[str, Any], name: str) -> Tensor:
    if name not in tables:
        raise RequirementError(f"the data have no table {name!r}{nearest(name, tables)}")
    return torch.as_tensor(tables[name])


def _largest(key: Tensor) -> int:
    return int(key.max()) if len(key) else UNKNOWN
