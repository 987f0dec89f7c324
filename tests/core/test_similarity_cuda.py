"""Losses on a GPU against float64 on a CPU: every precision; plain calls, kernels and as chosen. The CPU itself takes the test too."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

from counterpoint import losses
from counterpoint.core.similarity import kernels, plan

GPU = pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))
FEW, MANY, WIDTH, SIDE = 96, 700, 16, 256  # pairs: one tile; and several of this side, just large enough for the kernels
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nt_xent": lambda a, b: losses.nt_xent(a, b, temperature=0.1),
    "nt_xent, learned scale": lambda a, b: losses.nt_xent(a, b, temperature=torch.full((), 0.125, device=a.device, dtype=a.dtype)),
    "clip": lambda a, b: losses.clip(a, b, temperature=0.1),
    "sup_con": lambda a, b: losses.sup_con(torch.cat([a, b]), torch.arange(2 * len(a), device=a.device) % 7, temperature=0.1),
    "decoupled": lambda a, b: losses.decoupled_nt_xent(a, b, temperature=0.1),
}
KINDS = {  # of inputs, whether under autocast; relative error of value and of gradient
    "float32": (torch.float32, False, 1e-5, 1e-4),
    "float64": (torch.float64, False, 1e-10, 1e-9),
    "bfloat16": (torch.bfloat16, False, 1e-4, 1e-2),
    "float16": (torch.float16, False, 1e-4, 1e-2),
    "float32 under bfloat16": (torch.float32, True, 1e-5, 1e-4),
    "bfloat16 under bfloat16": (torch.bfloat16, True, 1e-4, 1e-2),
}


def rows_of(pairs: int, dtype: torch.dtype, device: str) -> list[Tensor]:
    """Two views (n, d), the same numbers on every device: what the dtype holds."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(pairs, WIDTH, generator=generator, dtype=torch.float64).to(dtype).to(device).requires_grad_() for _ in range(2)]


def agree(name: str, pairs: int, kind: str, device: str) -> None:
    dtype, lowered, value_error, gradient_error = KINDS[kind]
    inputs, exact = rows_of(pairs, dtype, device), [x.detach().double().cpu().requires_grad_() for x in rows_of(pairs, dtype, "cpu")]
    around: AbstractContextManager[Any] = torch.autocast(device, dtype=torch.bfloat16) if lowered else nullcontext()
    with around:
        value = LOSSES[name](*inputs)
    expected = LOSSES[name](*exact)
    assert value.device.type == device
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert abs(value.item() - expected.item()) < value_error * abs(expected.item())
    for one, two, x in zip(torch.autograd.grad(value, inputs), torch.autograd.grad(expected, exact), inputs):
        assert one.dtype == x.dtype
        assert (one.double().cpu() - two).norm() < gradient_error * two.norm()


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("pairs", [FEW, MANY])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_are_those_of_float64(name: str, kind: str, pairs: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, device, SIDE)
    agree(name, pairs, kind, device)


@pytest.mark.parametrize("device", [GPU])
@pytest.mark.parametrize("way", ["fused", "plain", "chosen"])
@pytest.mark.parametrize("name", LOSSES)
def test_kernels_are_used_where_they_are_chosen(name: str, way: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    monkeypatch.setitem(plan.TILE, device, SIDE)
    monkeypatch.setattr(plan, "KEEP", 0)  # what is kept is not made again
    used, asked = [], []
    for one in ("exponentials", "gradient"):
        function = getattr(kernels, one)
        monkeypatch.setattr(kernels, one, lambda *a, one=one, function=function: (used.append(one), function(*a))[1])
    real = kernels.chosen

    def chosen(where: torch.device, rows: int, columns: int) -> bool:
        before = len(used)
        asked.append(real(where, rows, columns) if way == "chosen" else way == "fused")
        del used[before:]  # what was tried to measure it
        return asked[-1]

    monkeypatch.setattr(kernels, "chosen", chosen)
    agree(name, MANY, "float32", device)
    assert asked, "no tile was large enough to ask"
    assert set(used) == ({"exponentials", "gradient"} if all(asked) else set()) or way == "chosen"


@pytest.mark.parametrize("device", [GPU])
def test_the_choice_is_made_once_for_a_shape(device: str) -> None:
    S = torch.zeros(SIDE, SIDE, device=device)
    kernels.chosen.cache_clear()
    assert kernels.usable(S) is kernels.usable(S)
    assert kernels.chosen.cache_info().misses == 1
    assert not kernels.usable(S.double())
    assert not kernels.usable(S.T[:, 1:])
    assert not kernels.usable(S[:100, :100].contiguous())
