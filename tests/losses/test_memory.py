"""No loss makes an n × m tensor: every tensor that any operation returns, forward and backward, is watched."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.options import use
from counterpoint.core.similarity import Pairs, Relation, plan

N, WIDTH, TILE = 700, 4, 64

EVERY = [
    use(losses.info_nce), use(losses.info_nce, several="each", negatives="mean"), use(losses.decoupled, weighted=True),
    use(losses.supervised), use(losses.supervised, mean="in"), use(losses.sigmoid), use(losses.cosine_regression), use(losses.margin),
    use(losses.triplet, mining="all"), use(losses.triplet, mining="hardest"), use(losses.multi_similarity), use(losses.cacr),
    use(losses.groco), use(losses.mixed_negatives, hardest=16, between=8, towards=4), use(losses.reweighted, prior=0.1),
    use(losses.transformed), use(losses.density_ratio), use(losses.density_ratio, measure="square"),
]  # fmt: skip


class Largest(TorchDispatchMode):
    """The number of values in the largest tensor that an operation returned."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, Tensor):
                self.numel = max(self.numel, one.untyped_storage().nbytes() // max(one.element_size(), 1))
        return out


def _setting(monkeypatch):
    monkeypatch.setitem(plan.TILE, "cpu", TILE)
    a = torch.randn(N, WIDTH, requires_grad=True)
    return a, Pairs(Relation.index(torch.arange(N).roll(N // 2)), Relation.all().without(Relation.itself()), (N, N))


def _names(part):
    return part.make.__name__ + "".join(f"-{v}" for v in part.options.values())


@pytest.mark.parametrize("loss", EVERY, ids=_names)
def test_memory_grows_with_the_rows(monkeypatch, loss):
    a, pairs = _setting(monkeypatch)
    with Largest() as watch:
        loss(similarity.cosine(a, a), pairs).mean().backward()
    assert a.grad.isfinite().all()
    assert watch.numel < N * N / 4, f"a tensor of {watch.numel} values, and {N} x {N} are {N * N}"


@pytest.mark.parametrize("other", ["boosted", "similarity_distillation", "cluster_proxies"])
def test_losses_of_two_models_and_of_clusters_too(monkeypatch, other):
    a, pairs = _setting(monkeypatch)
    reference = torch.randn(N, WIDTH)
    if other == "similarity_distillation":
        import importlib

        monkeypatch.setattr(importlib.import_module("counterpoint.losses.distillation"), "_STRIPE", 1 << 14)
    second = torch.arange(N) % 20 if other == "cluster_proxies" else similarity.cosine(reference, reference)
    with Largest() as watch:
        getattr(losses, other)(similarity.cosine(a, a), pairs, second).mean().backward()
    assert watch.numel < N * N / 4


def test_the_watch_sees_a_matrix():
    with Largest() as watch:
        similarity.cosine(torch.randn(N, 2), torch.randn(N, 2)).matrix()
    assert watch.numel >= N * N
