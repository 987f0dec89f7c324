"""Easy positives: at a loss of 1e-6 the float32 gradient stays within 1e-4 of float64's, at temperatures from 1 to 0.01."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.options import use
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.losses import easy

GOAL = 1e-6
TWO, THREE, MIXED = (torch.tensor(x) for x in ([0, 1, 0, 1], [0, 1, 0, 1, 0, 1], [0, 1, 0, 1, 0]))


def _rows(labels, angle, dtype):
    """Unit rows of two classes, of one within about 1e-3 of each other, the classes `angle` apart, as float32 holds them."""
    g = torch.Generator().manual_seed(0)
    classes = torch.tensor([[math.cos(angle / 2), side * math.sin(angle / 2), 0, 0] for side in (1, -1)], dtype=torch.float64)
    rows = classes[labels] + 1e-3 * torch.randn(len(labels), 4, generator=g, dtype=torch.float64)
    return functional.normalize(rows, dim=1).float().to(dtype)


def _by_label(labels):
    me, n = Relation.itself(), len(labels)
    return Pairs(Relation.equal(labels).without(me), Relation.all().without(me), (n, n))


def _by_edges(labels):
    """The same, as edges of one weight."""
    me = torch.eye(len(labels), dtype=torch.bool)
    i, j = ((labels[:, None] == labels) & ~me).nonzero().T
    return Pairs(Relation.sparse(i, j, torch.full((len(i),), 0.3)), Relation.all().without(Relation.itself()), (len(labels),) * 2)


def _proxies(labels):
    """Two classes, each in the denominator as often as it has anchors, and one row of each as its proxy."""
    n = len(labels)
    column = torch.zeros(n)
    column[:2] = torch.bincount(labels).float()
    keys = torch.where(torch.arange(n) < 2, labels, -1)
    return Pairs(Relation.equal(labels, keys), Relation.all().weighted(column=column), (n, n))


def _value(part, pairs, labels, t):
    """The loss less its least, which is the log of the number of positives where these are averaged; at high temperatures of products."""
    count = similarity.positive_count(pairs).double()

    def run(z):
        if t > 0.1:  # cosines differ by 2 at most and cannot reach the goal; products of longer rows can (a power of two is exact)
            z = z * (4.0 if t > 0.5 else 2.0)
            scores = similarity.dot(z, z)
        else:
            scores = similarity.cosine(z, z)
        result = part(scores, pairs, temperature=t)
        least = count.log().to(z.dtype) if part.make is losses.supervised else 0.0
        if pairs.candidate.column is not None:
            least = pairs.candidate.column[labels].log().to(z.dtype)
        return (result.values - least).mean()

    return run


def _relation(labels):
    return Pairs(Relation.index(torch.arange(4).roll(2)), Relation.all().without(Relation.itself()), (4, 4))


CASES = {
    "info_nce": (use(losses.info_nce), _relation, TWO),
    "info_nce, several": (use(losses.info_nce), _by_label, THREE),
    "info_nce, each": (use(losses.info_nce, several="each"), _by_label, THREE),
    "info_nce, mean": (use(losses.info_nce, negatives="mean"), _by_label, THREE),
    "reweighted": (use(losses.reweighted), _by_label, THREE),
    "supervised, one": (use(losses.supervised), _by_label, TWO),
    "supervised, one by index": (use(losses.supervised), _relation, TWO),
    "supervised, one with a weight": (use(losses.supervised), _by_edges, TWO),
    "supervised out": (use(losses.supervised), _by_label, THREE),
    "supervised, proxies": (use(losses.supervised), _proxies, MIXED),
    "supervised in": (use(losses.supervised, mean="in"), _by_label, THREE),
    "supervised in, one": (use(losses.supervised, mean="in"), _by_label, TWO),
    "supervised out, mixed": (use(losses.supervised), _by_label, MIXED),
    "supervised in, mixed": (use(losses.supervised, mean="in"), _by_label, MIXED),
    "supervised out, many": (use(losses.supervised), _by_label, torch.arange(160) % 2),
    "neighbouring": (use(losses.neighbouring), _by_label, THREE),
    "neighbouring, mixed": (use(losses.neighbouring), _by_label, MIXED),
}


def _bisected(value, labels, t):
    """The angle at which the loss is the goal, in float64."""
    low, high = 0.0, math.pi
    assert value(_rows(labels, high, torch.float64)) < GOAL
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if value(_rows(labels, middle, torch.float64)) > GOAL else (low, middle)
    return high


def _compare(value, labels, t):
    angle = _bisected(value, labels, t)
    found, grads = [], []
    for dtype in (torch.float64, torch.float32):
        z = _rows(labels, angle, dtype).requires_grad_()
        found.append(value(z))
        grads.append(torch.autograd.grad(found[-1], z)[0].double())
    assert found[0].item() == pytest.approx(GOAL, rel=1e-3)
    assert (grads[0] - grads[1]).norm() <= 1e-4 * grads[0].norm()


@pytest.mark.parametrize("t", [1.0, 0.3, 0.1, 0.07, 0.05, 0.02, 0.01])
@pytest.mark.parametrize("name", CASES)
def test_easy_positives_keep_their_gradient(name, t):
    part, rule, labels = CASES[name]
    _compare(_value(part, rule(labels), labels, t), labels, t)


@pytest.mark.parametrize("t", [0.1, 0.07, 0.05, 0.02, 0.01])
@pytest.mark.parametrize("name", ["nt_xent", "clip", "sup_con"])
def test_the_functions_of_tensors_too(name, t):
    """From 0.1 down: these take cosines, whose loss cannot be 1e-6 above."""

    def value(z):
        if name == "sup_con":
            return losses.sup_con(z, THREE, temperature=t) - math.log(2)
        return getattr(losses, name)(z[:2], z[2:], temperature=t)

    labels = THREE if name == "sup_con" else TWO
    _compare(value, labels, t)


def test_neighbours_of_one_weight():
    """Of weight w the loss has its least at −log w."""
    pairs, weightless = _by_edges(TWO), _by_label(TWO)
    z = _rows(TWO, 1.0, torch.float64)
    scores = similarity.cosine(z, z)
    one, two = (losses.neighbouring(scores, p, temperature=0.05) for p in (pairs, weightless))
    assert torch.allclose(one.values, two.values - math.log(0.3), atol=1e-6)
    _compare(lambda z: (losses.neighbouring(similarity.cosine(z, z), pairs, temperature=0.05).values + math.log(0.3)).mean(), TWO, 0.05)


@pytest.mark.parametrize("mean", ["out", "in"])
def test_easy_and_plain_forms_are_one_loss(monkeypatch, mean):
    """In float64, with every row on the exact road and with none, over labels, edges, blocks, a queue and rows without positives."""
    g = torch.Generator().manual_seed(1)
    labels = torch.tensor([0, 0, 0, 1, 1, 2, -1, 0])
    pairs = [_by_label(labels), _by_edges(labels)]
    pairs.append(Pairs(pairs[0].positive, pairs[0].candidate, (8, 8), (torch.arange(8) // 4,) * 2))
    pairs.append(Pairs(Relation.equal(labels, labels.flip(0)), Relation.all().weighted(column=(labels != 2).double()), (8, 8)))
    for given in pairs:
        for scale in (1.0, 0.01):
            z = (torch.randn(8, 4, generator=g, dtype=torch.float64) * scale + torch.eye(4, dtype=torch.float64)[labels]).requires_grad_()
            found = []
            for limit in (-1.0, 1e9):
                monkeypatch.setattr(easy, "LIMIT", limit)
                result = losses.supervised(similarity.cosine(z, z * 1.0), given, temperature=0.2, mean=mean)
                found.append((result.values, torch.autograd.grad(result.mean(), z)[0]))
            assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(*found, strict=True))


def test_positives_that_are_no_candidates_stay_as_defined():
    """Outside of the denominator a positive has no easy form."""
    z = _rows(THREE, 1.0, torch.float64)
    scores = similarity.cosine(z, z)
    pairs = Pairs(Relation.equal(THREE).without(Relation.itself()), Relation.all().without(Relation.equal(THREE)), (6, 6))
    s = scores.matrix() / 0.05
    far = pairs.candidate.dense((6, 6)) > 0
    near = pairs.positive.dense((6, 6)) > 0
    hand = s.masked_fill(~far, -torch.inf).logsumexp(1) - (s * near).sum(1) / 2
    assert torch.allclose(losses.supervised(scores, pairs, temperature=0.05).values, hand)
