"""Triton kernels for what a tile goes through between its two matrix products: one pass over it in the place of three.

On CUDA they stand behind the same functions as the plain calls and are used where they measure faster (`chosen`); elsewhere never. They run
in Triton's interpreter too, which is how they are tested without a GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

SIDE = 64  # of the block that one program works on


@lru_cache(maxsize=1)
def _compiled() -> tuple[Any, Any]:
    import triton
    import triton.language as tl

    @triton.jit
    def exponentials(S, row_sums, column_sums, rows, columns, shift, SIDE: tl.constexpr):  # type: ignore[no-untyped-def]
        """S ← exp2(S − shift) in place; its sums over the block's columns and rows, one entry a block, so that none race."""
        r, c = tl.program_id(0), tl.program_id(1)
        i, j = r * SIDE + tl.arange(0, SIDE), c * SIDE + tl.arange(0, SIDE)
        inside = (i[:, None] < rows) & (j[None, :] < columns)
        at = S + i[:, None].to(tl.int64) * columns + j[None, :]
        E = tl.where(inside, tl.exp2(tl.load(at, mask=inside, other=0.0) - shift), 0.0)
        tl.store(at, E, mask=inside)
        tl.store(row_sums + c * rows + i, tl.sum(E, axis=1), mask=i < rows)
        tl.store(column_sums + r * columns + j, tl.sum(E, axis=0), mask=j < columns)

    @triton.jit
    def gradient(S, x, below, rows, columns, shift, SIDE: tl.constexpr):  # type: ignore[no-untyped-def]
        """S ← exp2(S − shift) · (x_i + below_j) in place."""
        r, c = tl.program_id(0), tl.program_id(1)
        i, j = r * SIDE + tl.arange(0, SIDE), c * SIDE + tl.arange(0, SIDE)
        inside = (i[:, None] < rows) & (j[None, :] < columns)
        at = S + i[:, None].to(tl.int64) * columns + j[None, :]
        E = tl.exp2(tl.load(at, mask=inside, other=0.0) - shift)
        factor = tl.load(x + i, mask=i < rows, other=0.0)[:, None] + tl.load(below + j, mask=j < columns, other=0.0)[None, :]
        tl.store(at, E * factor, mask=inside)

    return exponentials, gradient


def exponentials(S: Tensor, shift: float, columns: bool) -> tuple[Tensor, Tensor | None]:
    """S (a, b) float32, contiguous ← exp2(S − shift); returns its row sums (a,) and, where asked for, its column sums (b,)."""
    a, b = S.shape
    grid = (-(-a // SIDE), -(-b // SIDE))
    row_sums, column_sums = S.new_empty(grid[1], a), S.new_empty(grid[0], b)
    _compiled()[0][grid](S, row_sums, column_sums, a, b, float(shift), SIDE=SIDE)
    return row_sums.sum(0), column_sums.sum(0) if columns else None


def plain_exponentials(S: Tensor, shift: float, columns: bool) -> tuple[Tensor, Tensor | None]:
    """What `exponentials` gives, in plain calls."""
    E = (S.sub_(shift) if shift else S).exp2_()
    return E.sum(1), E.sum(0) if columns else None


def gradient(S: Tensor, shift: float, x: Tensor, below: Tensor) -> Tensor:
    """S (a, b) float32, contiguous ← exp2(S − shift) · (x_i + below_j), x (a,), below (b,)."""
    a, b = S.shape
    grid = (-(-a // SIDE), -(-b // SIDE))
    _compiled()[1][grid](S, x.contiguous(), below.contiguous(), a, b, float(shift), SIDE=SIDE)
    return S


def plain_gradient(S: Tensor, shift: float, x: Tensor, below: Tensor) -> Tensor:
    """What `gradient` gives, in plain calls."""
    return (S.sub_(shift) if shift else S).exp2_().mul_(x[:, None] + below)


def usable(S: Tensor) -> bool:
    """Whether the kernels measure faster than the plain calls for tiles like this one, on this device."""
    return S.is_cuda and S.dtype == torch.float32 and S.is_contiguous() and S.numel() >= 1 << 16 and chosen(S.device, *S.shape)


@lru_cache(maxsize=64)
def chosen(device: torch.device, rows: int, columns: int) -> bool:
    """Measured once for each shape: both ways on a tile of zeros, the faster of three turns each."""
    try:
        _compiled()
    except ImportError:
        return False
    S, x, below = torch.zeros(rows, columns, device=device), torch.zeros(rows, device=device), torch.zeros(columns, device=device)

    def fused() -> None:
        exponentials(S, 0.0, True)
        gradient(S, 0.0, x, below)

    def plain() -> None:
        plain_exponentials(S, 0.0, True)
        plain_gradient(S, 0.0, x, below)

    return best_of(fused, device) < best_of(plain, device)


def best_of(run: Callable[[], None], device: torch.device, turns: int = 3) -> float:
    """Seconds of the fastest of several turns, after one that warms up."""
    found = []
    for _ in range(turns + 1):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        found.append(time.perf_counter() - start)
    return min(found[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
