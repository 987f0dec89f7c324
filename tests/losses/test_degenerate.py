"""Losses with a third argument: autocast, extremes, batches without pairs, as all losses hold."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation

N = 10
REFERENCE = torch.randn(N, 4, generator=torch.Generator().manual_seed(5))
HEAT = torch.randn(N, N, generator=torch.Generator().manual_seed(6))

LOSSES = {
    "absolute": lambda s, p: losses.boosted(s, p, similarity.cosine(REFERENCE, REFERENCE)),
    "relative": lambda s, p: losses.boosted(s, p, similarity.cosine(REFERENCE, REFERENCE), boost="relative", hardest=False),
    "similarity_distillation": lambda s, p: losses.similarity_distillation(s, p, similarity.cosine(REFERENCE, REFERENCE)),
    "cluster_proxies": lambda s, p: losses.cluster_proxies(s, p, torch.arange(N) % 3),
    "adaptive": lambda s, p: losses.adaptive(s, p, lambda i, j: HEAT[i, j], hardest=3),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def _pairs():
    return Pairs(Relation.index(torch.arange(N).roll(5)), Relation.all().without(Relation.itself()), (N, N))


@every_loss
def test_autocast_changes_nothing_and_half_precision_little(loss):
    z = torch.randn(N, 4)
    plain = loss(similarity.cosine(z, z), _pairs()).mean()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = z.bfloat16()
        assert loss(similarity.cosine(z, z), _pairs()).mean().item() == pytest.approx(plain.item(), rel=1e-6)
        assert loss(similarity.cosine(half, half), _pairs()).mean().item() == pytest.approx(plain.item(), rel=1e-2, abs=5e-3)


@every_loss
@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e18])
def test_extremes_give_no_nan(loss, factor):
    z = (torch.randn(N, 4) * factor).requires_grad_()
    value = loss(similarity.cosine(z, z), _pairs()).mean()
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(z.grad).all()


@every_loss
def test_a_batch_without_pairs_is_zero_with_a_graph(loss):
    z = torch.randn(N, 4, requires_grad=True)
    result = loss(similarity.cosine(z, z), Pairs(Relation.none(), Relation.none(), (N, N)))
    result.mean().backward()
    assert result.mean() == 0 and not result.counted.any() and z.grad.abs().max() == 0
