"""mixed_negatives (064) and transformed (063): what is mixed, what gets a gradient, the exact identities of the notes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses
from counterpoint.core import similarity, values
from counterpoint.core.errors import OptionError
from counterpoint.core.options import use
from counterpoint.core.recipe import Contrast, Progress, Rows
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.losses import hard_negatives, transformation
from counterpoint.losses.transformation import permuted
from counterpoint.pairs import same


def _setting(n=6, m=40, d=8, dtype=torch.float32):
    g = torch.Generator().manual_seed(0)
    a = torch.randn(n, d, generator=g, dtype=dtype)
    c = torch.cat([a + 0.5 * torch.randn(n, d, generator=g, dtype=dtype), torch.randn(m - n, d, generator=g, dtype=dtype)])
    return (
        a,
        c,
        Pairs(Relation.index(torch.arange(n)), Relation.all().without(Relation.sparse(torch.tensor([0]), torch.tensor([7]))), (n, m)),
    )


def test_without_mixtures_it_is_info_nce():
    a, c, pairs = _setting()
    scores = similarity.cosine(a, c)
    plain = losses.info_nce(scores, pairs, temperature=0.2)
    off = losses.mixed_negatives(scores, pairs, temperature=0.2, between=0, towards=0)
    assert torch.allclose(off.values, plain.values) and off.chance == pytest.approx(plain.chance)
    none = losses.transformed(scores, pairs, temperature=0.2, positive=None, negative=None)
    assert torch.allclose(none.values, plain.values, rtol=1e-5) and none.chance == pytest.approx(plain.chance)


def test_mixtures_lie_between_their_parents_and_are_every_anchor_s_own():
    """Two anchors whose hard sets are disjoint: mixtures of the first stay among the first's (a known bug of a public version)."""
    axis = torch.eye(4)
    a = axis[:2]
    c = functional.normalize(torch.cat([a, torch.stack([axis[i % 2] + 0.1 * (i + 1) * axis[2] for i in range(8)])]), dim=1)
    pairs = Pairs(Relation.index(torch.tensor([0, 1])), Relation.all(), (2, 10))
    scores = similarity.cosine(a, c)
    made = hard_negatives._mixtures(scores, pairs, 4, 50, 50, 0.5)
    assert made.shape == (2, 100, 4) and torch.allclose(made.norm(dim=2), torch.ones(2, 100))
    assert made[0, :, 1].abs().max() == 0 and made[1, :, 0].abs().max() == 0
    own = (made * a[:, None]).sum(2)
    hard = (a @ c.T).topk(5, dim=1).values[:, 1:]  # without the positive
    assert (own[:, :50] >= hard.min() - 1e-6).all()
    assert (own[:, 50:].mean(1) > own[:, :50].mean(1)).all()  # nearer to the anchor


def test_mixtures_make_the_task_harder_and_get_no_gradient():
    a, c, pairs = _setting()
    a, c = a.requires_grad_(), c.requires_grad_()
    torch.manual_seed(0)
    mixed = losses.mixed_negatives(similarity.cosine(a, c), pairs, temperature=0.2, hardest=5, between=8, towards=4)
    plain = losses.info_nce(similarity.cosine(a, c), pairs, temperature=0.2)
    assert (mixed.values > plain.values).all()
    assert mixed.chance is None
    torch.manual_seed(0)
    made = hard_negatives._mixtures(similarity.cosine(a, c), pairs, 5, 8, 4, 0.5)
    torch.manual_seed(0)
    grads = torch.autograd.grad(mixed.mean(), (a, c))
    q, z = functional.normalize(a), functional.normalize(c)
    s = (q @ z.T / 0.2).masked_fill(pairs.candidate.dense((6, 40)) == 0, -torch.inf)
    everyone = torch.cat([s, torch.einsum("nd,nsd->ns", q, made) / 0.2], 1)
    hand = torch.autograd.grad((everyone.logsumexp(1) - s[range(6), range(6)]).mean(), (a, c))
    assert all(torch.allclose(x, y, atol=1e-6) for x, y in zip(grads, hand, strict=True))


