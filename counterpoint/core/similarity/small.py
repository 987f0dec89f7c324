"""Few rows: one tile of exponentials, kept for the backward, in as few calls as there can be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint.core.similarity import dense
from counterpoint.core.similarity import plan as plans
from counterpoint.core.similarity.edges import is_self
from counterpoint.core.similarity.precision import full_precision_backward, ln
from counterpoint.core.similarity.relation import Pairs, Relation
from counterpoint.core.similarity.scores import Scores
from counterpoint.core.similarity.tiles import BITS, HIGH

_TINY = 1e-37

Mask = Callable[[Tensor], object]  # writes 0 into a tile of exponentials


def small_lse(scores: Scores, relation: Relation) -> Tensor | None:
    """log Σ_j w_ij exp(s_ij) of bounded scores with one scale; None where this is not the road for it."""
    if not _is_small(scores):
        return None
    found = _mask(scores, relation)
    if found is None:
        return None
    mask, symmetric = found
    value: Tensor = _Lse.apply(*_operands(scores), mask, symmetric, relation)  # type: ignore[no-untyped-call]
    return value if scores.row is None else value + scores.row


def small_contrast(scores: Scores, pairs: Pairs) -> Tensor | None:
    """softplus(log Σ_negatives exp(s_ij) − s_ip) where every anchor has one positive, named by its index; None elsewhere."""
    positive, (n, m) = pairs.positive, scores.shape
    if not _is_small(scores) or not positive.bare or pairs.block is not None:
        return None
    if positive.form == "self" and n == m:
        column, mutual = torch.arange(n, device=scores.device)[:, None], True
    elif positive.partner is not None:
        column, mutual = positive.partner
    else:
        return None
    candidate = pairs.candidate
    if candidate.form == "all" and _only_self(candidate):
        mask: Mask = partial(_zero_self_and, target=column, diagonal=bool(candidate.ignored))
        symmetric = scores.selfsame
    else:
        found = _mask(scores, pairs.negatives)
        if found is None:
            return None
        mask, symmetric = found
    symmetric = symmetric and mutual
    value: Tensor = _Contrast.apply(*_operands(scores), mask, symmetric, column, pairs)  # type: ignore[no-untyped-call]
    return value


def small_two_way(scores: Scores, pairs: Pairs) -> Tensor | None:
    """`small_contrast` of the rows and of the columns (2n,) on one tile, where row i's positive is column i and all are candidates."""
    n, m = scores.shape
    plain = pairs.positive.bare and pairs.positive.form == "self" and n == m and pairs.block is None
    if not plain or not _is_small(scores) or scores.selfsame or pairs.candidate.form != "all" or not _only_self(pairs.candidate):
        return None
    value: Tensor = _TwoWay.apply(*_operands(scores), pairs)  # type: ignore[no-untyped-call]
    return value


def _is_small(scores: Scores) -> bool:
    n, m = scores.shape
    if not scores.bounded or scores.column is not None or not 0 < n * m <= plans.KEEP or max(n, m) > plans.TILE["cpu"]:
        return False
    return not isinstance(scores.scale, Tensor) and abs(scores.scale) <= HIGH and (scores.row is None or scores.row.dim() == 0)


def _operands(scores: Scores) -> tuple[Tensor, Tensor | None, float]:
    A = scores.anchors.to(scores.dtype)
    return A, None if scores.selfsame else scores.candidates.to(scores.dtype), float(scores.scale)


def _only_self(relation: Relation) -> bool:
    plain = not relation.inside and relation.row is None and relation.column is None
    return plain and (not relation.ignored or (len(relation.ignored) == 1 and is_self(relation.ignored[0])))


def _zero_self_and(E: Tensor, *, target: Tensor, diagonal: bool) -> None:
    if diagonal:
        E.fill_diagonal_(0.0)
    E.scatter_(1, target, 0.0)


def _mask(scores: Scores, relation: Relation) -> tuple[Mask, bool] | None:
    """(what writes zeros where the weight is zero, whether the relation is symmetric); None where weights are soft or rows sorted."""
    if relation.form == "all" and _only_self(relation):
        return partial(_zero_self, diagonal=bool(relation.ignored)), scores.selfsame
    W = relation.written(scores.shape, scores.device)
    if W is not None:
        return partial(_times, W=W.to(scores.dtype)), False
    plan = plans.plan_of(relation, scores.shape, scores.device, scores.selfsame)
    if not plan.single or plan.row_order is not None or plan.others or plan.soft is not None or plan.column is not None:
        return None
    return plan.mask_only, plan.symmetric


def _zero_self(E: Tensor, *, diagonal: bool) -> None:
    if diagonal:
        E.fill_diagonal_(0.0)


def _times(E: Tensor, *, W: Tensor) -> None:
    E.mul_(W)


