"""A contrast that reads the scores of a second model, or clusters, beside its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.core import similarity as similarities
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Rows, Select, pick, requires, value_of
from counterpoint.core.similarity import Scores
from counterpoint.terms.alignment import align


def referenced(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    pairs: Part,
    loss: Part,
    anchors: str | Select = "z",
    candidates: str | Select = "z",
    reference_anchors: str | Select = "teacher",
    reference_candidates: str | Select = "teacher",
    similarity: Part = use(similarities.cosine),  # noqa: B008  (a part is a frozen value)
    aligned: tuple[str, ...] = ("item", "view"),
) -> RowLoss:
    """loss(scores, pairs, reference scores) -> RowLoss: margins relative to a second model, structure kept from a second model.

    The reference's rows are put in the order of the student's rows, by their keys; it gets no gradient.

    pairs: who is positive, a rule over anchors and candidates.
    loss: losses.boosted, losses.similarity_distillation, …; its options may move over the run.
    anchors: space of the anchors.
    candidates: space of the candidates.
    reference_anchors: space of the second model's rows for the anchors.
    reference_candidates: space of the second model's rows for the candidates.
    similarity: of both.
    aligned: keys by which the rows of both models are matched.
    """
    one, two = pick(out, anchors), pick(out, candidates)
    same = anchors == candidates
    r_one = _in_order(one, pick(out, reference_anchors), aligned)
    r_two = r_one if same and reference_anchors == reference_candidates else _in_order(two, pick(out, reference_candidates), aligned)
    two = one if same else two
    scores: Scores = similarity(one.z, two.z)
    reference: Scores = similarity(r_one.z, r_two.z)
    result: RowLoss = loss(scores, pairs(one, two, tables), reference.detach(), **_moving(loss, now))
    return result


@requires(column=("{key}",))
def clustered(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    pairs: Part,
    loss: Part,
    space: str | Select = "z",
    key: str = "cluster",
    similarity: Part = use(similarities.cosine),  # noqa: B008
) -> RowLoss:
    """loss(scores, pairs, clusters (n,)) -> RowLoss: positives among rows, negatives among clusters (losses.cluster_proxies).

    pairs: who is positive.
    loss: the loss; its options may move over the run.
    space: the rows, contrasted with themselves.
    key: the cluster of a row, −1 = none.
    similarity: of the rows.
    """
    rows = pick(out, space)
    if key not in rows.keys:
        raise RequirementError(f"the rows of {space!r} have no key {key!r}, which a round has to write; they have {', '.join(rows.keys)}")
    result: RowLoss = loss(similarity(rows.z, rows.z), pairs(rows, rows, tables), rows.keys[key], **_moving(loss, now))
    return result


def _in_order(rows: Rows, other: Rows, keys: tuple[str, ...]) -> Rows:
    """The rows of `other` in the order of `rows`; every one has to be there."""
    left, right = align(rows, other, keys)
    if len(left) != len(rows):
        raise RequirementError(
            f"{len(rows) - len(left)} of {len(rows)} rows have no counterpart in the second model (by {', '.join(keys)})"
        )
    return other.where(right)


def _moving(loss: Part, now: Progress) -> dict[str, float]:
    return {name: value_of(value, now) for name, value in loss.options.items() if isinstance(value, Part)}
