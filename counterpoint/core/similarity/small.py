"""The log-sum-exp of few rows: one tile, kept for the backward, in as few calls as there can be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from counterpoint.core.similarity import plan as plans
from counterpoint.core.similarity.plan import Plan
from counterpoint.core.similarity.relation import Relation
from counterpoint.core.similarity.roads import Job, densely
from counterpoint.core.similarity.scores import Scores
from counterpoint.core.similarity.tiles import HIGH

_TINY = 1e-37


def small_lse(scores: Scores, relation: Relation) -> Tensor | None:
    """log Σ_j w_ij exp(s_ij) of bounded scores with one scale; None where this is not the road for it."""
    n, m = scores.shape
    scale = scores.scale
    if not scores.bounded or scores.column is not None or n * m > plans.KEEP or max(n, m) > plans.TILE["cpu"]:
        return None
    if isinstance(scale, Tensor) or abs(scale) > HIGH or (scores.row is not None and scores.row is scores.column):
        return None
    plan = plans.plan_of(relation, (n, m), scores.device, scores.selfsame)
    if not plan.single or plan.row_order is not None or plan.others or plan.soft is not None or plan.column is not None:
        return None
    A = scores.anchors.to(scores.dtype)
    C = None if scores.selfsame else scores.candidates.to(scores.dtype)
    value: Tensor = _Small.apply(A, C, float(scale), plan, relation)  # type: ignore[no-untyped-call]
    return value if scores.row is None else value + scores.row


class _Small(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, A: Tensor, C: Tensor | None, scale: float, plan: Plan, relation: Relation) -> Tensor:
        L = A * scale
        E = torch.mm(L, (A if C is None else C).T).exp_()
        cell = plan.stripes[0][2][0]
        plan.mask(cell, E, 0.0, E.new_empty(E.numel() if cell.equal else 0))
        mass = E.sum(1)
        lse = mass.log()
        ctx.save_for_backward(A, C, L, E, mass.clamp_(min=_TINY))  # a row without candidates has only zeros to divide
        ctx.scale, ctx.plan, ctx.relation = scale, plan, relation
        return lse

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:  # type: ignore[override]
        A, C, L, E, mass = ctx.saved_tensors
        needs = ctx.needs_input_grad[:2]
        if torch.is_grad_enabled():
            job = Job("lse", ctx.relation, number=ctx.scale)
            found = densely(job, ctx.plan, (A, C, None, None, None), (*needs, False, False, False), (g,))
            return found[0], found[1], None, None, None
        u = (g / mass)[:, None]
        if ctx.plan.symmetric:
            return ((u + u.T).mul_(E) @ A).mul_(ctx.scale), None, None, None, None
        G = E * u
        dA = (G @ (A if C is None else C)).mul_(ctx.scale) if needs[0] else None
        dC = G.T @ L if needs[1] or (C is None and needs[0]) else None
        if C is None and dA is not None and dC is not None:
            dA, dC = dA.add_(dC), None
        return dA, dC, None, None, None
