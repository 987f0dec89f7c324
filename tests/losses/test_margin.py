"""Margin losses against pytorch-metric-learning."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation

LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3])


def _setting():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(10, 4, generator=g, requires_grad=True)
    me = Relation.itself()
    return z, Pairs(Relation.equal(LABELS).without(me), Relation.all().without(me), (10, 10))


@pytest.fixture
def peer():
    return pytest.importorskip("pytorch_metric_learning", reason="pytorch-metric-learning is not installed")


def test_multi_similarity_agrees(peer):
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    z, pairs = _setting()
    mine = losses.multi_similarity(similarity.cosine(z, z), pairs, positive=2.0, negative=40.0, base=0.4).mean()
    assert mine.item() == pytest.approx(MultiSimilarityLoss(alpha=2, beta=40, base=0.4)(z, LABELS).item(), rel=1e-5)


def test_all_triplets_agree(peer):
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.reducers import SumReducer

    z, pairs = _setting()
    theirs = TripletMarginLoss(margin=0.3, distance=CosineSimilarity(), reducer=SumReducer())(z, LABELS)
    mine = losses.triplet(similarity.cosine(z, z), pairs, margin=0.3, mining="all", active=False)
    number = similarity.positive_count(pairs) * similarity.negative_count(pairs)
    looked = similarity.negative_count(pairs) * similarity.positive_count(pairs)
    assert (mine.values * looked).sum().item() == pytest.approx(theirs.item(), rel=1e-5)
    assert torch.equal(number > 0, mine.counted)


def test_the_margin_loss_agrees(peer):
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.losses import ContrastiveLoss
    from pytorch_metric_learning.reducers import SumReducer

    z, pairs = _setting()
    theirs = ContrastiveLoss(pos_margin=0.9, neg_margin=0.2, distance=CosineSimilarity(), reducer=SumReducer())(z, LABELS)
    scores = similarity.cosine(z, z)
    near, far = (
        Pairs(*parts, (10, 10)) for parts in ((pairs.positive, Relation.none()), (Relation.none(), pairs.candidate.without(pairs.positive)))
    )
    pull = (losses.margin(scores, near, positive=0.9).values * similarity.positive_count(pairs)).sum()
    push = (losses.margin(scores, far, negative=0.2).values * similarity.negative_count(pairs)).sum()
    assert (pull + push).item() == pytest.approx(theirs.item(), rel=1e-5)
