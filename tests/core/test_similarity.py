"""Every statistic, under every form of relation, against a float64 twin that goes row by row."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation, Scores, plan

Weights = Tensor
Case = Callable[[int, int], tuple[Relation, Weights]]


@pytest.fixture(params=["written", "one tile", "many tiles", "some kept"])
def tiling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything is run with all weights written out, with one tile, which is kept, and with many small ones, which are made again,
    all or all but three."""
    if request.param == "one tile":
        monkeypatch.setattr(Relation, "written", lambda *_: None)
    elif request.param != "written":
        monkeypatch.setitem(plan.TILE, "cpu", 8)
        monkeypatch.setattr(plan, "_SMALL", 3)
        monkeypatch.setattr(plan, "KEEP", 200 if request.param == "some kept" else 0)
    return str(request.param)


def labels(n: int, kinds: int, seed: int = 0) -> Tensor:
    return torch.randint(0, kinds, (n,), generator=torch.Generator().manual_seed(seed + n))


def same(first: Tensor, second: Tensor) -> Tensor:
    out = torch.zeros(len(first), len(second), dtype=torch.float64)
    for i, a in enumerate(first.tolist()):
        for j, b in enumerate(second.tolist()):
            out[i, j] = float(a == b and a != -1)
    return out


def everyone(n: int, m: int) -> tuple[Relation, Weights]:
    return Relation.all(), torch.ones(n, m, dtype=torch.float64)


def not_itself(n: int, m: int) -> tuple[Relation, Weights]:
    return Relation.all().without(Relation.itself()), 1 - torch.eye(n, m, dtype=torch.float64)


def itself(n: int, m: int) -> tuple[Relation, Weights]:
    return Relation.itself(), torch.eye(n, m, dtype=torch.float64)


