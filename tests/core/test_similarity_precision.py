"""Autocast changes neither the value nor the gradient, wherever the backward is called."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation, plan


def pairs_of(n: int) -> Pairs:
    return Pairs(Relation.index(torch.arange(n).roll(n // 2)), Relation.all().without(Relation.itself()), (n, n))


CASES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "nt_xent": lambda a, b: losses.nt_xent(a, b, temperature=0.1),
    "clip": lambda a, b: losses.clip(a, b, temperature=0.1),
    "sup_con": lambda a, b: losses.sup_con(torch.cat([a, b]), torch.arange(len(a)).repeat(2) % 7, temperature=0.1),
    "softmax mean": lambda a, b: similarity.softmax_mean(similarity.cosine(a, a).divide(0.1), pairs_of(len(a))).mean(),
    "unbounded": lambda a, b: similarity.contrast(similarity.dot(a, b), pairs_of(len(a))).mean(),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tile", [1024, 64])
def test_backward_inside_autocast(name: str, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, "cpu", tile)
    first, second = (torch.randn(300, 16, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    found = []
    for inside in (False, True):
        a, b = first.clone().requires_grad_(), second.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
            value = CASES[name](a, b)
            value.backward()
        found.append((value.detach(), a.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-9)
