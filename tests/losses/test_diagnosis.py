"""diagnose: the weights of known losses, the surrogate that repeats the gradient, the words."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import use
from counterpoint.core.similarity import Pairs, Relation

N = 6
REFERENCE = similarity.cosine(*(torch.randn(N, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64),) * 2)
HEAT = torch.randn(N, N, generator=torch.Generator().manual_seed(8), dtype=torch.float64)


def _heat(anchors, candidates):
    return HEAT[anchors, candidates]


# every public loss of pairs: the part, what it takes beside scores and pairs, and through which side's scores its gradient runs
EVERY = {
    "active_margin": (use(losses.active_margin, margin=0.9), (), "both"),
    "adaptive": (use(losses.adaptive, hardest=2), (_heat,), "both"),
    "boosted": (use(losses.boosted), (REFERENCE,), "both"),
    "cacr": (use(losses.cacr), (), "both"),
    "cluster_proxies": (use(losses.cluster_proxies, sized=True), (torch.tensor([0, 0, 1, 2, 1, -1]),), "both"),
    "cosine_regression": (use(losses.cosine_regression), (), "both"),
    "decoupled": (use(losses.decoupled, weighted=True), (), "both"),
    "density_ratio": (use(losses.density_ratio), (), "both"),
    "groco": (use(losses.groco), (), "anchors"),
    "info_nce": (use(losses.info_nce, temperature=0.3), (), "both"),
    "margin": (use(losses.margin), (), "both"),
    "mixed_negatives": (use(losses.mixed_negatives, hardest=3, between=4, towards=3), (), "part"),
    "multi_similarity": (use(losses.multi_similarity), (), "both"),
    "neighbouring": (use(losses.neighbouring), (), "both"),
    "reweighted": (use(losses.reweighted), (), "both"),
    "score_gap": (use(losses.score_gap, whole=True), (), "both"),
    "sigmoid": (use(losses.sigmoid), (), "both"),
    "similarity_distillation": (use(losses.similarity_distillation), (REFERENCE,), "both"),
    "supervised": (use(losses.supervised), (), "both"),
    "transformed": (use(losses.transformed, normalised=True), (), "part"),
    "triplet": (use(losses.triplet, margin=1.0), (), "both"),
}
WITHOUT = {
    "barlow_twins": "rows, not pairs", "distillation": "rows, not pairs", "reconstruction": "rows, not pairs",
    "squared_distance": "rows, not pairs", "vicreg": "rows, not pairs", "whitening": "rows, not pairs",
    "clip": "of tensors", "decoupled_nt_xent": "of tensors", "nt_xent": "of tensors", "sup_con": "of tensors",
    "diagnose": "no loss", "gradient_scale": "no loss", "Diagnosis": "no loss",
}  # fmt: skip
WAYS = [
    use(losses.groco, detach=False), use(losses.supervised, mean="in"), use(losses.info_nce, several="each"),
    use(losses.transformed, negative=None), use(losses.transformed, positive=None, per="row"), use(losses.mixed_negatives, towards=0),
]  # fmt: skip


def test_every_public_loss_is_here():
    assert EVERY.keys() | WITHOUT.keys() == set(losses.__all__)


def _setting(n=6, m=9):
    g = torch.Generator().manual_seed(0)
    a, c = (torch.randn(k, 4, generator=g, dtype=torch.float64, requires_grad=True) for k in (n, m))
    return a, c, Pairs(Relation.index(torch.tensor([0, 1, 2, 3, 4, -1])), Relation.all(), (n, m))


def test_the_weights_of_info_nce_and_of_the_sigmoid():
    """W₊ = 1 − p₀ and W₋ = p_k, balanced; the sigmoid's are 1 − σ₀ and σ_k, each by itself (paper 106)."""
    a, c, pairs = _setting()
    scores = similarity.dot(a, c)
    found = losses.diagnose(use(losses.info_nce, temperature=1.0), scores, pairs)
    p = scores.matrix().detach().softmax(1)
    for i in range(5):
        assert found.weights[i, i].item() == pytest.approx(-(1 - p[i, i]).item())
        assert torch.allclose(found.weights[i, torch.arange(9) != i], p[i, torch.arange(9) != i])
    assert torch.allclose(found.pull, found.push) and not found.counted[5]
    found = losses.diagnose(use(losses.sigmoid, temperature=1.0, bias=0.0), scores, pairs)
    s = torch.sigmoid(scores.matrix().detach())
    assert torch.allclose(found.pull[:5], 1 - s.diagonal()[:5])
    assert torch.allclose(found.push[:5], s[:5].sum(1) - s.diagonal()[:5])


