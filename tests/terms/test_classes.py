"""Terms over logits of old and new classes against the formulas, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import one_hot

from counterpoint import losses, pairs, terms
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Rows

NOW = Progress(step=5, steps=10)


def space(b=8, k=5, seed=0, label=None):
    g = torch.Generator().manual_seed(seed)
    z = torch.rand(2 * b, k, generator=g, dtype=torch.float64).mul(2).sub(1).requires_grad_()
    keys = {"item": torch.arange(b).repeat(2), "view": torch.arange(2).repeat_interleave(b)}
    if label is not None:
        keys["label"] = torch.tensor(label).repeat(2)
    return Rows(z, keys, False, ("global", "global"))


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_pseudo_labels_are_hard_for_the_surest(share):
    rows = space()
    found = terms.pseudo_labels({"logits": rows}, {}, NOW, hard=share)
    views = rows.z.detach().view(2, 8, 5)
    expected = torch.zeros(8, dtype=torch.float64)
    for a, v in ((0, 1), (1, 0)):
        p = torch.softmax(views[a] / 0.05, 1)
        two = p.topk(2, 1).values
        surest = (two[:, 0] / (two[:, 1] + 1e-30)).argsort(descending=True)[: math.floor(share * 8)]
        for i in surest.tolist():
            p[i] = one_hot(p[i].argmax(), 5).double()
        expected -= (p * torch.log_softmax(views[v] / 0.1, 1)).sum(1) / 2
    assert torch.allclose(found.values.detach().double(), expected, rtol=1e-5)
    assert bool(found.counted.all()) and found.chance == pytest.approx(math.log(5))


def test_no_gradient_passes_through_a_target():
    """With one view of constants, only the other view's predictions move, and by softmax − target."""
    rows = space(b=4)
    terms.pseudo_labels({"logits": rows}, {}, NOW).values.sum().backward()
    first, second = rows.z.detach().view(2, 4, 5)
    expected = (torch.softmax(second / 0.1, 1) - torch.softmax(first / 0.05, 1)) / 0.1 / 2
    assert torch.allclose(rows.z.grad.view(2, 4, 5)[1], expected, atol=1e-5)


def test_pseudo_labels_need_two_views():
    rows = space(b=3)
    with pytest.raises(RequirementError, match="one view"):
        terms.pseudo_labels({"logits": Rows(rows.z[:3], {k: v[:3] for k, v in rows.keys.items()}, False, ("global",))}, {}, NOW)


def test_only_labelled_rows_are_classified():
    rows = space(b=4, label=[2, -1, 0, -1])
    found = terms.classified({"logits": rows}, {}, NOW)
    assert found.counted.tolist() == [True, False] * 4
    expected = -torch.log_softmax(rows.z.detach() / 0.1, 1)[torch.arange(8), rows.keys["label"].clamp(min=0)]
    assert torch.allclose(found.values[found.counted].detach().double(), expected[found.counted], rtol=1e-5)
    found.values.sum().backward()
    assert bool((rows.z.grad[1::2] == 0).all()) and bool((rows.z.grad[0::2] != 0).any())


def test_a_batch_without_labels_gives_zero_with_a_graph():
    rows = space(b=3, label=[-1, -1, -1])
    loss = terms.classified({"logits": rows}, {}, NOW).mean()
    loss.backward()
    assert loss.item() == 0 and bool((rows.z.grad == 0).all())
    rule = use(pairs.same, key="label", own=False, unknown="ignored")
    from counterpoint.core import similarity

    contrast = losses.supervised(similarity.cosine(rows.z, rows.z), rule(rows, rows, {}))
    assert not bool(contrast.counted.any()) and contrast.mean().item() == 0


def test_a_label_above_the_classes_is_refused():
    with pytest.raises(RequirementError, match="label 5 stands above the 5 classes"):
        terms.classified({"logits": space(b=2, label=[5, 0])}, {}, NOW)


def test_the_even_prediction_is_least_where_it_follows_the_prior():
    rows = space()
    flat = Rows(torch.zeros(6, 5), {}, False)
    assert float(terms.even_prediction({"logits": flat}, {}, NOW).values) == pytest.approx(0, abs=1e-6)
    mean = torch.softmax(rows.z.detach() / 0.1, 1).mean(0)
    found = float(terms.even_prediction({"logits": rows}, {}, NOW).values.detach())
    assert found == pytest.approx(float((mean * mean.log()).sum()) + math.log(5), rel=1e-5)
    prior = mean.pow(1 / 1.1)
    met = terms.even_prediction({"logits": rows}, {"prior": prior / prior.sum()}, NOW, prior="prior", power=1.1)
    assert float(met.values.detach()) == pytest.approx(0, abs=1e-6)
    before = terms.even_prediction({"logits": rows}, {}, NOW, prior="prior", power=1.1)
    assert float(before.values.detach()) == pytest.approx(found, rel=1e-6)
    with pytest.raises(RequirementError, match="5 classes"):
        terms.even_prediction({"logits": rows}, {"prior": torch.ones(4)}, NOW, prior="prior")


