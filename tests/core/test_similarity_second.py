"""First and second derivatives of every road against differences, in float64: one tile, many, and some that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Relation, Scores, edges, plan, roads

N, M, WIDTH = 8, 10, 3
ME = Relation.itself()
Case = Callable[..., Tensor]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()


def inputs_of(case: Case) -> dict[str, Tensor]:
    """The inputs that a case names: rows a (n, d), c (m, d), b (n, d); t, u scalars; r (n,), k (m,), S (n, m)."""
    every = {
        "a": draw(N, WIDTH), "c": draw(M, WIDTH, seed=1), "b": draw(N, WIDTH, seed=2), "t": draw(seed=3).detach().add(1.5).requires_grad_(),
        "u": draw(seed=4), "r": draw(N, seed=5), "k": draw(M, seed=6), "S": draw(N, M, seed=7),
    }  # fmt: skip
    return {name: every[name] for name in case.__code__.co_varnames[: case.__code__.co_argcount]}


def cut(many: bool, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if many:
        monkeypatch.setitem(plan.TILE, "cpu", 4)
        monkeypatch.setattr(plan, "_SMALL", 2)
        monkeypatch.setattr(plan, "KEEP", keep)


def two_views(n: int = N) -> Pairs:
    return Pairs(Relation.index(torch.arange(n).roll(n // 2)), Relation.all().without(ME), (n, n))


def towers(positive: Relation | None = None, candidate: Relation | None = None, m: int = M, **more: Any) -> Pairs:
    return Pairs(positive or Relation.index(torch.arange(N)), candidate or Relation.all(), (N, m), **more)


def by_label(m: int = M) -> Relation:
    return Relation.equal(torch.arange(N) % 3, torch.arange(m) % 3)


def soft(m: int = M) -> Relation:
    left, right = (torch.rand(size, 2, generator=torch.Generator().manual_seed(size), dtype=torch.float64) for size in (N, m))
    return Relation.product(left, left if m == N else right)


def near() -> Relation:
    return Relation.tile(lambda i, j: (i - j).abs() < 3)


def all_of(scores: Scores, relation: Relation) -> Tensor:
    """The three statistics that go through tiles."""
    pairs = Pairs(Relation.none(), relation, scores.shape)
    return (
        similarity.lse(scores, relation)
        + similarity.softmax_mean(scores, pairs, over="candidates", sharpness=-0.7)
        + similarity.sum_of(scores, pairs, F.softplus, over="candidates")
        + similarity.mean(scores, relation)
    )


CASES: dict[str, Case] = {
    "nt_xent": lambda a: similarity.contrast(similarity.cosine(a, a).divide(0.5), two_views()),
    "nt_xent, learned scale": lambda a, t: similarity.contrast(similarity.cosine(a, a).times(t), two_views()),
    "clip": lambda a, b: similarity.two_way_contrast(similarity.cosine(a, b).divide(0.5), towers(ME, m=N)),
    "clip, learned scale": lambda a, b, t: similarity.two_way_contrast(similarity.cosine(a, b).times(t), towers(ME, m=N)),
    "clip, unlike sizes": lambda a, c, t: similarity.two_way_contrast(similarity.cosine(a, c).times(t), towers()),
    "both": lambda a, c: torch.cat(similarity.two_way_lse(similarity.cosine(a, c).divide(0.5), Relation.all())),
    "both, masked, biased": lambda a, c, t, u, k: torch.cat(
        similarity.two_way_lse(similarity.cosine(a, c).times(t).plus(u).plus_column(k), Relation.all().without(by_label(), ME))
    ),
    "cosine": lambda a, c: all_of(similarity.cosine(a, c).divide(0.4), Relation.all()),
    "cosine with itself": lambda a: all_of(similarity.cosine(a, a).divide(0.4), Relation.all().without(ME)),
    "squared distance": lambda a, c: all_of(similarity.negative_squared_distance(a, c).times(0.3), Relation.all()),
    "squared distance with itself": lambda a: all_of(similarity.negative_squared_distance(a, a), Relation.all().without(ME)),
    "temperature per row": lambda a, c, r: all_of(similarity.cosine(a, c).divide(r.exp()), by_label()),
    "temperature per row with itself": lambda a, r: all_of(similarity.cosine(a, a).divide(r.exp()), Relation.all().without(ME)),
    "unbounded": lambda a, c: similarity.lse(similarity.dot(6 * a, 6 * c), Relation.all()),
    "unbounded with itself": lambda a: similarity.lse(similarity.dot(5 * a, 5 * a), Relation.all().without(ME)),
    "cold": lambda a, c: similarity.lse(similarity.cosine(a, c).divide(0.01), Relation.all()),
    "scale and biases": lambda a, c, t, u, k: all_of(similarity.cosine(a, c).times(t).plus(u).plus_column(k), Relation.all()),
    "bias per row": lambda a, c, r: all_of(similarity.cosine(a, c).plus(r), by_label()),
    "scale, bias with itself": lambda a, t, u: all_of(similarity.cosine(a, a).times(t).plus(u), Relation.all().without(ME)),
    "label": lambda a, c: all_of(similarity.cosine(a, c), by_label()),
    "product": lambda a, c: all_of(similarity.cosine(a, c), soft()),
    "product with itself": lambda a: all_of(similarity.cosine(a, a), soft(N).without(ME)),
    "tile": lambda a, c, t: all_of(similarity.cosine(a, c).times(t), near()),
    "without a tile": lambda a: all_of(similarity.cosine(a, a), Relation.all().without(near(), ME)),
    "either": lambda a, c: all_of(similarity.cosine(a, c), Relation.either(by_label(), Relation.index(torch.arange(N)))),
    "weighted": lambda a, c: all_of(
        similarity.cosine(a, c), Relation.all().weighted(row=torch.arange(N) / 3.0 + 0.1, column=torch.arange(M) / 5.0 + 0.2)
    ),
    "sparse": lambda a, c, t: all_of(
        similarity.cosine(a, c).times(t), Relation.sparse(torch.arange(N), torch.arange(N) + 1, torch.arange(1.0, N + 1) / 4)
    ),
    "blocks": lambda a, c: similarity.contrast(
        similarity.cosine(a, c).divide(0.5), towers(block=(torch.arange(N) % 2, torch.arange(M) % 2))
    ),
    "blocks with itself": lambda a: similarity.softmax_mean(
        similarity.cosine(a, a), Pairs(ME, Relation.all(), (N, N), (torch.arange(N) % 2, torch.arange(N) % 2))
    ),
    "frozen candidates": lambda a: all_of(similarity.cosine(a, draw(M, WIDTH, seed=1).detach()).divide(0.4), Relation.all()),
    "frozen anchors": lambda c: all_of(similarity.cosine(draw(N, WIDTH).detach(), c).divide(0.4), Relation.all()),
    "edges": lambda a, c, t: similarity.edge_scores(similarity.cosine(a, c).times(t), torch.arange(N), torch.arange(N) + 1).square(),
    "top k": lambda a, c: similarity.top_k(similarity.cosine(a, c), towers(), 3).scores.square().sum(1),
    "square": lambda a, c: similarity.sum_of(
        similarity.cosine(a, c), towers(), torch.square, derivative=lambda s: 2 * s
    ),
    "learned": lambda S, t: all_of(similarity.learned(S).times(t), by_label()),
}  # fmt: skip


def values(loss: RowLoss) -> Tensor:
    return loss.values


LOSSES: dict[str, Case] = {
    "nt_xent": lambda a, b: losses.nt_xent(a, b, temperature=0.5),
    "clip": lambda a, b, t: losses.clip(a, b, temperature=t),
    "sup_con": lambda a: losses.sup_con(a, torch.arange(N) % 3, temperature=0.5),
    "decoupled": lambda a, b: losses.decoupled_nt_xent(a, b, temperature=0.5),
    "decoupled, weighted": lambda a: values(losses.decoupled(similarity.cosine(a, a), two_views(), weighted=True)),
    "supervised in": lambda a: values(losses.supervised(similarity.cosine(a, a), two_views(), mean="in", temperature=0.5)),
    "each": lambda a, c: values(
        losses.info_nce(similarity.cosine(a, c), towers(by_label()), temperature=0.5, several="each", negatives="mean")
    ),
    "cacr": lambda a, c: values(losses.cacr(similarity.cosine(a, c), towers())),
    "sigmoid": lambda a, c, t, u: values(losses.sigmoid(similarity.cosine(a, c).times(t).plus(u), towers(), temperature=1.0, bias=0.0)),
    "reweighted": lambda a: values(losses.reweighted(similarity.cosine(a, a), two_views(), temperature=0.5)),
    "neighbouring": lambda a: values(losses.neighbouring(similarity.cosine(a, a), Pairs(soft(N), Relation.all().without(ME), (N, N)))),
    "groco": lambda a: values(losses.groco(similarity.cosine(a, a), two_views(), nearest=3, detach=False)),
}  # fmt: skip


@pytest.mark.parametrize(("many", "keep"), [(False, 0), (True, 0), (True, 40)], ids=["one tile", "many tiles", "some kept"])
@pytest.mark.parametrize("name", CASES)
def test_of_statistics(name: str, many: bool, keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(many, keep, monkeypatch)
    found = inputs_of(CASES[name])
    inputs = tuple(found.values())
    assert torch.autograd.gradcheck(CASES[name], inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(CASES[name], inputs, fast_mode=True)


@pytest.mark.parametrize("many", [False, True], ids=["one tile", "many tiles"])
@pytest.mark.parametrize("name", LOSSES)
def test_of_losses(name: str, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(many, 0, monkeypatch)
    inputs = tuple(inputs_of(LOSSES[name]).values())
    assert torch.autograd.gradcheck(LOSSES[name], inputs)
    assert torch.autograd.gradgradcheck(LOSSES[name], inputs, fast_mode=True)


def test_of_many_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    """More edges than autograd may keep rows of."""
    monkeypatch.setattr(edges, "_CHUNK", 5)
    rows, columns = torch.arange(3 * N) % N, torch.arange(3 * N) * 7 % M

    def value(a: Tensor, c: Tensor) -> Tensor:
        return similarity.edge_scores(similarity.cosine(a, c).divide(0.5), rows, columns).square()

    inputs = tuple(inputs_of(value).values())
    assert torch.autograd.gradcheck(value, inputs)
    assert torch.autograd.gradgradcheck(value, inputs)


@pytest.mark.parametrize("many", [False, True], ids=["one tile", "many tiles"])
def test_without_a_gradient_through_the_weights(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """No derivative of the value, so that differences say nothing: a matrix does."""
    cut(many, 0, monkeypatch)
    a, c = draw(N, WIDTH), draw(M, WIDTH, seed=1)
    pull = draw(N, seed=2).detach()
    scores = similarity.cosine(a, c).divide(0.5)
    S = F.normalize(a) @ F.normalize(c).T / 0.5
    streamed = similarity.softmax_mean(scores, towers(), over="candidates", sharpness=0.7, through_weights=False)
    whole = ((0.7 * S).softmax(1).detach() * S).sum(1)
    one, two = (torch.autograd.grad((x * pull).sum(), (a, c), create_graph=True) for x in (streamed, whole))
    for first, second in zip(one, two):
        torch.testing.assert_close(first, second)
    one, two = (torch.autograd.grad(sum(g.square().sum() for g in found), (a, c)) for found in (one, two))
    for first, second in zip(one, two):
        torch.testing.assert_close(first, second)


REFUSED: dict[str, Case] = {
    "lse": lambda a, c: similarity.lse(similarity.cosine(a, c), Relation.all()),
    "both": lambda a, c: torch.cat(similarity.two_way_lse(similarity.cosine(a, c), Relation.all())),
    "mean": lambda a, c: similarity.softmax_mean(similarity.cosine(a, c), towers()),
    "sum": lambda a, c: similarity.sum_of(similarity.cosine(a, c), towers(), F.softplus),
    "clip": lambda a, c: similarity.two_way_contrast(similarity.cosine(a, c), towers()),
}


@pytest.mark.parametrize("name", REFUSED)
def test_too_many_scores_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(True, 0, monkeypatch)
    monkeypatch.setattr(roads, "DENSE_LIMIT", N * M - 1)
    inputs = inputs_of(REFUSED[name])
    value = REFUSED[name](**inputs).sum()
    first = torch.autograd.grad(value, tuple(inputs.values()), retain_graph=True)  # a first derivative is never refused
    assert all(bool(g.isfinite().all()) for g in first)
    with pytest.raises(OptionError, match=rf"second derivatives of {N} x {M} scores .*allowed up to {N * M - 1} scores; use fewer rows"):
        torch.autograd.grad(value, tuple(inputs.values()), create_graph=True)
