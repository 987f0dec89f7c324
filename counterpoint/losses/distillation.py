"""Learn another model's distribution: over outputs (centred softmax), or over the similarities of a batch."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores
from counterpoint.losses.rows import aligned, finish, full_precision, no_autocast

_STRIPE = 1 << 20  # scores of a stripe of anchors that are alive at a time


def distillation(
    student: Tensor,
    teacher: Tensor,
    centre: Tensor | None = None,
    *,
    temperature: Positive | Part = 0.1,
    teacher_temperature: Positive | Part = 0.04,
    centring: Literal["batch", "none"] = "none",
) -> RowLoss:
    """Cross-entropy with a teacher's centred softmax, student and teacher (n, k): Caron et al., DINO, ICCV 2021, equations 1 and 4, (n,).

    L_i = −Σ_k softmax((t_i − c) / τ_t)_k log softmax(s_i / τ_s)_k, no gradient to the teacher. Chance: ln k, where a collapse stays too.

    centre: c (k,), a running mean kept by the model; None with centring = "batch" takes the mean of the teacher's rows.
    temperature: τ_s > 0; may move over the run.
    teacher_temperature: τ_t > 0, lower, so that targets are sharp; may move over the run.
    centring: what is subtracted where no centre is given.
    """
    aligned("distillation", student, teacher)
    with no_autocast(student):
        s, t = full_precision(student, teacher.detach())
        middle = centre.to(t) if centre is not None else t.mean(0) if centring == "batch" and len(t) else torch.zeros_like(t[:1])
        target = ((t - middle.detach()) / float(teacher_temperature)).softmax(1)  # type: ignore[arg-type]
        values = -(target * (s / float(temperature)).log_softmax(1)).sum(1)  # type: ignore[arg-type]
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), math.log(max(s.shape[1], 1)))


def similarity_distillation(
    scores: Scores,
    pairs: Pairs,
    reference: Scores,
    *,
    temperature: Positive | Part = 0.09,
    reference_temperature: Positive | Part = 0.09,
) -> RowLoss:
    """Keep the structure of similarities: cross-entropy of one softmax over the candidates with another's (HPCR, paper 103), (n,).

    L_i = −Σ_j q_ij log p_ij,   p_i = softmax_j(s_ij / t), q_i = softmax_j(r_ij / t') over the candidates j of i, no gradient to r.
    A candidate of weight w counts as w candidates.
    Stripes of anchors are computed one at a time, and once more in the backward: memory grows with the rows, not with their product.
    Rows without candidates do not count. Chance (equal scores): log of the number of candidates.

    temperature: t > 0; may move over the run.
    reference_temperature: t' > 0; may move over the run.
    """
    scores, reference = scores.divide(temperature), reference.detach().divide(reference_temperature)  # type: ignore[arg-type]
    n, m = scores.shape
    relation = pairs.candidates
    size = max(1, _STRIPE // max(m, 1))
    columns = torch.arange(m, device=scores.device)[None, :]

    def stripe(rows: Tensor) -> Tensor:
        weight = relation.at(rows[:, None], columns).to(scores.dtype)
        out = weight == 0
        empty = out.all(1, keepdim=True)
        out = out & ~empty
        log = similarity.ln(weight.clamp(min=1e-30))
        own, other = part(scores, rows), part(reference, rows)
        target = (other + log).masked_fill(out, -math.inf).softmax(1)
        return (own + log).masked_fill(out, -math.inf).logsumexp(1) - (target * own.masked_fill(out, 0.0)).sum(1)

    with no_autocast(scores.anchors):
        parts = [checkpoint(stripe, rows, use_reentrant=False) for rows in torch.arange(n, device=scores.device).split(size)]
    number = similarity.candidate_weight(pairs).to(scores.dtype)
    values = torch.cat(parts) if parts else scores.anchors.sum(1)
    return finish(values, number > 0, similarity.ln(number.clamp(min=1e-30)))


def part(scores: Scores, rows: Tensor) -> Tensor:
    """The scores of some anchors, (r, m), by plain autograd."""

    def of(value: Tensor | float | None) -> Tensor | float | None:
        return value[rows] if isinstance(value, Tensor) and value.dim() else value

    if scores.dense is not None:
        few = Scores(scores.anchors, scores.candidates, of(scores.scale), of(scores.row), scores.column, dense=scores.dense[rows])  # type: ignore[arg-type]
    else:
        few = Scores(scores.anchors[rows], scores.candidates, of(scores.scale), of(scores.row), scores.column)  # type: ignore[arg-type]
    return few.matrix()
