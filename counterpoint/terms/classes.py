"""Learning classes of which only some have labels: cross-entropy, self-distilled pseudo-labels, an even prediction, classes apart.

All read the space "logits" (n, K), cosines of rows with classes, which `encoders.classes` emits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import NotNegative, Part, Positive, Share
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Rows, requires, value_of
from counterpoint.core.similarity import Relation
from counterpoint.terms.alignment import in_one_order, position_of


@requires(column=("{label}",))
def classified(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    logits: str = "logits",
    label: str = "label",
    temperature: Positive | Part = 0.1,
) -> RowLoss:
    """Cross-entropy of the rows with a label, (n,): L_i = −log softmax(l_i / t)_{y_i}. Rows without one do not count. Chance: ln K.

    logits: space of the logits.
    label: key of the labels, −1 where there is none.
    temperature: t > 0; may move over the run.
    """
    rows = out[logits]
    y = labels_of(rows, label)
    counted = y >= 0
    log = (rows.z.float() / value_of(temperature, now)).log_softmax(1)
    values = -log.gather(1, y.clamp(min=0)[:, None])[:, 0]
    return RowLoss(torch.where(counted, values, 0 * values), counted, math.log(log.shape[1]))


def pseudo_labels(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    logits: str = "logits",
    hard: Share | Part = 0.0,
    temperature: Positive | Part = 0.1,
    teacher_temperature: Positive | Part = 0.05,
) -> RowLoss:
    """Every view predicts the classes of the others; the surest of them as one-hot labels (ProtoGCD, paper 021), (b,).

    L_i = 1 / (V (V − 1)) Σ_{a ≠ v} −Σ_k q_ik^a log softmax(l_i^v / t)_k. In each view the ⌊ρ b⌋ rows with the largest ratio of the two
    highest probabilities of softmax(l / t') have q = one-hot of the highest, the others q = softmax(l / t'). No gradient to q.
    ρ = 0 is the self-distillation of SimGCD. Chance: ln K.

    logits: space of the logits of all views.
    hard: ρ, share of hard labels; usually grows over the run.
    temperature: t > 0; may move over the run.
    teacher_temperature: t' > 0, lower than t; may move over the run.
    """
    rows = out[logits]
    views = in_one_order([position_of(rows, v) for v in range(len(rows.roles))])
    if len(views) < 2:
        raise RequirementError("pseudo-labels are predicted from another view of the item, and there is one view")
    t, sharp, share = (value_of(value, now) for value in (temperature, teacher_temperature, hard))
    logs = [(view.z.float() / t).log_softmax(1) for view in views]
    values = 0 * logs[0].sum(1)
    for a, view in enumerate(views):
        target = _target(view.z.detach().float() / sharp, share)
        values = values - sum((target * log).sum(1) for v, log in enumerate(logs) if v != a)
    count = len(views) * (len(views) - 1)
    return RowLoss(values / count, torch.ones_like(values, dtype=torch.bool), math.log(rows.z.shape[1]))


def _target(scaled: Tensor, share: float) -> Tensor:
    """Soft labels (b, K), of which the ⌊share · b⌋ surest are one-hot."""
    soft = scaled.softmax(1)
    count = math.floor(share * len(soft) + 1e-9)
    if not count:
        return soft
    two = scaled.topk(2, dim=1).values  # the ratio of two probabilities is the difference of their logits
    sure = (two[:, 0] - two[:, 1]).topk(count).indices
    hard = torch.zeros_like(soft[sure]).scatter(1, soft[sure].argmax(1, keepdim=True), 1.0)
    return soft.index_copy(0, sure, hard)


def even_prediction(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    logits: str = "logits",
    temperature: Positive | Part = 0.1,
    prior: str | None = None,
    power: NotNegative = 1.0,
) -> RowLoss:
    """The mean prediction of a batch follows the prior of the classes: one number, ≥ 0, 0 where it does.

    L = Σ_k p_k log p_k + log K,  p ∝ mean_i softmax(l_i / t)_k / n_k^γ, n the prior; even classes where there is none (SimGCD), an estimate
    in BaCon (paper 118).

    logits: space of the logits; all views.
    temperature: t > 0; may move over the run.
    prior: table with the share of each class (K,); even until a round has written it.
    power: γ, how much of the prior is taken (1.1 in BaCon).
    """
    rows = out[logits]
    mean = (rows.z.float() / value_of(temperature, now)).softmax(1).mean(0) if len(rows) else torch.ones_like(rows.z.sum(0))
    if prior is not None and prior in tables:
        mean = mean / prior_of(tables, prior, len(mean)).to(mean).pow(power)
        mean = mean / mean.sum()
    value = (mean * mean.clamp(min=1e-12).log()).sum() + math.log(len(mean))  # an empty class has no infinite slope
    return RowLoss(value[None], torch.ones(1, dtype=torch.bool, device=value.device))


def apart(
    out: Embeddings, tables: Mapping[str, Any], now: Progress, *, space: str = "classes", temperature: Positive | Part = 0.1
) -> RowLoss:
    """Directions of classes away from each other, (K,): L_k = log( 1 / (K − 1) Σ_{j ≠ k} exp(cos(w_k, w_j) / t) ) (ProtoGCD, paper 021).

    space: the rows, one per class.
    temperature: t > 0; may move over the run.
    """
    z = out[space].z
    scores = similarity.cosine(z, z).divide(value_of(temperature, now))
    values = similarity.lse(scores, Relation.all().without(Relation.itself())) - math.log(max(len(z) - 1, 1))
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), 0.0)


def labels_of(rows: Rows, label: str) -> Tensor:
    """The labels (n,) of rows with logits; RequirementError where a label has no class."""
    if label not in rows.keys:
        raise RequirementError(f"the rows have no key {label!r}{nearest(label, rows.keys)}")
    y = rows.keys[label]
    if len(y) and int(y.max()) >= rows.z.shape[1]:
        raise RequirementError(f"{label} {int(y.max())} stands above the {rows.z.shape[1]} classes; labels must be 0 … c − 1 without a gap")
    return y


def prior_of(tables: Mapping[str, Any], name: str, count: int) -> Tensor:
    """The prior (K,) of a table; RequirementError where it is of another number of classes."""
    found = torch.as_tensor(tables[name])
    if found.shape != (count,):
        raise RequirementError(f"the table {name!r} has the shape {tuple(found.shape)} and there are {count} classes")
    return found