def partner(n: int, m: int) -> tuple[Relation, Weights]:
    target = (torch.arange(n) + n // 2) % m
    return Relation.index(target), F.one_hot(target, m).double()


def some_partners(n: int, m: int) -> tuple[Relation, Weights]:
    target = torch.stack([(torch.arange(n) * 3) % m, (torch.arange(n) * 5 + 1) % m], 1)
    target[::4, 0] = -1
    target[1::4] = -1
    weights = torch.rand(n, 2, generator=torch.Generator().manual_seed(1)) + 0.1
    W = torch.zeros(n, m, dtype=torch.float64)
    for i in range(n):
        for k in range(2):
            if target[i, k] >= 0:
                W[i, target[i, k]] += weights[i, k].double()
    return Relation.index(target, weights), W


def label(n: int, m: int) -> tuple[Relation, Weights]:
    first, second = labels(n, 3), labels(m, 3)
    first[:2] = second[:2] = -1
    return Relation.equal(first, second), same(first, second)


def label_not_itself(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = label(n, m)
    return relation.without(Relation.itself()), W * (1 - torch.eye(n, m, dtype=torch.float64))


def other_label(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = label(n, m)
    return Relation.all().without(relation, Relation.itself()), (1 - W) * (1 - torch.eye(n, m, dtype=torch.float64))


def many_labels(n: int, m: int) -> tuple[Relation, Weights]:
    first, second = labels(n, 9), labels(m, 9)
    return Relation.equal(first, second), same(first, second)


def label_of_real_numbers(n: int, m: int) -> tuple[Relation, Weights]:
    first, second = labels(n, 3).double(), labels(m, 3).double()
    first[0] = second[1] = math.nan
    return Relation.all().without(Relation.equal(first, second)), 1 - same(first, second)


def edges(n: int, m: int) -> tuple[Relation, Weights]:
    rows, columns = torch.arange(n).repeat_interleave(2), (torch.arange(2 * n) * 7) % m
    weights = torch.rand(2 * n, generator=torch.Generator().manual_seed(2)) + 0.1
    weights[3] = 0.0
    W = torch.zeros(n, m, dtype=torch.float64)
    for i, j, w in zip(rows.tolist(), columns.tolist(), weights.tolist()):
        W[i, j] += w
    return Relation.sparse(rows, columns, weights), W


def without_edges(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = edges(n, m)
    return Relation.all().without(relation), (W == 0).double()


def without_mutual_edges(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = partner(n, m)
    return Relation.all().without(relation, Relation.itself()), (1 - W) * (1 - torch.eye(n, m, dtype=torch.float64))


def soft(n: int, m: int) -> tuple[Relation, Weights]:
    generator = torch.Generator().manual_seed(3)
    left, right = torch.rand(n, 4, generator=generator), torch.rand(m, 4, generator=generator)
    left[0] = 0.0
    return Relation.product(left, left if n == m else right), (left @ (left if n == m else right).T).double()


def soft_without(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = soft(n, m)
    other, V = label(n, m)
    return relation.without(other), W * (1 - V)


def near(n: int, m: int) -> tuple[Relation, Weights]:
    W = torch.tensor([[float(abs(i - j) < 4) * (1 + i % 2) for j in range(m)] for i in range(n)], dtype=torch.float64)
    return Relation.tile(lambda i, j: ((i - j).abs() < 4) * (1.0 + i % 2)), W


def without_near(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = near(n, m)
    return Relation.all().without(relation), (W == 0).double()


def either(n: int, m: int) -> tuple[Relation, Weights]:
    (one, V), (two, W), (three, X) = label(n, m), partner(n, m), edges(n, m)
    return Relation.either(one, two, three), torch.stack([V, W, X]).amax(0)


def either_few(n: int, m: int) -> tuple[Relation, Weights]:
    (one, V), (two, W) = partner(n, m), edges(n, m)
    return Relation.either(one, two), torch.maximum(V, W)


def without_either(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = either(n, m)
    return Relation.all().without(relation), (W == 0).double()


def inside_blocks(n: int, m: int) -> tuple[Relation, Weights]:
    first, second = labels(n, 5, 7), labels(m, 5, 7)
    first[3] = -1
    return Relation.all().within(first, second), same(first, second)


def inside_blocks_not_itself(n: int, m: int) -> tuple[Relation, Weights]:
    keys = labels(max(n, m), 4, 8)
    first, second = (keys, keys) if n == m else (keys[:n], keys[:m])
    relation, W = label(n, m)
    V = same(first, second) * (1 - torch.eye(n, m, dtype=torch.float64))
    return Relation.all().within(first, second).without(Relation.itself(), relation), V * (1 - W)


def label_inside_blocks(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = label(n, m)
    first, second = labels(n, 2, 9), labels(m, 2, 9)
    return relation.within(first, second), W * same(first, second)


def weighted(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = not_itself(n, m)
    generator = torch.Generator().manual_seed(4)
    row, column = torch.rand(n, generator=generator), torch.rand(m, generator=generator)
    row[1] = column[2] = 0.0
    return relation.weighted(row, column), W * row[:, None].double() * column.double()


def weighted_labels(n: int, m: int) -> tuple[Relation, Weights]:
    relation, W = label_not_itself(n, m)
    column = torch.rand(m, generator=torch.Generator().manual_seed(5))
    return relation.weighted(column=column), W * column.double()


def nobody(n: int, m: int) -> tuple[Relation, Weights]:
    return Relation.none(), torch.zeros(n, m, dtype=torch.float64)


CASES: list[Case] = [
    everyone, not_itself, itself, partner, some_partners, label, label_not_itself, other_label, many_labels, label_of_real_numbers, edges,
    without_edges, without_mutual_edges, soft, soft_without, near, without_near, either, either_few, without_either, inside_blocks,
    inside_blocks_not_itself, label_inside_blocks, weighted, weighted_labels, nobody,
]  # fmt: skip


# ---- the twins: one row at a time


def twin_scores(scores: Scores) -> Tensor:
    S = (scores.anchors.double()[:, None] * scores.candidates.double()[None]).sum(-1)
    scale = scores.scale
    S = S * (scale.double()[:, None] if isinstance(scale, Tensor) and scale.dim() else scale)
    S = S if scores.row is None else S + (scores.row.double()[:, None] if scores.row.dim() else scores.row)
    return S if scores.column is None else S + scores.column.double()


def twin_lse(s: Tensor, w: Tensor) -> Tensor:
    return torch.logsumexp(s[w > 0] + w[w > 0].log(), 0) if (w > 0).any() else s.sum() * 0 - torch.inf


def twin_mean(s: Tensor, w: Tensor) -> Tensor:
    return (s * w).sum() / w.sum() if (w > 0).any() else s.sum() * 0


def twin_softmax_mean(s: Tensor, w: Tensor, sharpness: float, through: bool) -> Tensor:
    if not (w > 0).any():
        return s.sum() * 0
    s, w = s[w > 0], w[w > 0]
    p = torch.softmax(sharpness * s + w.log(), 0)
    return ((p if through else p.detach()) * s).sum()


STATISTICS: dict[str, tuple[Callable[..., Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "lse": (lambda s, p: similarity.candidates_lse(s, p), twin_lse),
    "mean": (lambda s, p: similarity.mean(s, p.candidates), twin_mean),
    "softmax_mean": (
        lambda s, p: similarity.softmax_mean(s, p, over="candidates", sharpness=0.7),
        lambda s, w: twin_softmax_mean(s, w, 0.7, True),
    ),
    "softmax_mean far": (
        lambda s, p: similarity.softmax_mean(s, p, over="candidates", sharpness=-1.3, through_weights=False),
        lambda s, w: twin_softmax_mean(s, w, -1.3, False),
    ),
    "softplus": (
        lambda s, p: similarity.sum_of(s, p, F.softplus, over="candidates"),
        lambda s, w: (w * F.softplus(s)).sum(),
    ),
    "softplus by hand": (
        lambda s, p: similarity.sum_of(s, p, F.softplus, over="candidates", derivative=torch.sigmoid),
        lambda s, w: (w * F.softplus(s)).sum(),
    ),
}  # fmt: skip


def rows_of(n: int, d: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def cosines(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a, c = rows_of(n).requires_grad_(), rows_of(m, seed=1).requires_grad_()
    return similarity.cosine(a, c).divide(0.2), [a, c]


def cosines_with_itself(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = rows_of(n).requires_grad_()
    return similarity.cosine(a, a).divide(0.2), [a]


def learned_scale_and_bias(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a, c = rows_of(n).requires_grad_(), rows_of(m, seed=1).requires_grad_()
    t, b = torch.tensor(3.0, requires_grad=True), torch.tensor(-1.0, requires_grad=True)
    return similarity.cosine(a, c).times(t).plus(b), [a, c, t, b]


def learned_scale_with_itself(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = rows_of(n).requires_grad_()
    t, b = torch.tensor(3.0, requires_grad=True), torch.tensor(-1.0, requires_grad=True)
    return similarity.cosine(a, a).times(t).plus(b), [a, t, b]


def everything_per_row(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a, c = rows_of(n).requires_grad_(), rows_of(m, seed=1).requires_grad_()
    t, b, k = (rows_of(size, 1, seed)[:, 0].requires_grad_() for size, seed in ((n, 2), (n, 3), (m, 4)))
    return similarity.cosine(a, c).times(t.exp()).plus(b).plus_column(k), [a, c, t, b, k]


def temperature_per_row_with_itself(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a, t = rows_of(n).requires_grad_(), rows_of(n, 1, 2)[:, 0].requires_grad_()
    return similarity.cosine(a, a).divide(t.exp()), [a, t]


def distances(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a, c = rows_of(n).requires_grad_(), rows_of(m, seed=1).requires_grad_()
    return similarity.negative_squared_distance(a, c).times(0.3), [a, c]


def distances_with_itself(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = rows_of(n).requires_grad_()
    return similarity.negative_squared_distance(a, a), [a]


def unbounded(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a, c = (8 * rows_of(n)).requires_grad_(), (8 * rows_of(m, seed=1)).requires_grad_()
    return similarity.dot(a, c), [a, c]


def unbounded_with_itself(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = (5 * rows_of(n)).requires_grad_()
    return similarity.dot(a, a), [a]


def cold(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = rows_of(n).requires_grad_()
    return similarity.cosine(a, a).divide(0.01), [a]


def frozen_candidates(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = rows_of(n).requires_grad_()
    t = torch.tensor(3.0, requires_grad=True)
    return similarity.cosine(a, rows_of(m, seed=1)).times(t), [a, t]


def frozen_anchors(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    c = rows_of(m, seed=1).requires_grad_()
    return similarity.cosine(rows_of(n), c).divide(0.2), [c]


def unbounded_frozen_candidates(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    a = (9 * rows_of(n)).requires_grad_()
    return similarity.dot(a, 9 * rows_of(m, seed=1)), [a]


def matrix(n: int, m: int) -> tuple[Scores, list[Tensor]]:
    s = rows_of(n, m).requires_grad_()
    return similarity.learned(s).times(2.0), [s]


SCORES = [
    cosines, cosines_with_itself, learned_scale_and_bias, learned_scale_with_itself, everything_per_row, temperature_per_row_with_itself,
    distances, distances_with_itself, unbounded, unbounded_with_itself, cold, frozen_candidates, frozen_anchors,
    unbounded_frozen_candidates,
]  # fmt: skip


def agree(value: Tensor, twin: Tensor, inputs: list[Tensor], largest: float = 1.0) -> None:
    """Values, and gradients of a weighted sum of them.

    A float32 score of size `largest` has an error of about 1e-7 of that, and an exponential makes it relative.
    """
    rtol, atol = 1e-5 * max(largest / 10, 1.0), 1e-6 * max(largest / 5, 1.0)
    torch.testing.assert_close(value.double(), twin, rtol=rtol, atol=atol)
    finite = twin.isfinite().double()
    pull = finite * torch.linspace(-1, 2, len(twin), dtype=torch.float64)
    first = torch.autograd.grad((value * pull.to(value.dtype))[finite.bool()].sum(), inputs, allow_unused=True, retain_graph=True)
    second = torch.autograd.grad((twin * pull)[finite.bool()].sum(), inputs, allow_unused=True, retain_graph=True)
    for one, two in zip(first, second):
        two = torch.zeros(()) if two is None else two
        one = torch.zeros_like(two) if one is None else one
        torch.testing.assert_close(one, two, rtol=20 * rtol, atol=20 * (rtol * float(two.abs().max()) + atol))


def check(scores: Scores, inputs: list[Tensor], relation: Relation, W: Tensor, names: list[str]) -> None:
    n, m = scores.shape
    S = twin_scores(scores)
    pairs = Pairs(Relation.none(), relation, (n, m))
    largest = float(S.detach().abs().max())
    for name in names:
        statistic, twin = STATISTICS[name]
        expected = torch.stack([twin(S[i], W[i]) for i in range(n)])
        agree(statistic(scores, pairs), expected, inputs, largest)


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("n", "m"), [(20, 20), (20, 29)], ids=["square", "wide"])
def test_every_form_and_statistic(case: Case, n: int, m: int, tiling: str) -> None:
    relation, W = case(n, m)
    if n == m:
        check(*cosines_with_itself(n, m), relation, W, list(STATISTICS))
    check(*cosines(n, m), relation, W, list(STATISTICS))


@pytest.mark.parametrize("make", SCORES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", [not_itself, other_label, label_not_itself, edges, soft_without, inside_blocks], ids=lambda f: f.__name__)
def test_every_kind_of_scores(make: Callable[[int, int], tuple[Scores, list[Tensor]]], case: Case, tiling: str) -> None:
    scores, inputs = make(20, 24)
    n, m = scores.shape
    relation, W = case(n, m)
    check(scores, inputs, relation, W, ["lse", "mean", "softmax_mean", "softplus"])
