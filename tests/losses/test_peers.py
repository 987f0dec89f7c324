"""Our losses beside those of other libraries: value and gradient, wherever one has the same loss. Decorrelation: test_decorrelation."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses, pairs, terms
from counterpoint.core import similarity
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Rows
from counterpoint.core.similarity import Pairs, Relation

N, WIDTH = 12, 8
LABELS = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4])


def _views():
    g = torch.Generator().manual_seed(0)
    a = torch.randn(N, WIDTH, generator=g)
    return a.requires_grad_(), (a.detach() + 0.7 * torch.randn(N, WIDTH, generator=g)).requires_grad_()


def _agree(mine, theirs, tensors, rel=1e-5):
    assert mine.item() == pytest.approx(theirs.item(), rel=rel)
    for one, two in zip(*(torch.autograd.grad(v, tensors) for v in (mine, theirs)), strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-4 * float(two.abs().max()))


@pytest.fixture
def lightly():
    return pytest.importorskip("lightly.loss", reason="lightly is not installed")


@pytest.fixture
def learning():
    return pytest.importorskip("pytorch_metric_learning", reason="pytorch-metric-learning is not installed")


@pytest.fixture
def open_clip():
    return pytest.importorskip("open_clip.loss", reason="open_clip is not installed")


# ---- lightly


@pytest.mark.parametrize("t", [1.0, 0.1, 0.05])
def test_nt_xent_and_decoupled_of_two_views(lightly, t):
    a, b = _views()
    _agree(losses.nt_xent(a, b, temperature=t), lightly.NTXentLoss(temperature=t)(a, b), (a, b))
    _agree(losses.decoupled_nt_xent(a, b, temperature=t), lightly.DCLLoss(temperature=t)(a, b), (a, b), 1e-4)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_weighted_decoupled(lightly):
    """Theirs takes the weights as constants."""
    a, b = _views()
    z = torch.cat([a, b])
    two = Pairs(Relation.index(torch.arange(2 * N).roll(N)), Relation.all().without(Relation.itself()), (2 * N, 2 * N))
    mine = losses.decoupled(similarity.cosine(z, z), two, temperature=0.2, weighted=True, sigma=0.4, detach=True).mean()
    _agree(mine, lightly.DCLWLoss(temperature=0.2, sigma=0.4)(a, b), (a, b), 1e-4)


def test_a_memory_bank_is_a_queue_of_negatives(lightly):
    a, b = _views()
    peer = lightly.NTXentLoss(temperature=0.2, memory_bank_size=(32, WIDTH))
    queue = Rows(peer.memory_bank.bank.clone(), {"item": torch.full((32,), -1)}, shared=True)
    anchors, other = (Rows(x, {"item": torch.arange(N), "view": torch.full((N,), v)}) for v, x in enumerate((a, b)))
    candidates = Rows.cat([other, queue])
    rule = pairs.same(anchors, candidates, {}, negatives="shared")
    mine = losses.info_nce(similarity.cosine(a, candidates.z), rule, temperature=0.2).mean()
    _agree(mine, peer(a, b), (a, b))


def test_negative_cosine_similarity(lightly):
    """2 + 2 times theirs is the squared distance of unit vectors."""
    a, b = _views()
    mine = losses.cosine_regression(similarity.cosine(a, b), Pairs(Relation.itself(), Relation.all(), (N, N))).mean()
    _agree(mine, 2 + 2 * lightly.NegativeCosineSimilarity()(a, b), (a, b))


def test_distilled_views(lightly):
    """DINO: two views of the teacher, three of the student, a centre; their mean runs over the pairs of different views."""
    g = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(3 * N, WIDTH, generator=g, requires_grad=True), torch.randn(2 * N, WIDTH, generator=g)
    peer = lightly.DINOLoss(output_dim=WIDTH, teacher_temp=0.05, student_temp=0.2)
    peer.center.data = torch.linspace(-1, 1, WIDTH).view(1, 1, WIDTH)
    centre = peer.center.view(1, WIDTH).clone()
    theirs = peer(list(teacher.view(2, N, WIDTH)), list(student.view(3, N, WIDTH)))
    keys = {"item": torch.arange(N).repeat(3), "view": torch.arange(3).repeat_interleave(N)}
    out = {
        "z": Rows(student, keys, False, ("global", "global", "local")),
        "teacher": Rows(teacher, {k: v[: 2 * N] for k, v in keys.items()}, False, ("global", "global", "local")),
        "centre": Rows(centre, {}, True),
    }
    loss = use(losses.distillation, temperature=0.2, teacher_temperature=0.05)
    _agree(terms.distilled(out, {}, Progress(), loss=loss, centre="centre").mean(), theirs, (student,))


# ---- open_clip


def test_clip(open_clip):
    a, b = _views()
    theirs = open_clip.ClipLoss()(functional.normalize(a), functional.normalize(b), 1 / 0.05)
    _agree(losses.clip(a, b, temperature=0.05), theirs, (a, b))


def test_sigmoid(open_clip):
    a, b = _views()
    theirs = open_clip.SigLipLoss()(functional.normalize(a), functional.normalize(b), 10.0, -5.0)
    rule = Pairs(Relation.itself(), Relation.all(), (N, N))
    _agree(losses.sigmoid(similarity.cosine(a, b), rule, temperature=0.1, bias=-5.0).mean(), theirs, (a, b))


def test_distilled_similarities(open_clip):
    """Their second output: the student's softmax towards the teacher's, in both directions."""
    a, b = _views()
    g = torch.Generator().manual_seed(1)
    ra, rb = torch.randn(N, WIDTH, generator=g), torch.randn(N, WIDTH, generator=g)
    units = [functional.normalize(x) for x in (a, b, ra, rb)]
    theirs = open_clip.DistillClipLoss()(*units[:2], 5.0, *units[2:], 8.0)[1]
    rule = Pairs(Relation.none(), Relation.all(), (N, N))
    options = {"temperature": 1 / 5, "reference_temperature": 1 / 8}
    mine = [
        losses.similarity_distillation(similarity.cosine(x, y), rule, similarity.cosine(rx, ry), **options).mean()
        for x, y, rx, ry in ((a, b, ra, rb), (b, a, rb, ra))
    ]
    _agree(sum(mine) / 2, theirs, (a, b))


# ---- pytorch-metric-learning


def _by_label(labels=LABELS):
    me, n = Relation.itself(), len(labels)
    return Pairs(Relation.equal(labels).without(me), Relation.all().without(me), (n, n))


def _cosine():
    from pytorch_metric_learning.distances import CosineSimilarity
    from pytorch_metric_learning.reducers import SumReducer

    return {"distance": CosineSimilarity()}, {"reducer": SumReducer()}


@pytest.mark.parametrize("t", [1.0, 0.1])
def test_sup_con(learning, t):
    from pytorch_metric_learning.losses import SupConLoss

    z = _views()[0]
    known = torch.isin(LABELS, torch.tensor([3]), invert=True)  # theirs averages over rows without positives too
    _agree(losses.sup_con(z[known], LABELS[known], temperature=t), SupConLoss(temperature=t)(z[known], LABELS[known]), (z,))


def test_several_positives_each_against_the_negatives(learning):
    """Their NT-Xent takes pair by pair; with classes of one size the mean over pairs is the mean over rows."""
    from pytorch_metric_learning.losses import NTXentLoss

    z, labels = _views()[0], torch.arange(4).repeat(3)
    mine = losses.info_nce(similarity.cosine(z, z), _by_label(labels), temperature=0.2, several="each").mean()
    _agree(mine, NTXentLoss(temperature=0.2)(z, labels), (z,))


def test_multi_similarity(learning):
    from pytorch_metric_learning.losses import MultiSimilarityLoss

    z = _views()[0]
    mine = losses.multi_similarity(similarity.cosine(z, z), _by_label(), positive=2.0, negative=40.0, base=0.4).mean()
    _agree(mine, MultiSimilarityLoss(alpha=2, beta=40, base=0.4)(z, LABELS), (z,))


@pytest.mark.parametrize("mining", ["all", "semi_hard"])
def test_triplets(learning, mining):
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import TripletMarginMiner

    z, rule, (distance, reducer) = _views()[0], _by_label(), _cosine()
    chosen = None if mining == "all" else TripletMarginMiner(margin=0.3, type_of_triplets="semihard", **distance)(z, LABELS)
    theirs = TripletMarginLoss(margin=0.3, **distance, **reducer)(z, LABELS, chosen)
    found = losses.triplet(similarity.cosine(z, z), rule, margin=0.3, mining=mining, active=False)
    looked = similarity.negative_count(rule) * similarity.positive_count(rule)
    assert torch.equal(looked > 0, found.counted) and theirs > 0
    _agree((found.values * looked).sum(), theirs, (z,))


def test_the_hardest_negative_of_the_only_positive(learning):
    from pytorch_metric_learning.losses import TripletMarginLoss
    from pytorch_metric_learning.miners import BatchHardMiner

    z, labels, (distance, reducer) = _views()[0], torch.arange(6).repeat(2), _cosine()
    theirs = TripletMarginLoss(margin=0.3, **distance, **reducer)(z, labels, BatchHardMiner(**distance)(z, labels))
    found = losses.triplet(similarity.cosine(z, z), _by_label(labels), margin=0.3, mining="hardest", active=False)
    _agree(found.values.sum(), theirs, (z,))


def test_the_margin_loss(learning):
    from pytorch_metric_learning.losses import ContrastiveLoss

    z, rule, (distance, reducer) = _views()[0], _by_label(), _cosine()
    theirs = ContrastiveLoss(pos_margin=0.9, neg_margin=0.2, **distance, **reducer)(z, LABELS)
    scores = similarity.cosine(z, z)
    near, far = (Pairs(*parts, (N, N)) for parts in ((rule.positive, Relation.none()), (Relation.none(), rule.negatives)))
    pull = (losses.margin(scores, near, positive=0.9).values * similarity.positive_count(rule)).sum()
    push = (losses.margin(scores, far, negative=0.2).values * similarity.negative_count(rule)).sum()
    _agree(pull + push, theirs, (z,))
