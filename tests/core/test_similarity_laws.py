"""What similarity promises beside its values: memory, second derivatives, extreme inputs, easy positives, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.similarity import Pairs, Relation, Scores, plan


def rows_of(n: int, d: int = 8, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def two_views(n: int) -> Pairs:
    """Rows i and i + n/2 belong together."""
    return Pairs(Relation.index(torch.arange(n).roll(n // 2)), Relation.all().without(Relation.itself()), (n, n))


def nt_xent(scores: Scores, pairs: Pairs) -> Tensor:
    return F.softplus(similarity.negatives_lse(scores, pairs) - similarity.positive_mean(scores, pairs))


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plan.TILE, "cpu", 16)
    monkeypatch.setattr(plan, "KEEP", 0)
    monkeypatch.setattr(plan, "_SMALL", 4)


# ---- memory


class Largest(TorchDispatchMode):
    """Watches every tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(one, Tensor):
                self.numel = max(self.numel, one.untyped_storage().nbytes() // max(one.element_size(), 1))
        return out


def statistics_of(scores: Scores, pairs: Pairs) -> Tensor:
    """Everything there is, once."""
    best = similarity.top_k(scores, pairs, 4).scores
    return (
        similarity.negatives_lse(scores, pairs).nan_to_num(neginf=0.0)
        + similarity.candidates_lse(scores, pairs).nan_to_num(neginf=0.0)
        + similarity.positives_lse(scores, pairs).nan_to_num(neginf=0.0)
        + similarity.positive_mean(scores, pairs)
        + similarity.softmax_mean(scores, pairs, sharpness=0.5)
        + similarity.sum_of(scores, pairs, F.softplus)
        + similarity.sum_of(scores, pairs, torch.square, over="positives", derivative=lambda s: 2 * s)
        + best.masked_fill(best.isinf(), 0.0).sum(1)
        + similarity.positive_count(pairs)
        + similarity.negative_count(pairs)
        + similarity.candidate_weight(pairs)
    )


def relations(n: int) -> dict[str, tuple[Relation, Relation]]:
    """Name → (positive, candidate)."""
    label = torch.arange(n) % 5
    item = torch.arange(n) // 2
    codes = F.one_hot(torch.arange(n) % 3, 3).float() + 0.1
    me = Relation.itself()
    rows = torch.arange(n).repeat_interleave(3)
    sparse = Relation.sparse(rows, (rows * 7 + torch.arange(3 * n) % 3 + 1) % n)
    return {
        "index": (Relation.index(torch.arange(n).roll(n // 2)), Relation.all().without(me)),
        "item": (Relation.equal(item).without(me), Relation.all().without(me)),
        "label": (Relation.equal(label).without(me), Relation.all().without(me)),
        "sparse": (sparse, Relation.all().without(me)),
        "product": (Relation.product(codes, codes).without(me), Relation.all().without(me)),
        "tile": (Relation.tile(lambda i, j: (i - j).abs() == 2), Relation.all().without(me)),
        "either": (Relation.either(Relation.equal(label), sparse).without(me), Relation.all().without(me, Relation.equal(item))),
        "weighted": (Relation.equal(item).without(me), Relation.all().without(me).weighted(column=1.0 + label)),
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [*(("with itself", name) for name in relations(4)), *((k, n) for k in ("others", "unbounded", "cold") for n in ("index", "label"))],
)
def test_no_tensor_grows_with_n_times_m(name: str, kind: str, small_tiles: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterpoint.core.similarity import edges, roads, stream

    monkeypatch.setattr(edges, "PER_ROW", 4)
    monkeypatch.setattr(stream, "STRIPE", 2048)
    monkeypatch.setattr(roads, "_SAMPLE", 8)
    monkeypatch.setitem(plan.TILE, "cpu", 24)
    n, d = 120, 2
    positive, candidate = relations(n)[name]
    pairs = Pairs(positive, candidate, (n, n))
    a = rows_of(n, d).requires_grad_()
    c = a if kind != "others" else rows_of(n, d, 1).requires_grad_()
    with Largest() as watch:
        scores = similarity.dot(a * 9, c) if kind == "unbounded" else similarity.cosine(a, c).divide(0.01 if kind == "cold" else 0.2)
        statistics_of(scores, pairs).mean().backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()
    assert watch.numel <= 8 * n * (d + 1), "n·(d + 1) numbers, a few edges per row or one tile may live; n·m may not"


def test_the_watch_sees_a_matrix() -> None:
    """The test above can fail."""
    with Largest() as watch:
        similarity.cosine(rows_of(120, 2), rows_of(120, 2)).matrix()
    assert watch.numel >= 120 * 120


# ---- second derivatives


@pytest.mark.parametrize("n", [6, 24])
@pytest.mark.parametrize("itself", [True, False])
def test_second_derivatives_are_right(n: int, itself: bool, small_tiles: None) -> None:
    pairs = two_views(n)
    label = Pairs(Relation.equal(torch.arange(n) % 2).without(Relation.itself()), pairs.candidate, (n, n))

    def value(a: Tensor, c: Tensor, t: Tensor) -> Tensor:
        scores = similarity.cosine(a, a if itself else c).times(t)
        return (
            nt_xent(scores, pairs)
            + similarity.softmax_mean(scores, label)
            + similarity.sum_of(scores, label, F.softplus)
            + similarity.positive_mean(scores, label)
            + similarity.positives_lse(scores, label)
        )

    a, c = (rows_of(n, 3, seed, torch.float64).requires_grad_() for seed in (0, 1))
    t = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    inputs = (a, c, t)
    assert torch.autograd.gradcheck(value, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(value, inputs, fast_mode=True)


@pytest.mark.parametrize("loss", [nt_xent, similarity.contrast], ids=["apart", "at once"])
def test_second_derivatives_of_one_tile(loss: Callable[[Scores, Pairs], Tensor]) -> None:
    pairs = two_views(6)
    a, c = (rows_of(6, 3, seed, torch.float64).requires_grad_() for seed in (0, 1))
    for value in (
        lambda x, y: loss(similarity.cosine(x, x).divide(0.5), pairs),
        lambda x, y: loss(similarity.cosine(x, y).divide(0.5), pairs),
    ):
        assert torch.autograd.gradcheck(value, (a, c))
        assert torch.autograd.gradgradcheck(value, (a, c))


def test_second_derivatives_of_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch, small_tiles: None) -> None:
    from counterpoint.core.similarity import roads

    monkeypatch.setattr(roads, "DENSE_LIMIT", 100)
    a = rows_of(20).requires_grad_()
    loss = nt_xent(similarity.cosine(a, a).divide(0.2), two_views(20)).mean()
    with pytest.raises(OptionError, match=r"second derivatives of 20 x 20 scores.*fewer rows"):
        torch.autograd.grad(loss, a, create_graph=True)


# ---- exactness


@pytest.mark.parametrize("temperature", [1.0, 0.5, 0.1, 0.05, 0.02, 0.01])
@pytest.mark.parametrize("exponent", [-2, -6, -10])
def test_gradient_of_easy_positives(temperature: float, exponent: int, small_tiles: None) -> None:
    """At a loss of 1e-6 and below the float32 gradient agrees with float64, where logsumexp − positive has none left."""
    n, d = 64, 32
    base = F.normalize(rows_of(n // 2, d, dtype=torch.float64))
    gap = -math.log(10.0**exponent / n) * temperature  # about the distance of positives above negatives
    a = torch.cat([base, base + 0.01 * rows_of(n // 2, d, 1, torch.float64)]) * math.sqrt(max(gap, 1.0))
    a = a.float()
    pairs = two_views(n)
    grads = []
    for kind in (torch.float32, torch.float64):
        x = a.to(kind).requires_grad_()
        loss = similarity.contrast(similarity.dot(x, x).divide(temperature), pairs)
        (grad,) = torch.autograd.grad(loss.mean(), x)
        assert (loss >= 0).all()
        grads.append(grad.double())
    assert float(grads[1].abs().max()) > 0
    error = float((grads[0] - grads[1]).norm() / grads[1].norm())
    assert error < 1e-4, error


def test_loss_of_an_easy_positive_is_not_zero() -> None:
    """A loss of 1e-12 is 1e-12."""
    z = F.normalize(torch.cat([torch.eye(8), torch.eye(8)]))
    for loss in (nt_xent, similarity.contrast):
        value = loss(similarity.cosine(z, z).divide(0.03), two_views(16)).double()
        torch.testing.assert_close(value, torch.full((16,), 14 * math.exp(-1 / 0.03), dtype=torch.float64), rtol=1e-4, atol=0.0)


@pytest.mark.parametrize("road", ["one tile", "many tiles"])
def test_under_autocast_nothing_is_lost(road: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if road == "many tiles":
        monkeypatch.setitem(plan.TILE, "cpu", 16)
    a = rows_of(48).requires_grad_()
    pairs = two_views(48)
    plain = statistics_of(similarity.cosine(a, a).divide(0.1), pairs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wide = statistics_of(similarity.cosine(a, a).divide(0.1), pairs)
        half = nt_xent(similarity.cosine(a.bfloat16(), a.bfloat16()).divide(0.1), pairs)
    assert wide.dtype == half.dtype == torch.float32
    torch.testing.assert_close(wide, plain, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(half.mean(), nt_xent(similarity.cosine(a, a).divide(0.1), pairs).mean(), rtol=1e-2, atol=0.0)


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e-6, 1e6, 1e18, 1e30])
@pytest.mark.parametrize("kind", ["cosine", "dot", "distance"])
def test_extreme_inputs_give_no_nan(factor: float, kind: str, small_tiles: None) -> None:
    if kind != "cosine":
        factor = min(factor, 1e15)  # squares beyond float32 are infinite by any road
    n = 40
    a = (rows_of(n) * factor).requires_grad_()
    make = {"cosine": similarity.cosine, "dot": similarity.dot, "distance": similarity.negative_squared_distance}[kind]
    pairs = two_views(n)
    scores = make(a, a)
    loss = nt_xent(scores, pairs) + similarity.softmax_mean(scores, pairs)
    (grad,) = torch.autograd.grad(loss.mean(), a)
    assert loss.isfinite().all()
    assert grad.isfinite().all()


def test_a_row_of_zeros_has_no_gradient() -> None:
    a = rows_of(10)
    a[3] = 0.0
    a.requires_grad_()
    (grad,) = torch.autograd.grad(nt_xent(similarity.cosine(a, a).divide(0.1), two_views(10)).sum(), a)
    assert (grad[3] == 0).all()
    assert (grad[2] != 0).any()


@pytest.mark.parametrize("tile", [4, 1024])
@pytest.mark.parametrize("kind", ["bounded", "unbounded", "with itself"])
def test_rows_without_candidates(tile: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """−∞, 0, and no gradient; the other rows are what they are without them."""
    monkeypatch.setitem(plan.TILE, "cpu", tile)
    n = 12
    label = torch.zeros(n, dtype=torch.int64)
    label[5] = 1
    a = (rows_of(n) * 6).requires_grad_()
    scores = similarity.dot(a, rows_of(n, seed=1) * 6) if kind == "unbounded" else similarity.cosine(a, a)
    if kind == "bounded":
        scores = similarity.cosine(a, rows_of(n, seed=1))
    only = Relation.equal(label).without(Relation.itself())
    pairs = Pairs(only, only, (n, n))
    lse = similarity.candidates_lse(scores, pairs)
    assert (lse.isinf() == (label == 1)).all()
    others = similarity.softmax_mean(scores, pairs, over="candidates") + similarity.positive_mean(scores, pairs)
    assert others[5] == 0
    total = lse.masked_fill(label == 1, 0.0).sum() + others.sum() + lse.masked_fill(label == 1, 0.0).square().sum()
    (grad,) = torch.autograd.grad(total, a)
    assert grad.isfinite().all()
    if kind != "with itself":
        assert (grad[5] == 0).all()
    assert similarity.positive_count(pairs).tolist() == [10] * 5 + [0] + [10] * 6


def test_no_pairs_at_all_give_zero_with_a_graph() -> None:
    a = rows_of(6).requires_grad_()
    pairs = Pairs(Relation.none(), Relation.none(), (6, 6))
    scores = similarity.cosine(a, a)
    total = similarity.positive_mean(scores, pairs).sum() + similarity.sum_of(scores, pairs, F.softplus).sum()
    total.backward()
    assert a.grad is not None
    assert (a.grad == 0).all()
    assert (similarity.positives_lse(scores, pairs) == -math.inf).all()