class _Lse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, A: Tensor, C: Tensor | None, scale: float, mask: Mask, symmetric: bool, relation: Relation) -> Tensor:
        E = torch.mm(A * (scale * BITS), (A if C is None else C).T).exp2_()
        mask(E)
        mass = E.sum(1)
        lse = ln(mass)
        ctx.save_for_backward(A, C, E, mass.clamp_(min=_TINY))  # a row without candidates has only zeros to divide
        ctx.more = scale, symmetric, relation
        return lse

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, g: Tensor) -> Any:  # type: ignore[override]
        A, C, E, mass = ctx.saved_tensors
        scale, symmetric, relation = ctx.more
        if torch.is_grad_enabled():
            return *_second(ctx, A, C, scale, g, lambda S: dense.lse(S, _dense(relation, S))), None, None, None, None
        u = (g / mass)[:, None]
        G = (u + u.T).mul_(E) if symmetric else E * u
        return *_pull(ctx, G, A, C, scale, symmetric), None, None, None, None


class _Contrast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, A: Tensor, C: Tensor | None, scale: float, mask: Mask, symmetric: bool, target: Tensor, pairs: Pairs) -> Tensor:
        E = torch.mm(A * (scale * BITS), (A if C is None else C).T)
        own = E.gather(1, target)
        mask(E.exp2_())
        mass = E.sum(1, keepdim=True)
        against = (mass.log2() - own).mul_(1 / BITS)
        ctx.save_for_backward(A, C, E, mass.clamp_(min=_TINY), against)
        ctx.more = scale, symmetric, target, pairs
        return F.softplus(against)[:, 0]

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, g: Tensor) -> Any:  # type: ignore[override]
        A, C, E, mass, against = ctx.saved_tensors
        scale, symmetric, target, pairs = ctx.more
        if torch.is_grad_enabled():
            return *_second(ctx, A, C, scale, g, lambda S: _dense_contrast(S, pairs, target)), None, None, None, None, None
        pull = torch.sigmoid(against).mul_(g[:, None])  # the share of the negatives, exact where it is small
        u = pull / mass
        if symmetric:
            G = (u + u.T).mul_(E).scatter_(1, target, -pull.add(pull.gather(0, target)))
        else:
            G = (E * u).scatter_(1, target, -pull)
        return *_pull(ctx, G, A, C, scale, symmetric), None, None, None, None, None


class _TwoWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, A: Tensor, C: Tensor, scale: float, pairs: Pairs) -> Tensor:
        E = torch.mm(A * (scale * BITS), C.T)
        own = E.diagonal().clone()
        E.exp2_().fill_diagonal_(0.0)
        masses = torch.stack([E.sum(1), E.sum(0)])
        against = (masses.log2() - own).mul_(1 / BITS)
        ctx.save_for_backward(A, C, E, masses.clamp_(min=_TINY), against)
        ctx.more = scale, pairs
        return F.softplus(against).view(-1)

    @staticmethod
    @full_precision_backward
    def backward(ctx: Any, g: Tensor) -> Any:  # type: ignore[override]
        A, C, E, masses, against = ctx.saved_tensors
        scale, pairs = ctx.more
        if torch.is_grad_enabled():
            target = torch.arange(len(A), device=A.device)[:, None]

            def formula(S: Tensor) -> Tensor:
                return torch.cat([_dense_contrast(S, pairs, target), _dense_contrast(S.T, pairs.transposed(), target)])

            return *_second(ctx, A, C, scale, g, formula), None, None
        pull = torch.sigmoid(against).mul_(g.view_as(against)).mul_(scale)
        u = pull / masses
        G = torch.add(u[0][:, None], u[1]).mul_(E)
        G.diagonal().sub_(pull.sum(0))  # where there were zeros
        return *_pull(ctx, G, A, C, 1.0, False), None, None


def _pull(ctx: Any, G: Tensor, A: Tensor, C: Tensor | None, scale: float, symmetric: bool) -> tuple[Tensor | None, Tensor | None]:
    needs = ctx.needs_input_grad
    dA = G @ (A if C is None else C) if needs[0] else None
    if C is None and dA is not None:
        return (dA if symmetric else dA.addmm_(G.T, A)).mul_(scale), None
    dC = G.T @ A if needs[1] else None
    return (dA, dC) if scale == 1.0 else tuple(None if d is None else d.mul_(scale) for d in (dA, dC))  # type: ignore[return-value]


def _second(
    ctx: Any, A: Tensor, C: Tensor | None, scale: float, g: Tensor, formula: Callable[[Tensor], Tensor]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradient as a graph of its own, for second derivatives."""
    needs = ctx.needs_input_grad[:2]
    with torch.enable_grad():
        value = formula((A * scale) @ (A if C is None else C).T)
        found = iter(torch.autograd.grad(value, [x for x, need in zip((A, C), needs) if need and x is not None], g, create_graph=True))
    return tuple(next(found) if need else None for need in needs)  # type: ignore[return-value]


def _dense(relation: Relation, S: Tensor) -> Tensor:
    return relation.dense((S.shape[0], S.shape[1]), S.device).to(S.dtype)


def _dense_contrast(S: Tensor, pairs: Pairs, target: Tensor) -> Tensor:
    return F.softplus(dense.lse(S, _dense(pairs.negatives, S)) - S.gather(1, target)[:, 0])
