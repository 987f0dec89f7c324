"""The one place where processes talk: rows are gathered with their gradient, gradients summed, numbers added up.

With W processes each draws its share of the batch. `gather` puts the rows of all processes below each other (in rank order, the same on
all), with the key "own" for this process's rows. A contrast takes its own rows as anchors against all candidates and divides by the global
number of counted rows; any other term sees all rows on every process and counts 1/W. Summing parameter gradients over processes then gives
the gradient of the loss over the global batch, which the two-process tests hold to the single process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from counterpoint.core.recipe import Embeddings, Rows

_several = dist.is_initialized if dist.is_available() else bool  # asked many times a step


def world() -> int:
    return dist.get_world_size() if _several() else 1


def rank() -> int:
    return dist.get_rank() if _several() else 0


class _Gather(torch.autograd.Function):
    """All-gather of (n, d) with equal n on every process; the backward sums what every process wants of this one's rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = x.new_empty(world() * len(x), *x.shape[1:])
        dist.all_gather_into_tensor(out, x.contiguous())
        ctx.n = len(x)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return _sum_and_share(grads[0].contiguous(), ctx.n)


def _sum_and_share(whole: Tensor, n: int) -> Tensor:
    """The sum over processes of (W · n, d), of which each gets its own n rows."""
    own = whole.new_empty(n, *whole.shape[1:])
    try:
        dist.reduce_scatter_tensor(own, whole)
    except RuntimeError:  # gloo of older torch has none and says so on every process alike
        whole = whole.clone()
        dist.all_reduce(whole)
        own = whole[rank() * n : (rank() + 1) * n]
    return own


def _gather(x: Tensor) -> Tensor:
    if x.is_floating_point() and x.requires_grad:
        return _Gather.apply(x)  # type: ignore[no-any-return]
    plain = x.detach().to(torch.uint8) if x.dtype == torch.bool else x.detach()
    out = plain.new_empty(world() * len(plain), *plain.shape[1:])
    dist.all_gather_into_tensor(out, plain.contiguous())
    return out.bool() if x.dtype == torch.bool else out


def gather(out: Embeddings) -> Embeddings:
    """Rows of all processes, in rank order, with the key "own"; shared rows as they are. One process: unchanged."""
    if world() == 1:
        return out
    whole = {}
    for space, rows in out.items():
        if rows.shared:
            whole[space] = rows
            continue
        keys = {name: _gather(value) for name, value in rows.keys.items()}
        own = torch.zeros(world() * len(rows), dtype=torch.bool, device=rows.z.device)
        own[rank() * len(rows) : (rank() + 1) * len(rows)] = True
        whole[space] = Rows(_gather(rows.z), {**keys, "own": own}, False, rows.roles)
    return whole


def total(x: Tensor) -> Tensor:
    """The sum over processes, without gradient."""
    if world() > 1:
        x = x.detach().clone()
        dist.all_reduce(x)
    return x


def sum_gradients(parameters: Sequence[Tensor]) -> None:
    """One flat all-reduce (sum) per dtype; a parameter without gradient here counts as zero if it has one elsewhere."""
    if world() == 1:
        return
    has = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8, device=parameters[0].device)
    dist.all_reduce(has, dist.ReduceOp.MAX)
    learn = [p for p, there in zip(parameters, has.tolist(), strict=True) if there]
    for dtype in {p.dtype for p in learn}:
        some = [p for p in learn if p.dtype == dtype]
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in some])
        dist.all_reduce(flat)
        for p, piece in zip(some, flat.split([p.numel() for p in some]), strict=True):
            p.grad = torch.empty_like(p).copy_(piece.view_as(p))  # in the weight's order in memory, which a fused step relies on


def average_buffers(model: torch.nn.Module) -> None:
    """Make running statistics of norm layers equal on all processes (before they are saved)."""
    if world() == 1:
        return
    for buffer in model.buffers():
        if buffer.is_floating_point():
            dist.all_reduce(buffer)
            buffer /= world()


def share_of(ids: Tensor) -> Tensor:
    """This process's equal part of a batch of ids; what does not divide is dropped."""
    each = len(ids) // world()
    return ids[rank() * each : (rank() + 1) * each]
