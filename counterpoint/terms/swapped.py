"""Swapped prediction: one view's balanced cluster codes, predicted from the other views (SwAV, paper 124)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from counterpoint.clustering import sinkhorn
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import Count, Part, Positive, Share
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, value_of
from counterpoint.terms.alignment import in_one_order, position_of


def swapped(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    space: str = "z",
    prototypes: str = "prototypes",
    queue: str | None = None,
    queue_from: Share = 0.0,
    assign: tuple[str, ...] = ("global",),
    temperature: Positive | Part = 0.1,
    epsilon: Positive = 0.05,
    iterations: Count = 3,
) -> RowLoss:
    """Cross-entropy between the codes of one view and the prediction from another (Caron et al., SwAV, NeurIPS 2020, equations 1 to 4).

    L_i = 1/|A| Σ_{a∈A} 1/(V − 1) Σ_{v≠a} − Σ_k q_ik^a log softmax_k(z_i^v · c_k / t),   q^a = sinkhorn(z^a Cᵀ), without gradient.
    z (v·b, d) and prototypes C (k, d) are normalised here; V views in all, A those with a role in `assign`. No gradient reaches anything
    through q. Chance: ln k, which is also where a collapsed run stays.

    space: the embeddings of all views.
    prototypes: the shared rows that stand for clusters.
    queue: shared rows of earlier embeddings that join the balancing once all of them are filled; None = the batch alone.
    queue_from: share of the run after which the queue joins; too early and its rows are stale.
    assign: roles of the views that give codes; every view of an item predicts them.
    temperature: of the prediction's softmax, > 0; may move over the run.
    epsilon: smoothness of the codes, > 0.
    iterations: rounds of balancing, ≥ 1.
    """
    rows, centres = out[space], functional.normalize(out[prototypes].z.float(), dim=1)
    givers = [i for i, role in enumerate(rows.roles) if role in assign]
    if not givers:
        raise OptionError(f"assign = {assign!r}: no view of space {space!r} has such a role; it has {', '.join(rows.roles) or 'none'}")
    if len(rows.roles) < 2:
        raise RequirementError("swapped prediction needs two views or more of an item, and there is one")
    t = value_of(temperature, now)
    store = queue if now.share >= queue_from else None
    views = in_one_order([position_of(rows, i) for i in range(len(rows.roles))])
    with torch.autocast(rows.z.device.type, enabled=False):
        scores = [functional.normalize(view.z.float(), dim=1) @ centres.T for view in views]  # (b, k) each
        logs = [functional.log_softmax(s / t, dim=1) for s in scores]
        values = 0 * scores[0].sum(dim=1)
        for a in givers:
            codes = _codes(scores[a].detach(), _stored(out, store, a), centres.detach(), epsilon, iterations)
            values = values - sum((codes * log).sum(dim=1) for v, log in enumerate(logs) if v != a)
    values = values / (len(givers) * (len(views) - 1))
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), math.log(len(centres)))


def _stored(out: Embeddings, queue: str | None, view: int) -> Tensor | None:
    """The queue's rows for a view: all of them where it keeps views together. None until every one is filled."""
    if queue is None:
        return None
    rows = out[queue]
    if "view" in rows.keys and bool((rows.keys["view"] == view).any()):
        rows = position_of(rows, view)
    return rows.z.detach() if len(rows) and bool((rows.keys["item"] >= 0).all()) else None


def _codes(scores: Tensor, stored: Tensor | None, centres: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Codes (b, k) of a view's scores (b, k), balanced together with the stored embeddings (l, d)."""
    if stored is None or not len(scores):
        return sinkhorn(scores, epsilon=epsilon, iterations=iterations) if len(scores) else scores
    before = functional.normalize(stored.float(), dim=1) @ centres.T
    return sinkhorn(torch.cat([before, scores]), epsilon=epsilon, iterations=iterations)[len(before) :]
