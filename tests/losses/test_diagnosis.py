"""diagnose: the weights of known losses, the surrogate that repeats the gradient, the words."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import use
from counterpoint.core.similarity import Pairs, Relation

EVERY = [
    use(losses.info_nce, temperature=0.3), use(losses.decoupled, weighted=True), use(losses.supervised), use(losses.sigmoid),
    use(losses.cacr), use(losses.cosine_regression), use(losses.margin), use(losses.triplet, margin=1.0), use(losses.multi_similarity),
    use(losses.reweighted), use(losses.density_ratio), use(losses.groco, detach=False),
]  # fmt: skip


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


@pytest.mark.parametrize("loss", EVERY, ids=lambda p: p.make.__name__)
def test_weights_times_directions_are_the_gradient(loss):
    a, c, pairs = _setting()
    scores = similarity.cosine(a, c)
    expected = torch.autograd.grad(loss(scores, pairs).values.sum(), (a, c))
    scores = similarity.cosine(a, c)
    found = losses.diagnose(loss, scores, pairs)
    repeated = torch.autograd.grad(found.surrogate(scores), (a, c))
    assert all(torch.allclose(x, y, atol=1e-9) for x, y in zip(expected, repeated, strict=True))
    assert torch.allclose(found.length / a.norm(dim=1), expected[0].norm(dim=1), atol=1e-9)
    assert ((found.agreement >= 0) & (found.agreement <= 1 + 1e-9)).all()


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
        losses.diagnose(losses.mixed_negatives, similarity.cosine(a, c), pairs)