def test_fewer_negatives_than_asked_for():
    a, c, _ = _setting(3, 5)
    pairs = Pairs(Relation.itself(), Relation.sparse(torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 3, 1, 4, 2])), (3, 5))
    scores = similarity.cosine(a, c)
    result = losses.mixed_negatives(scores, pairs, hardest=64, between=6, towards=6)
    assert torch.isfinite(result.values).all() and result.values[2] == 0  # the third has no negatives, and gets no mixtures
    a = a.requires_grad_()
    losses.mixed_negatives(similarity.cosine(a, c), pairs, hardest=64, between=6, towards=6).mean().backward()
    assert torch.isfinite(a.grad).all()
    made = hard_negatives._mixtures(scores, pairs, 64, 6, 0, 0.5)
    assert torch.allclose(made[0], functional.normalize(c[3], dim=0).expand(6, -1))  # one negative: every mixture is it


def test_the_switch_on_is_a_value():
    """Mixing off at first: the option is a part, and the contrast resolves it."""
    a, c, _ = _setting()
    out = {"z": Rows(a, {"item": torch.arange(6), "view": torch.zeros(6)}), "queue": Rows(c, {"item": torch.arange(40)}, True)}
    late = use(values.step, before=0.0, after=16.0, steps=5)
    term = Contrast(use(same, old="positive"), use(losses.mixed_negatives, between=late, towards=0), candidates="queue")
    plain = Contrast(use(same, old="positive"), use(losses.mixed_negatives, between=0, towards=0), candidates="queue")
    early, after = (term(out, {}, Progress(step=s, steps=10)).mean() for s in (4, 5))
    assert early == plain(out, {}, Progress()).mean() and after > early


def test_the_positive_score_follows_the_identity():
    """q'·k' = S − 2 λ (λ − 1)(1 − S); at λ = 2 it is 5 S − 4, never above S (paper 063)."""
    g = torch.Generator().manual_seed(0)
    q, k = (functional.normalize(torch.randn(7, 5, generator=g, dtype=torch.float64)) for _ in range(2))
    s = (q * k).sum(1)
    for factor in (1.0, 1.3, 2.0):
        product = ((factor * q + (1 - factor) * k) * (factor * k + (1 - factor) * q)).sum(1)
        assert torch.allclose(product, s - 2 * factor * (factor - 1) * (1 - s))
        assert (product <= s + 1e-12).all()
    assert torch.allclose(((2 * q - k) * (2 * k - q)).sum(1), 5 * s - 4)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("per", ["step", "row"])
def test_transformed_equals_the_formulas(monkeypatch, normalised, per):
    a, c, pairs = _setting(dtype=torch.float64)
    order = torch.randperm(40)
    draws = {
        6: torch.rand(6, 1, dtype=torch.float64),
        40: torch.rand(40, 1, dtype=torch.float64),
        1: torch.tensor([[0.3]], dtype=torch.float64),
    }
    monkeypatch.setattr(torch, "randperm", lambda *_, **__: order)
    monkeypatch.setattr(transformation, "_beta", lambda _, size, like: draws[size].to(like))
    a, c = a.requires_grad_(), c.requires_grad_()
    result = losses.transformed(similarity.cosine(a, c), pairs, temperature=0.3, normalised=normalised, per=per)
    q, z = functional.normalize(a), functional.normalize(c)
    unit = (lambda x: functional.normalize(x, dim=-1)) if normalised else (lambda x: x)
    lam = 1 + draws[6 if per == "row" else 1].expand(6, 1)
    mu = draws[40 if per == "row" else 1].expand(40, 1)
    ignored = pairs.candidate.dense((6, 40)) == 0
    hand = []
    for i in range(6):
        far, key = unit(lam[i] * q[i] + (1 - lam[i]) * z[i]), unit(lam[i] * z[i] + (1 - lam[i]) * q[i])
        total = 0.0
        for j in range(40):
            two = (j, int(order[j]))
            if i not in two and not any(ignored[i, x] for x in two):
                total = total + torch.exp(far @ unit(mu[j] * z[j] + (1 - mu[j]) * z[two[1]]) / 0.3)
        own = torch.exp(far @ key / 0.3)
        hand.append(-torch.log(own / (own + total)))
    assert torch.allclose(result.values, torch.stack(hand), rtol=1e-9)
    expected = torch.autograd.grad(torch.stack(hand).mean(), (a, c))
    for one, two in zip(torch.autograd.grad(result.mean(), (a, c)), expected, strict=True):
        assert torch.allclose(one, two, atol=1e-9)
    single = [x.detach().float().requires_grad_() for x in (a, c)]
    narrow = losses.transformed(similarity.cosine(*single), pairs, temperature=0.3, normalised=normalised, per=per)
    assert torch.allclose(narrow.values.double(), result.values, rtol=1e-5)
    for one, two in zip(torch.autograd.grad(narrow.mean(), single), expected, strict=True):
        assert torch.allclose(one.double(), two, atol=1e-5)


