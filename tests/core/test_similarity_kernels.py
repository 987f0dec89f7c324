"""The kernels of the CUDA road against the plain calls: in Triton's interpreter, and on a GPU where there is one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from counterpoint.core import similarity
from counterpoint.core.similarity import kernels

CHECK = """
import torch
from counterpoint.core.similarity import kernels
device = "{device}"
for a, b, shift in ((1, 1, 0.0), (64, 64, 1.5), (70, 130, -3.25), (5, 200, 0.0)):
    S = torch.randn(a, b, device=device) * 4
    x, below = torch.randn(a, device=device), torch.randn(b, device=device)
    one, two = S.clone(), S.clone()
    sums, plain = kernels.exponentials(one, shift, True), kernels.plain_exponentials(two, shift, True)
    torch.testing.assert_close(one, two)
    for first, second in zip(sums, plain):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-5)
    one, two = S.clone(), S.clone()
    torch.testing.assert_close(kernels.gradient(one, shift, x, below), kernels.plain_gradient(two, shift, x, below), rtol=1e-5, atol=1e-5)
print("equal")
"""


def test_kernels_give_what_the_plain_calls_give_in_the_interpreter() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    done = subprocess.run(
        [sys.executable, "-c", CHECK.format(device="cpu")], env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_kernels_give_what_the_plain_calls_give_on_a_gpu() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK.format(device="cuda")], capture_output=True, text=True)
    assert done.stdout.strip().endswith("equal"), done.stderr[-2000:]


def test_tiles_that_use_the_kernels_give_the_same_statistics_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the plain twins in the kernels' place, so that the road to them is walked without a GPU."""
    from counterpoint.core.similarity import Pairs, Relation, plan

    monkeypatch.setitem(plan.TILE, "cpu", 16)
    monkeypatch.setattr(plan, "KEEP", 300)  # some tiles are kept, the others made again
    used: list[str] = []

    def exponentials(S: torch.Tensor, shift: float, columns: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
        used.append("forward")
        return kernels.plain_exponentials(S, shift, columns)

    def gradient(S: torch.Tensor, shift: float, x: torch.Tensor, below: torch.Tensor) -> torch.Tensor:
        used.append("backward")
        return kernels.plain_gradient(S, shift, x, below)

    found = []
    for fused in (False, True):
        monkeypatch.setattr(kernels, "usable", lambda S, fused=fused: fused)
        monkeypatch.setattr(kernels, "exponentials", exponentials)
        monkeypatch.setattr(kernels, "gradient", gradient)
        for same in (True, False):
            z = torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
            c = z if same else torch.randn(43, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
            relation = Relation.all().without(Relation.itself()) if same else Relation.all()
            scores = similarity.cosine(z, c).divide(0.2)
            value = similarity.lse(scores, relation)
            pairs = Pairs(Relation.itself(), Relation.all(), scores.shape)
            more = similarity.contrast(scores, pairs) if not same else value
            gradient_z = torch.autograd.grad(value.square().sum() + more.sum(), z)[0]
            found.append((value.detach(), gradient_z))
    assert {"forward", "backward"} == set(used)
    for one, two in zip(found[:2], found[2:]):
        for first, second in zip(one, two):
            torch.testing.assert_close(first, second)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU they may be used")
def test_without_a_gpu_the_kernels_are_never_used() -> None:
    assert not kernels.usable(torch.zeros(512, 512))


def test_the_faster_way_is_the_one_that_measures_faster() -> None:
    import time

    device = torch.device("cpu")
    assert kernels.best_of(lambda: time.sleep(0.001), device) < kernels.best_of(lambda: time.sleep(0.02), device)
