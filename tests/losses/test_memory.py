"""No loss holds n × m scores, in one tensor or in many: what operations return is watched, forward and backward, until it is freed."""

from __future__ import annotations

import importlib

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.options import use
from counterpoint.core.similarity import Pairs, Relation, plan
from tests.watch import Watch

N, WIDTH, TILE = 700, 4, 64

EVERY = [
    use(losses.info_nce), use(losses.info_nce, several="each", negatives="mean"), use(losses.neighbouring), use(losses.decoupled),
    use(losses.decoupled, weighted=True), use(losses.supervised), use(losses.supervised, mean="in"), use(losses.sigmoid),
    use(losses.cosine_regression), use(losses.margin), use(losses.active_margin), use(losses.active_margin, active=False),
    use(losses.triplet, mining="all"), use(losses.triplet, mining="semi_hard"), use(losses.triplet, mining="hardest"),
    use(losses.multi_similarity), use(losses.cacr), use(losses.cacr, through_weights=False), use(losses.score_gap),
    use(losses.score_gap, whole=True), use(losses.groco), use(losses.groco, detach=False),
    use(losses.mixed_negatives, hardest=16, between=8, towards=4), use(losses.reweighted), use(losses.reweighted, prior=0.1),
    use(losses.transformed), use(losses.transformed, normalised=True, per="row"), use(losses.transformed, negative=None),
    use(losses.density_ratio), use(losses.density_ratio, measure="square"), use(losses.density_ratio, measure="exponential"),
]  # fmt: skip
LISTED = {"triplet", "groco"}  # these list an anchor's positives, n × P, and a class of a tenth of all rows is no list
CASES = [(kind, loss) for kind in ("index", "classes") for loss in EVERY if kind == "index" or loss.make.__name__ not in LISTED]
REFERENCED = ["adaptive", "boosted", "similarity_distillation", "cluster_proxies"]


def _names(value):
    return value if isinstance(value, str) else value.make.__name__ + "".join(f"-{v}" for v in value.options.values())


def _pairs(kind, n):
    others = Relation.all().without(Relation.itself())
    if kind == "classes":
        return Pairs(Relation.equal(torch.arange(n) % 10).without(Relation.itself()), others, (n, n))
    return Pairs(Relation.index(torch.arange(n).roll(n // 2)), others, (n, n))


def _rows(n):
    return torch.randn(n, WIDTH, requires_grad=True)


def _watched(loss, kind, n):
    """What was seen while a loss of n rows and its gradient were computed."""
    a = _rows(n)
    pairs = _pairs(kind, n)
    with Watch(a) as watch:
        loss(similarity.cosine(a, a), pairs).mean().backward()
    assert a.grad.isfinite().all()
    return watch


def _referenced(name, n):
    """A loss that reads another model's scores, clusters or a network of pairs beside the scores."""
    a, reference = _rows(n), torch.randn(n, WIDTH)
    second = similarity.cosine(reference, reference)
    if name == "cluster_proxies":
        second = torch.arange(n) % 20
    elif name == "adaptive":

        def second(i, j):
            return (a.index_select(0, i) * a.index_select(0, j)).sum(1)

    pairs = _pairs("index", n)
    with Watch(a, reference) as watch:
        getattr(losses, name)(similarity.cosine(a, a), pairs, second).mean().backward()
    assert a.grad.isfinite().all()
    return watch


@pytest.fixture
def nothing_kept(monkeypatch):
    """Small tiles, none of which is kept for the backward."""
    monkeypatch.setitem(plan.TILE, "cpu", TILE)
    monkeypatch.setattr(plan, "KEEP", 0)
    monkeypatch.setattr(importlib.import_module("counterpoint.losses.distillation"), "_STRIPE", 1 << 14)


def _grows_with_the_rows(one, two):
    assert one.largest < N * N / 4, f"a tensor of {one.largest} values, and {N} x {N} are {N * N}"
    assert two.peak < 2.3 * one.peak, f"{one.peak} bytes live at {N} rows and {two.peak} at {2 * N}"


@pytest.mark.parametrize(("kind", "loss"), CASES, ids=_names)
def test_memory_grows_with_the_rows(nothing_kept, kind, loss):
    _grows_with_the_rows(*(_watched(loss, kind, n) for n in (N, 2 * N)))


@pytest.mark.parametrize("name", REFERENCED)
def test_losses_that_read_more_than_scores_too(nothing_kept, name):
    _grows_with_the_rows(*(_referenced(name, n) for n in (N, 2 * N)))


# ---- what is kept on purpose


def _counted(monkeypatch):
    """The statistics of exponentials that are computed in tiles; each may keep some for its backward."""
    module = importlib.import_module("counterpoint.core.similarity.statistics")
    found, run = [], module.run

    def counted(scores, relation, kind, **more):
        found.extend([kind] if kind in ("lse", "both") else [])
        return run(scores, relation, kind, **more)

    monkeypatch.setattr(module, "run", counted)
    return found


@pytest.mark.parametrize(("kind", "loss"), CASES, ids=_names)
def test_a_statistic_keeps_no_more_than_it_may(nothing_kept, monkeypatch, kind, loss):
    n, few = 300, 40_000
    bare = _watched(loss, kind, n)
    monkeypatch.setattr(plan, "KEEP", few)
    statistics = _counted(monkeypatch)
    watch = _watched(loss, kind, n)
    assert watch.peak - bare.peak <= 4 * few * len(statistics) + 8 * 4 * n
    if kind == "index":  # one statistic keeps; weights of the hard negatives are a second
        assert len(statistics) <= (2 if loss.make is losses.reweighted else 1)


def _clip(n):
    return [_rows(n), _rows(n)], losses.clip


def _nt_xent(n):
    return [_rows(n // 2), _rows(n // 2)], losses.nt_xent


def _sup_con(n):
    return [_rows(n)], lambda a: losses.sup_con(a, torch.arange(n) % 10)


def _of_tensors(make, n):
    inputs, loss = make(n)
    with Watch(*inputs) as watch:
        loss(*inputs).backward()
    return watch


@pytest.mark.parametrize("make", [_nt_xent, _sup_con, _clip])
def test_losses_of_tensors_too(nothing_kept, make):
    _grows_with_the_rows(*(_of_tensors(make, n) for n in (N, 2 * N)))


@pytest.mark.parametrize(("make", "n"), [(_nt_xent, 6144), (_sup_con, 6144), (_clip, 4608)])
def test_with_the_room_there_is(monkeypatch, make, n):
    """As used, with more scores than may be kept: rows and some tiles live, and what may be kept of the rest."""
    kept = _of_tensors(make, n).peak
    with monkeypatch.context() as patched:
        patched.setattr(plan, "KEEP", 0)
        bare = _of_tensors(make, n).peak
    assert bare < 4 * (5 * plan.TILE["cpu"] ** 2 + 40 * n * WIDTH), "five tiles and some rows"
    assert 2 * plan.KEEP < kept - bare <= 4 * plan.KEEP + 8 * 4 * n


def test_the_watch_sees_a_matrix_and_tiles_that_add_up(monkeypatch):
    """The tests above can fail."""
    with Watch() as watch:
        similarity.cosine(torch.randn(N, 2), torch.randn(N, 2)).matrix()
    assert watch.largest >= N * N
    monkeypatch.setitem(plan.TILE, "cpu", TILE)
    one, two = (_watched(use(losses.info_nce), "index", n) for n in (N, 2 * N))
    assert two.largest < N * N / 4
    assert two.peak > 2.5 * one.peak
