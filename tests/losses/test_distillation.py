"""Distillation of outputs and of similarities; cluster proxies; the wave of the gradient scale."""

from __future__ import annotations

import importlib
import math

import pytest
import torch
from torch.nn import functional

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.recipe import Progress
from counterpoint.core.similarity import Pairs, Relation


def _draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)


def test_distillation_is_a_cross_entropy():
    s, t, centre = _draw(5, 7), _draw(5, 7, seed=1), torch.linspace(-1, 1, 7, dtype=torch.float64)
    hand = []
    for i in range(5):
        q = torch.exp((t[i] - centre) / 0.1) / torch.exp((t[i] - centre) / 0.1).sum()
        p = torch.exp(s[i] / 0.2) / torch.exp(s[i] / 0.2).sum()
        hand.append(-(q.detach() * p.log()).sum())
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        x, y = (v.detach().to(dtype).requires_grad_() for v in (s, t))
        result = losses.distillation(x, y, centre, temperature=0.2, teacher_temperature=0.1)
        assert torch.allclose(result.values.double(), torch.stack(hand), rtol=tolerance)
        result.mean().backward()
        expected = torch.autograd.grad(sum(hand) / 5, s, retain_graph=True)[0]
        assert y.grad is None and torch.allclose(x.grad.double(), expected, rtol=tolerance, atol=tolerance)
    batch = losses.distillation(s, t, centring="batch").values
    assert torch.allclose(batch, losses.distillation(s, t, t.mean(0)).values)
    flat = losses.distillation(torch.zeros(3, 7), torch.zeros(3, 7))
    assert flat.chance == pytest.approx(math.log(7)) == pytest.approx(flat.mean().item())


def test_similarities_are_kept(monkeypatch):
    monkeypatch.setattr(importlib.import_module("counterpoint.losses.distillation"), "_STRIPE", 16)  # several stripes
    z, old = _draw(9, 4), _draw(9, 4, seed=1)
    pairs = Pairs(Relation.none(), Relation.all().without(Relation.itself()), (9, 9))
    reference = similarity.cosine(old, old)
    eye = torch.eye(9, dtype=torch.bool)
    unit, other = functional.normalize(z), functional.normalize(old)
    p = (unit @ unit.T / 0.3).masked_fill(eye, -torch.inf).log_softmax(1).masked_fill(eye, 0)
    q = (other @ other.T / 0.2).masked_fill(eye, -torch.inf).softmax(1).detach()
    hand = -(q * p).sum(1)
    expected = torch.autograd.grad(hand.mean(), z)[0]
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        x, y = (v.detach().to(dtype).requires_grad_() for v in (z, old))
        cosines = similarity.cosine(x, x), pairs, similarity.cosine(y, y)
        result = losses.similarity_distillation(*cosines, temperature=0.3, reference_temperature=0.2)
        assert torch.allclose(result.values.double(), hand, rtol=tolerance)
        assert torch.allclose(torch.autograd.grad(result.mean(), x)[0].double(), expected, rtol=tolerance, atol=tolerance)
    scores = similarity.cosine(z, z)
    result = losses.similarity_distillation(scores, Pairs(Relation.none(), Relation.none(), (9, 9)), reference)
    assert not result.counted.any() and torch.autograd.grad(result.mean(), z)[0].abs().max() == 0
    scores = similarity.cosine(z, z)
    same = losses.similarity_distillation(scores, pairs, scores, temperature=0.3, reference_temperature=0.3).mean()
    assert torch.autograd.grad(same, z)[0].abs().max() < 1e-12  # nothing to learn from itself


def test_weights_of_candidates_count_in_both_distributions():
    z = _draw(4, 3)
    twice = torch.tensor([0, 1, 1, 3])
    pairs = Pairs(Relation.none(), Relation.all().weighted(column=torch.tensor([1.0, 2, 0, 1])), (4, 4))
    doubled = Pairs(Relation.none(), Relation.all(), (4, 4))
    a = losses.similarity_distillation(similarity.cosine(z, z.clone()), pairs, similarity.cosine(z, z.clone())).values
    b = losses.similarity_distillation(similarity.cosine(z, z[twice]), doubled, similarity.cosine(z, z[twice])).values
    assert torch.allclose(a, b)


def _proxies(z, graph, clusters, t, sized):
    unit = functional.normalize(z)
    n, names = len(z), sorted({int(c) for c in clusters if c >= 0})
    u = torch.stack([unit[clusters == k].sum(0) for k in names])
    u = functional.normalize(u)
    size = [float((clusters == k).sum()) if sized else 1.0 for k in names]
    repel = 0.0
    for k in range(len(names)):
        repel = repel + torch.log(sum(size[x] * torch.exp(u[k] @ u[x] / t) for x in range(len(names)) if x != k)) / len(names)
    rows = []
    for i in range(n):
        own = sum(graph[i, j] * torch.exp(unit[i] @ unit[j] / t) for j in range(n))
        rows.append(-torch.log(own) + repel if graph[i].sum() > 0 else 0 * repel)
    return torch.stack(rows)


@pytest.mark.parametrize("sized", [False, True])
def test_clusters_stand_in_for_negatives(sized):
    z = _draw(8, 3)
    graph = torch.tensor([[float(abs(i - j) == 1 and i < 6) for j in range(8)] for i in range(8)], dtype=torch.float64)
    edges = graph.nonzero()
    pairs = Pairs(Relation.sparse(edges[:, 0], edges[:, 1]), Relation.all(), (8, 8))
    clusters = torch.tensor([0, 0, 0, 2, 2, 5, 5, -1])  # 1, 3 and 4 are empty
    hand = _proxies(z, graph, clusters, 0.7, sized)
    expected = torch.autograd.grad(hand.sum() / 6, z)[0]
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        x = z.detach().to(dtype).requires_grad_()
        result = losses.cluster_proxies(similarity.cosine(x, x), pairs, clusters, temperature=0.7, sized=sized)
        assert torch.allclose(result.values.double(), hand, rtol=tolerance, atol=tolerance)
        assert result.counted.tolist() == [True] * 6 + [False] * 2
        assert torch.allclose(torch.autograd.grad(result.mean(), x)[0].double(), expected, rtol=tolerance, atol=tolerance)


def test_one_cluster_repels_nothing_and_spaces_must_be_one():
    z = _draw(4, 3)
    pairs = Pairs(Relation.index(torch.tensor([1, 0, 3, 2])), Relation.all(), (4, 4))
    one = losses.cluster_proxies(similarity.cosine(z, z), pairs, torch.zeros(4, dtype=torch.int64))
    s = functional.normalize(z) @ functional.normalize(z).T
    assert torch.allclose(one.values, -s[range(4), [1, 0, 3, 2]])
    with pytest.raises(OptionError, match="the same space"):
        losses.cluster_proxies(similarity.cosine(z, z.clone()), pairs, torch.zeros(4, dtype=torch.int64))


def test_the_gradient_scale_is_a_wave_between_two_temperatures():
    scale = [losses.gradient_scale(Progress(step=i, steps=1000)) for i in (0, 250, 500)]
    assert scale == pytest.approx([0.09 / 0.16, 0.09 / 0.05, 0.09 / 0.16])
    middle = losses.gradient_scale(Progress(step=125))
    assert middle == pytest.approx((1.8 - 0.5625) * 0.5 + 0.5625)