def test_extrapolation_is_harder_and_interpolation_easier():
    a, c, pairs = _setting()
    plain = losses.info_nce(similarity.cosine(a, c), pairs, temperature=0.2).mean()
    far = losses.transformed(similarity.cosine(a, c), pairs, negative=None).mean()
    near = losses.transformed(similarity.cosine(a, c), pairs, negative=None, extrapolate=False, normalised=True).mean()
    assert near < plain < far


def test_permuted_relations_are_permuted():
    g = torch.Generator().manual_seed(0)
    order = torch.randperm(7, generator=g)
    keys = torch.tensor([0, 1, 0, 2, -1]), torch.tensor([0, 0, 1, 2, -1, 1, 3])
    weight = torch.rand(7, generator=g)
    sparse = Relation.sparse(torch.tensor([0, 1, 4]), torch.tensor([6, 0, 3]), torch.tensor([0.5, 2.0, 1.0]))
    relations = [
        Relation.all().weighted(column=weight), Relation.itself(), Relation.equal(*keys), sparse, Relation.none(),
        Relation.index(torch.tensor([3, -1, 0, 6, 2])), Relation.product(torch.rand(5, 2), torch.rand(7, 2)),
        Relation.tile(lambda i, j: (i + 2 * j) % 3), Relation.either(sparse, Relation.itself()),
        Relation.all().without(Relation.equal(*keys).without(sparse)).within(*keys),
    ]  # fmt: skip
    for relation in relations:
        assert torch.equal(permuted(relation, order).dense((5, 7)), relation.dense((5, 7))[:, order]), relation.form


def test_wrong_use_is_refused():
    a, c, pairs = _setting()
    for loss in (losses.mixed_negatives, losses.transformed):
        with pytest.raises(OptionError, match="cosine"):
            loss(similarity.dot(a, c), pairs)
        with pytest.raises(OptionError, match="scores of rows"):
            loss(similarity.learned(a @ c.T), pairs)
    with pytest.raises(OptionError, match=r"above 0\.5"):
        losses.mixed_negatives(similarity.cosine(a, c), pairs, cap=0.6)
    with pytest.raises(OptionError, match="below 1"):
        losses.reweighted(similarity.cosine(a, c), pairs, prior=1.0)


def test_reweighting_pushes_the_hardest_negative_most():
    a, c, _ = _setting()
    pairs = Pairs(Relation.index(torch.tensor([0])), Relation.all(), (1, 40))

    def push(hardness):
        z = c.clone().requires_grad_()
        losses.reweighted(similarity.cosine(a[:1], z), pairs, hardness=hardness).mean().backward()
        size = z.grad.norm(dim=1)[1:]
        return (size.max() / size.sum()).item()

    assert push(0.0) < push(1.0) < push(3.0)


@pytest.mark.parametrize("loss", [losses.mixed_negatives, losses.transformed])
def test_autocast_extremes_and_batches_without_pairs(loss):
    a, c, pairs = _setting()

    def value(x, y, given=pairs):
        torch.manual_seed(0)
        return loss(similarity.cosine(x, y), given).mean()

    plain = value(a, c)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert value(a, c).item() == pytest.approx(plain.item(), rel=1e-6)
        assert value(a.bfloat16(), c.bfloat16()).item() == pytest.approx(plain.item(), rel=1e-2)
    for factor in (0.0, 1e-30, 1e18):
        x, y = (a * factor).requires_grad_(), (c * factor).requires_grad_()
        found = value(x, y)
        assert torch.isfinite(found) and all(torch.isfinite(g).all() for g in torch.autograd.grad(found, (x, y)))
    x = a.clone().requires_grad_()
    nobody = value(x, c, Pairs(Relation.none(), Relation.none(), (6, 40)))
    assert nobody == 0 and torch.autograd.grad(nobody, x)[0].abs().max() == 0
