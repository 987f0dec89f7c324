"""The rest of what similarity offers: contrasts, any pairs at random, best candidates, both directions, edges, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import Pairs, Relation, plan


def rows_of(n: int, d: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def two_views(n: int) -> Pairs:
    """Rows i and i + n/2 belong together."""
    return Pairs(Relation.index(torch.arange(n).roll(n // 2)), Relation.all().without(Relation.itself()), (n, n))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, "cpu", 16)
    monkeypatch.setattr(plan, "KEEP", 0)
    monkeypatch.setattr(plan, "_SMALL", 4)


@pytest.mark.parametrize("kind", ["two views", "other target", "towers", "label", "missing", "no negatives", "weighted", "block", "cold"])
@pytest.mark.parametrize("tile", [8, 1024])
def test_contrast_is_softplus_of_negatives_against_positives(kind: str, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, "cpu", tile)
    n = 20
    a = rows_of(n).requires_grad_()
    c = rows_of(n, seed=1).requires_grad_() if kind == "towers" else a
    me = Relation.itself()
    target = torch.arange(n).roll(n // 2 if kind != "other target" else 3)
    label = torch.arange(n) % 3
    positive: Relation = Relation.index(target)
    candidate = Relation.all().without(me)
    if kind == "towers":
        positive, candidate = Relation.index(torch.arange(n)), Relation.all()
    elif kind == "label":
        candidate = Relation.all().without(me, Relation.equal(label))
    elif kind == "missing":
        positive = Relation.index(target.masked_fill(target == 4, -1))
    elif kind == "no negatives":
        candidate = Relation.index(target)
    elif kind == "weighted":
        positive = Relation.equal(label).without(me).weighted(column=1.0 + label)
    pairs = Pairs(positive, candidate, (n, n), (label % 2, label % 2) if kind == "block" else None)
    scores = similarity.cosine(a, c).divide(0.01 if kind == "cold" else 0.3)
    value = similarity.contrast(scores, pairs)
    P, N = pairs.positives.dense((n, n)).double(), pairs.negatives.dense((n, n)).double()
    S = scores.matrix().double()
    expected = []
    for s, p, q in zip(S, P, N):
        up, down = (torch.logsumexp(s[w > 0] + w[w > 0].log(), 0) for w in (p, q))
        expected.append(F.softplus(down - up) if (p > 0).any() and (q > 0).any() else s.sum() * 0)
    twin = torch.stack(expected)
    torch.testing.assert_close(value.double(), twin, rtol=1e-5, atol=1e-6)
    one, two = (torch.autograd.grad(x.square().sum(), (a, c) if kind == "towers" else (a,), retain_graph=True) for x in (value, twin))
    for first, second in zip(one, two):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4 * max(float(second.abs().max()), 0.1))


@pytest.mark.parametrize("tile", [8, 1024])
@pytest.mark.parametrize("kind", ["itself", "index", "label", "two views"])
def test_contrast_both_ways(kind: str, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, "cpu", tile)
    n, m = 20, 20 if kind in ("itself", "two views") else 27
    a = rows_of(n).requires_grad_()
    c = a if kind == "two views" else rows_of(m, seed=1).requires_grad_()
    positive = {
        "itself": Relation.itself(), "index": Relation.index(torch.arange(n) + 3), "two views": two_views(n).positive,
        "label": Relation.equal(torch.arange(n) % 4, torch.arange(m) % 5),
    }[kind]  # fmt: skip
    pairs = Pairs(positive, two_views(n).candidate if kind == "two views" else Relation.all(), (n, m))
    scores = similarity.cosine(a, c).divide(0.2)
    S, P, C = scores.matrix(), positive.dense((n, m)) > 0, pairs.candidate.dense((n, m)) > 0
    twins = []
    for s, p, k in ((S, P, C), (S.T, P.T, C.T)):
        own, others = (s.masked_fill(~mask, -torch.inf).logsumexp(1) for mask in (p, k & ~p))
        twins.append(F.softplus(others - own)[p.any(1)])
    values = similarity.two_way_contrast(scores, pairs).split([n, m])
    for value, there, twin in zip(values, (P.any(1), P.any(0)), twins):
        assert (value[~there] == 0).all()
        torch.testing.assert_close(value[there], twin)
    one, two = (torch.autograd.grad(v[0].sum() + v[1].square().sum(), (a, c), retain_graph=True) for v in (values, twins))
    for first, second in zip(one, two):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30), m=st.integers(1, 30), kinds=st.integers(1, 12), blocks=st.integers(1, 4), tile=st.integers(2, 40),
    edges=st.integers(0, 40), seed=st.integers(0, 1000), itself=st.booleans(), temperature=st.sampled_from([1.0, 0.1, 0.01]),
)  # fmt: skip
def test_any_pairs_agree_with_a_matrix(
    n: int, m: int, kinds: int, blocks: int, tile: int, edges: int, seed: int, itself: bool, temperature: float
) -> None:
    m = n if itself else m
    generator = torch.Generator().manual_seed(seed)

    def draw(high: int, size: int) -> Tensor:
        return torch.randint(-1, high, (size,), generator=generator)

    label = (draw(kinds, n), draw(kinds, m))
    block = (draw(blocks, n), draw(blocks, m))
    positive = Relation.equal(*((label[0],) if itself else label)).without(Relation.itself())
    rows, columns = draw(n, edges).clamp(min=0), draw(m, edges).clamp(min=0)
    candidate = Relation.all().without(Relation.itself(), Relation.sparse(rows, columns))
    pairs = Pairs(positive, candidate, (n, m), (block[0], block[0]) if itself else block)
    a = rows_of(n, 5, seed, torch.float64).requires_grad_()
    c = a if itself else rows_of(m, 5, seed + 1, torch.float64).requires_grad_()
    known = block[0][:, None] == (block[0] if itself else block[1])[None]
    known &= block[0][:, None] >= 0
    P = (label[0][:, None] == (label[0] if itself else label[1])[None]) & (label[0][:, None] >= 0) & known
    P &= torch.arange(n)[:, None] != torch.arange(m)
    C = known & (torch.arange(n)[:, None] != torch.arange(m))
    C[rows, columns] = False
    N = C & ~P
    assert (similarity.positive_count(pairs) == P.sum(1)).all()
    assert (similarity.candidate_count(pairs) == C.sum(1)).all()
    assert (similarity.negative_count(pairs) == N.sum(1)).all()
    before, plan.TILE["cpu"] = plan.TILE["cpu"], tile
    try:
        scores = similarity.cosine(a, c).divide(temperature)
        S = (F.normalize(a) @ F.normalize(c).T) / temperature
        for value, mask in (
            (similarity.negatives_lse(scores, pairs), N),
            (similarity.candidates_lse(scores, pairs), C),
            (similarity.positives_lse(scores, pairs), P),
        ):
            there = mask.any(1)
            twin = torch.logsumexp(S.masked_fill(~mask, -torch.inf)[there], 1)
            torch.testing.assert_close(value[there], twin, rtol=1e-9, atol=1e-9)
            assert (value[~there] == -math.inf).all()
            one, two = (torch.autograd.grad(x.square().sum(), a, retain_graph=True)[0] for x in (value[there], twin))
            torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-7)
        torch.testing.assert_close(similarity.positive_mean(scores, pairs), (S * P).sum(1) / P.sum(1).clamp(min=1), rtol=1e-9, atol=1e-9)
    finally:
        plan.TILE["cpu"] = before


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize("tile", [8, 1024])
def test_top_k(largest: bool, tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, "cpu", tile)
    n, m, k = 20, 33, 5
    a, c = rows_of(n).requires_grad_(), rows_of(m, seed=1)
    label, other = torch.arange(n) % 4, torch.arange(m) % 7
    pairs = Pairs(Relation.equal(label, other), Relation.all(), (n, m))
    scores = similarity.cosine(a, c).divide(0.1)
    S = scores.matrix()
    same = label[:, None] == other
    for over, mask in (("negatives", ~same), ("positives", same), (Relation.index(torch.arange(n)), torch.eye(n, m).bool())):
        found = similarity.top_k(scores, pairs, k, over=over, largest=largest)  # type: ignore[arg-type]
        worst = -math.inf if largest else math.inf
        value, column = S.masked_fill(~mask, worst).topk(k, 1, largest=largest)
        torch.testing.assert_close(found.scores, value)
        assert torch.equal(found.columns, column.masked_fill(value.isinf(), -1))
        there = found.columns >= 0
        one, two = (torch.autograd.grad(x[there].square().sum(), a, retain_graph=True)[0] for x in (found.scores, value))
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_top_k_of_learned_scores() -> None:
    found = similarity.top_k(
        similarity.learned(torch.tensor([[1.0, 3.0, 2.0]])), Pairs(Relation.none(), Relation.index(torch.tensor([[1, 2]])), (1, 3)), 3
    )
    assert found.columns.tolist() == [[1, 2, -1]]
    assert found.scores.tolist() == [[3.0, 2.0, -math.inf]]


@pytest.mark.parametrize("temperature", [0.2, 0.01])
def test_both_ways_at_once(temperature: float, small_tiles: None) -> None:
    n, m = 30, 41
    a, c = rows_of(n).requires_grad_(), rows_of(m, seed=1).requires_grad_()
    t = torch.tensor(1 / temperature, requires_grad=True)
    relation = Relation.all().without(Relation.equal(torch.arange(n) % 3, torch.arange(m) % 4), Relation.itself())
    scores = similarity.cosine(a, c).times(t).plus(torch.tensor(0.3))
    both = similarity.two_way_lse(scores, relation)
    each = similarity.lse(scores, relation), similarity.lse(scores.transposed(), relation.transposed())
    for one, two in zip(both, each):
        torch.testing.assert_close(one, two)
    first, second = (torch.autograd.grad(x[0].square().sum() + x[1].sum(), (a, c, t), retain_graph=True) for x in (both, each))
    for one, two in zip(first, second):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_transposed_pairs_are_the_transposed_matrix() -> None:
    n, m = 7, 9
    label = Relation.equal(torch.arange(n) % 3, torch.arange(m) % 4)
    half = (torch.arange(n) % 2, torch.arange(m) % 2)
    for relation in (
        label, Relation.index(torch.arange(n)), Relation.sparse(torch.tensor([0, 1]), torch.tensor([8, 2]), torch.tensor([0.5, 2.0])),
        Relation.all().without(label, Relation.itself()).weighted(torch.rand(n), torch.rand(m)).within(*half),
        Relation.product(torch.rand(n, 2), torch.rand(m, 2)), Relation.tile(lambda i, j: i > j), Relation.either(label, Relation.itself()),
    ):  # fmt: skip
        torch.testing.assert_close(relation.transposed().dense((m, n)), relation.dense((n, m)).T)


def test_weights_that_learn_get_a_gradient() -> None:
    left = torch.rand(6, 2, requires_grad=True)
    a = rows_of(6)
    pairs = Pairs(Relation.none(), Relation.product(left, torch.rand(6, 2)), (6, 6))
    (grad,) = torch.autograd.grad(similarity.candidates_lse(similarity.cosine(a, a), pairs).sum(), left)
    assert (grad > 0).all()


def test_edges_of_many_and_few(monkeypatch: pytest.MonkeyPatch) -> None:
    from counterpoint.core.similarity import edges

    a, c = rows_of(30).requires_grad_(), rows_of(40, seed=1).requires_grad_()
    rows, columns = torch.randint(0, 30, (500,)), torch.randint(0, 40, (500,))
    pull = torch.randn(500)
    found = []
    for chunk in (7, 1000):
        monkeypatch.setattr(edges, "_CHUNK", chunk)
        value = similarity.edge_scores(similarity.cosine(a, c).divide(0.5), rows, columns)
        found.append((value, *torch.autograd.grad(value, (a, c), pull)))
    for one, two in zip(*found):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda: similarity.cosine(torch.ones(3, 4), torch.ones(3, 5)), "differ in width"),
        (lambda: similarity.dot(torch.ones(3), torch.ones(3)), r"\(rows, width\)"),
        (lambda: similarity.learned(torch.ones(3)), "must be a matrix"),
        (lambda: similarity.cosine(torch.ones(3, 4), torch.ones(2, 4)).divide(0.0), "must be > 0"),
        (lambda: similarity.cosine(torch.ones(3, 4), torch.ones(2, 4)).times(torch.ones(2)), "3 anchors"),
        (lambda: similarity.cosine(torch.ones(3, 4), torch.ones(2, 4)).plus_column(torch.ones(3)), "2 candidates"),
        (lambda: Relation.index(torch.ones(3)), "must be integers"),
        (lambda: Relation.equal(torch.ones(3, 2)), "must be"),
        (lambda: Relation.sparse(torch.ones(3), torch.ones(2)), "edges"),
        (lambda: Relation.product(torch.ones(3, 2), torch.ones(3, 1)), "factors"),
        (lambda: Pairs(Relation.equal(torch.arange(3)), Relation.all(), (3, 4)), "3 x 4"),
        (lambda: Pairs(Relation.none(), Relation.all(), (3, 4), (torch.arange(3), torch.arange(3))), "block keys"),
        (lambda: similarity.sum_of(similarity.dot(torch.ones(3, 1), torch.ones(3, 1)), two_views(4), F.softplus), "3 x 3"),
        (lambda: similarity.softmax_mean(similarity.dot(torch.ones(2, 1), torch.ones(2, 1)), two_views(2), over="all"), "over = 'all'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_input_is_told(wrong: Any, match: str) -> None:
    with pytest.raises(OptionError, match=match):
        wrong()


def test_a_matrix_of_many_scores_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from counterpoint.core.similarity import scores

    monkeypatch.setattr(scores, "DENSE_LIMIT", 10)
    with pytest.raises(OptionError, match="allowed up to 10 scores"):
        similarity.cosine(torch.ones(4, 2), torch.ones(4, 2)).matrix()
    with pytest.raises(OptionError, match="at most 10 scores"):
        similarity.learned(torch.ones(4, 4))
