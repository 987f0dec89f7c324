"""The fixed names over plain tensors: loops, peers, exact identities, easy positives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import DataError, LabelError, OptionError
from counterpoint.core.similarity import Pairs, Relation


def _two(n=12, d=8, dtype=torch.float64, noise=0.7):
    g = torch.Generator().manual_seed(0)
    a = torch.randn(n, d, generator=g, dtype=dtype)
    return a, a + noise * torch.randn(n, d, generator=g, dtype=dtype)


def _unit(*rows):
    z = torch.cat(rows)
    return z / z.square().sum(1, keepdim=True).sqrt()


def _nt_xent_loop(a, b, t):
    z = _unit(a, b)
    n, total = len(z), 0.0
    for i in range(n):
        p = (i + len(a)) % n
        total = total - torch.log(torch.exp(z[i] @ z[p] / t) / sum(torch.exp(z[i] @ z[j] / t) for j in range(n) if j != i))
    return total / n


def _equals(function, loop, t):
    """Value and gradient of the function are those of the loop, in both precisions."""
    wide = [x.requires_grad_() for x in _two()]
    hand = loop(*wide, t)
    expected = torch.autograd.grad(hand, wide)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        given = [x.detach().to(dtype).requires_grad_() for x in wide]
        found = function(*given, temperature=t)
        assert found.item() == pytest.approx(hand.item(), rel=tolerance)
        for one, two in zip(torch.autograd.grad(found, given), expected, strict=True):
            assert torch.allclose(one.double(), two, rtol=100 * tolerance, atol=tolerance)


def test_nt_xent_equals_the_loop():
    _equals(losses.nt_xent, _nt_xent_loop, 0.3)


def test_decoupled_is_one_logarithm_over_the_negatives_of_both_views():
    def loop(a, b, t):
        z, total = _unit(a, b), 0.0
        for i in range(24):
            p = (i + 12) % 24
            total = total - z[i] @ z[p] / t + torch.log(sum(torch.exp(z[i] @ z[j] / t) for j in range(24) if j not in (i, p)))
        return total / 24

    _equals(losses.decoupled_nt_xent, loop, 0.2)


def test_clip_equals_the_loop():
    def loop(a, b, t):
        s, total = _unit(a) @ _unit(b).T / t, 0.0
        for i in range(12):
            total = total - s[i, i] + torch.log(sum(torch.exp(s[i, j]) for j in range(12))) / 2
            total = total + torch.log(sum(torch.exp(s[j, i]) for j in range(12))) / 2
        return total / 12

    _equals(losses.clip, loop, 0.2)


def test_sup_con_equals_the_loop():
    labels = torch.tensor([0, 0, 0, 1, 1, 2, -1, 0, 1, 3, -1, 3]).repeat(2)

    def loop(a, b, t):
        z, total, counted = _unit(a, b), 0.0, 0
        for i in range(24):
            near = [j for j in range(24) if j != i and labels[j] == labels[i] != -1]
            if near:
                everyone = torch.log(sum(torch.exp(z[i] @ z[j] / t) for j in range(24) if j != i))
                total, counted = total + sum(everyone - z[i] @ z[p] / t for p in near) / len(near), counted + 1
        return total / counted

    _equals(lambda a, b, temperature: losses.sup_con(torch.cat([a, b]), labels, temperature=temperature), loop, 0.3)


def test_sup_con_with_two_views_as_labels_is_nt_xent():
    a, b = _two()
    labels = torch.arange(12).repeat(2)
    assert losses.sup_con(torch.cat([a, b]), labels, temperature=0.2).item() == pytest.approx(losses.nt_xent(a, b, temperature=0.2).item())


def test_unknown_labels_do_not_count():
    z = _two()[0]
    labels = torch.tensor([0, 0, 1, 1, -1, -1, 2, -1, -1, -1, -1, -1])
    known = losses.sup_con(z, labels)
    changed = losses.sup_con(z, torch.where(labels == 2, -1, labels))  # label 2 has one item: no positives either way
    assert known.item() == pytest.approx(changed.item())


@pytest.mark.parametrize("t", [1.0, 0.1])
def test_the_gradient_of_info_nce_is_q_times_that_of_the_decoupled_loss(t):
    """q_i = N_i / (N_i + exp(s_ip / t)), row by row (paper 062)."""
    a, b = _two(6)
    for i in range(6):
        anchor = a[i : i + 1].clone().requires_grad_()
        scores = similarity.cosine(anchor, b)
        pairs = Pairs(Relation.index(torch.tensor([i])), Relation.all(), (1, 6))
        full = torch.autograd.grad(losses.info_nce(scores, pairs, temperature=t).mean(), anchor, retain_graph=True)[0]
        part = torch.autograd.grad(losses.decoupled(scores, pairs, temperature=t).mean(), anchor)[0]
        e = (functional.cosine_similarity(anchor, b) / t).exp()
        q = (e.sum() - e[i]) / e.sum()
        assert torch.allclose(full, q.detach() * part, rtol=1e-9)


def test_a_learned_temperature_gets_its_gradient():
    a, b = _two()
    for loss in (losses.nt_xent, losses.decoupled_nt_xent, losses.clip):
        log = torch.tensor(-1.5, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda t, loss=loss: loss(a, b, temperature=t.exp()), (log,))


def test_weights_of_dclw():
    """Mean 1; the hardest positive weighs most; equal positives weigh alike; a gradient through the weights, or none."""
    a, b = _two(8)
    pairs = Pairs(Relation.itself(), Relation.all(), (8, 8))

    def run(detach):
        x = a.clone().requires_grad_()
        scores = similarity.cosine(x, b)
        value = losses.decoupled(scores, pairs, temperature=0.1, weighted=True, sigma=0.5, detach=detach)
        value.mean().backward()
        return value.values.detach(), x.grad

    s = functional.cosine_similarity(a, b)
    w = 2 - 8 * torch.softmax(s / 0.5, 0)
    assert w.mean() == pytest.approx(1.0)
    assert w.argmax() == s.argmin()
    negatives = (functional.normalize(a) @ functional.normalize(b).T / 0.1).masked_fill(torch.eye(8, dtype=torch.bool), -torch.inf)
    expected = negatives.logsumexp(1) - w * s / 0.1
    through, stopped = run(False), run(True)
    assert torch.allclose(through[0], expected) and torch.allclose(stopped[0], expected)
    assert not torch.allclose(through[1], stopped[1])
    x = a.clone().requires_grad_()
    pull = w.detach() * functional.cosine_similarity(x, b) / 0.1
    rest = (functional.normalize(x) @ functional.normalize(b).T / 0.1).masked_fill(torch.eye(8, dtype=torch.bool), -torch.inf)
    (rest.logsumexp(1) - pull).mean().backward()
    assert torch.allclose(stopped[1], x.grad)


def test_wrong_input_is_refused():
    a, b = _two()
    with pytest.raises(DataError, match="no negatives"):
        losses.decoupled_nt_xent(a[:1], b[:1])
    with pytest.raises(DataError, match="both must be"):
        losses.nt_xent(a, b[:3])
    with pytest.raises(LabelError, match="one per row"):
        losses.sup_con(a, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(OptionError, match="temperature"):
        losses.nt_xent(a, b, temperature=0.0)
    for loss in (losses.cosine_regression, losses.decoupled):  # of products they fall without end as rows grow
        with pytest.raises(OptionError, match="cosine"):
            loss(similarity.dot(a, b), Pairs(Relation.itself(), Relation.all(), (12, 12)))