def test_an_empty_class_does_not_break_the_even_prediction():
    z = torch.tensor([[30.0, -30.0, -30.0]], requires_grad=True)
    value = terms.even_prediction({"logits": Rows(z, {}, False)}, {}, NOW).values.sum()
    value.backward()
    assert float(value.detach()) == pytest.approx(math.log(3), rel=1e-5) and bool(torch.isfinite(z.grad).all())


def test_classes_are_held_apart():
    w = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = terms.apart({"classes": Rows(w, {}, True)}, {}, NOW)
    u = w / w.norm(dim=1, keepdim=True)
    s = torch.exp(u @ u.T / 0.1).fill_diagonal_(0)
    assert torch.allclose(found.values, (s.sum(1) / 3).log(), rtol=1e-6)


# ---- the debiased contrast of BaCon


def debiased(rows, logits, tables, **more):
    loss = use(losses.supervised, temperature=0.07)
    return terms.debiased({"z": rows, "logits": logits}, tables, NOW, pairs=use(pairs.product, key="q"), loss=loss, **more)


def test_the_debiased_contrast_is_the_published_sum():
    """All rows kept: −mean_i Σ_j W_ij log p_ij / Σ_j W_ij, W = q qᵀ with 1 for the other view, q of the mean of both views."""
    rows, logits = space(b=6, k=4, seed=1), space(b=6, k=3, seed=2, label=[0, 1, -1, -1, -1, 0])
    prior = torch.tensor([0.6, 0.3, 0.1])
    found = debiased(rows, logits, {"prior": prior}, balance=0.0)
    q = torch.softmax(logits.z.detach() / 0.1 - 0.5 * prior.log(), 1).view(2, 6, 3).mean(0).repeat(2, 1)
    z = rows.z.detach() / rows.z.detach().norm(dim=1, keepdim=True)
    s = z @ z.T / 0.07
    item = logits.keys["item"]
    for i in range(12):
        log = s[i] - torch.logsumexp(s[i][torch.arange(12) != i], 0)
        weight = torch.where(item == item[i], torch.maximum(torch.ones(()).double(), q[i] @ q.T), q[i] @ q.T)
        weight[i] = 0
        expected = -(weight * log).sum() / weight.sum()
        assert float(found.values[i].detach()) == pytest.approx(float(expected), rel=1e-4)
    found.values.sum().backward()
    assert rows.z.grad is not None and logits.z.grad is None  # soft labels are constants


def test_fewer_items_of_frequent_classes_are_kept_and_the_surest_of_them():
    b = 400
    logits = torch.full((b, 2), -1.0)
    logits[: b // 2, 0] = torch.linspace(-0.9, -0.5, b // 2)
    logits[b // 2 :, 1] = 1.0
    keys = {"item": torch.arange(b), "view": torch.zeros(b, dtype=torch.int64), "label": torch.full((b,), -1)}
    scored = Rows(logits, keys, False, ("global",))
    kept = []

    def look(anchors, candidates, tables, *, key="q"):
        kept.append(anchors.keys["item"])
        return pairs.product(anchors, candidates, tables, key=key)

    loss = use(losses.supervised, temperature=0.07)
    rows = Rows(torch.randn(b, 3), keys, False, ("global",))
    torch.manual_seed(0)
    terms.debiased({"z": rows, "logits": scored}, {"prior": torch.tensor([0.9, 0.1])}, NOW, pairs=use(look), loss=loss, adjustment=0.0)
    few, many = kept[0][kept[0] < b // 2], kept[0][kept[0] >= b // 2]
    assert len(many) == b // 2  # the rarest class keeps everything
    assert len(few) == pytest.approx((0.1 / 0.9) ** 0.5 * b / 2, rel=0.25)
    assert torch.equal(few.sort().values, torch.arange(b // 2 - len(few), b // 2))  # the surest


def test_labelled_items_are_always_kept():
    logits = space(b=6, k=3, seed=2, label=[0, 1, 2, 0, 1, 2])
    found = debiased(space(b=6, k=4, seed=1), logits, {"prior": torch.tensor([0.98, 0.01, 0.01])}, balance=5.0)
    assert len(found.values) == 12