def _repeats(loss, others, scores, pairs, leaves, sides):
    """The surrogate's gradient is the loss's: to all rows, or, with the candidates held, to the anchors."""
    torch.manual_seed(0)
    expected = torch.autograd.grad(loss(scores(), pairs, *others).values.sum(), leaves)
    torch.manual_seed(0)
    found = losses.diagnose(loss, scores(), pairs, *others)
    assert found.sides == sides and found.weights.abs().sum() > 0
    assert found.value == pytest.approx(float(_mean(loss, scores, pairs, others)), rel=1e-6)
    repeated = torch.autograd.grad(found.surrogate(scores()), leaves, allow_unused=True)
    for one, two in list(zip(expected, repeated, strict=True))[: None if sides == "both" else 1]:
        assert torch.allclose(one, two, atol=1e-6)
    return found, expected


def _mean(loss, scores, pairs, others):
    torch.manual_seed(0)
    return loss(scores(), pairs, *others).mean().detach()


@pytest.mark.parametrize("name", EVERY)
def test_weights_times_directions_are_the_gradient(name):
    loss, others, sides = EVERY[name]
    z = torch.randn(N, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    if name == "cluster_proxies":  # rows among themselves
        pairs = Pairs(Relation.index(torch.tensor([1, 0, 3, 2, 5, 4])), Relation.all().without(Relation.itself()), (N, N))
        _repeats(loss, others, lambda: similarity.cosine(z, z), pairs, (z,), sides)
        return
    c = torch.randn(N, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    pairs = Pairs(Relation.index(torch.tensor([0, 1, 2, 3, 4, -1])), Relation.all(), (N, N))
    found, expected = _repeats(loss, others, lambda: similarity.cosine(z, c), pairs, (z, c) if name != "groco" else (z,), sides)
    assert torch.allclose(found.length / z.norm(dim=1), expected[0].norm(dim=1), atol=1e-6)
    assert ((found.agreement >= 0) & (found.agreement <= 1 + 1e-9)).all()


@pytest.mark.parametrize("loss", WAYS, ids=lambda p: p.make.__name__ + "".join(f"-{k}" for k in p.options))
def test_other_ways_of_the_losses_too(loss):
    a, c, pairs = _setting()
    makes = loss.make is losses.mixed_negatives or (loss.make is losses.transformed and "negative" in loss.options)
    sides = "part" if makes else "both"  # mixtures of candidates alone share their gradient out, as long as it passes
    _repeats(loss, (), lambda: similarity.cosine(a, c), pairs, (a, c), sides)


def test_rows_among_themselves():
    """One tensor on both sides: what only the anchors get, and what both get."""
    z = torch.randn(N, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    pairs = Pairs(Relation.index(torch.arange(N).roll(3)), Relation.all().without(Relation.itself()), (N, N))
    for name, sides in (("groco", "anchors"), ("info_nce", "both"), ("boosted", "both")):
        _repeats(EVERY[name][0], EVERY[name][1], lambda: similarity.cosine(z, z), pairs, (z,), sides)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_has_no_weights_per_pair_is_refused_in_a_line(name):
    a, c, pairs = _setting()
    with pytest.raises(OptionError, match=WITHOUT[name]) as error:
        losses.diagnose(getattr(losses, name), similarity.cosine(a, c), pairs)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_sharing_counts_the_negatives_that_matter():
    a, c, pairs = _setting()
    flat = losses.diagnose(losses.info_nce, similarity.learned(torch.zeros(6, 9)), pairs)
    assert flat.sharing[0].item() == pytest.approx(8) and flat.hardest[0].item() == pytest.approx(1 / 8)
    assert flat.value == pytest.approx(flat.chance) and torch.isnan(flat.length).all()
    sharp = losses.diagnose(use(losses.info_nce, temperature=0.005), similarity.cosine(a, c), pairs)
    assert sharp.sharing[0] < 1.5
    text = str(sharp)
    assert text.startswith("info_nce: ") and "5 of 6 anchors count" in text


def test_another_direction_gets_the_same_weights():
    """The weights of one model's scores on another's directions."""
    a, c, pairs = _setting()
    b = torch.randn_like(a).requires_grad_()
    found = losses.diagnose(losses.info_nce, similarity.dot(a, c), pairs)
    gradient = torch.autograd.grad(found.surrogate(similarity.dot(b, c)), b)[0]
    assert torch.allclose(gradient, found.weights @ c.detach())


def test_refusals():
    a, c, pairs = _setting()
    big = similarity.cosine(torch.zeros(3000, 2), torch.zeros(3000, 2))
    with pytest.raises(OptionError, match="too many"):
        losses.diagnose(losses.info_nce, big, Pairs(Relation.none(), Relation.all(), (3000, 3000)))
    with pytest.raises(OptionError, match="scores of rows"):
        losses.diagnose(losses.mixed_negatives, similarity.learned(a @ c.T), pairs)
    with pytest.raises(OptionError, match=r"takes 'reference' beside scores and pairs; give .*pairs, reference\)"):
        losses.diagnose(use(losses.boosted), similarity.cosine(a, c), pairs)
    with pytest.raises(OptionError, match="info_nce takes nothing beside scores and pairs, and 1 argument more was given"):
        losses.diagnose(losses.info_nce, similarity.cosine(a, c), pairs, REFERENCE)
