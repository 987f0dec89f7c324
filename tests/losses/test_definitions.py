"""Each loss of (Scores, Pairs): its twin in float64 and float32, gradients, rows that do not count, extremes, autocast, chance."""

from __future__ import annotations

import importlib
import math

import pytest
import torch

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation
from tests.losses import twins

LOSSES = [
    (losses.info_nce, twins.info_nce, {}),
    (losses.info_nce, twins.info_nce, {"temperature": 0.5, "several": "each"}),
    (losses.info_nce, twins.info_nce, {"temperature": 0.5, "negatives": "mean"}),
    (losses.decoupled, twins.decoupled, {}),
    (losses.supervised, twins.supervised, {}),
    (losses.supervised, twins.supervised, {"mean": "in"}),
    (losses.cosine_regression, twins.cosine_regression, {}),
    (losses.sigmoid, twins.sigmoid, {}),
    (losses.margin, twins.margin, {}),
    (losses.triplet, twins.triplet, {"mining": "hardest"}),
    (losses.triplet, twins.triplet, {"mining": "semi_hard", "margin": 0.5}),
    (losses.triplet, twins.triplet, {"mining": "all", "active": False}),
    (losses.multi_similarity, twins.multi_similarity, {"negative": 10.0}),
    (losses.cacr, twins.cacr, {}),
    (losses.cacr, twins.cacr, {"attraction": 0.5, "positive_sharpness": 0.0, "negative_sharpness": 0.0}),
    (losses.reweighted, twins.reweighted, {}),
    (losses.reweighted, twins.reweighted, {"hardness": 0.0, "prior": 0.1, "temperature": 1.0}),
    (losses.density_ratio, twins.density_ratio, {}),
    (losses.density_ratio, twins.density_ratio, {"noise": 3.0, "temperature": 0.5}),
    (losses.density_ratio, twins.density_ratio, {"measure": "exponential"}),
    (losses.density_ratio, twins.density_ratio, {"measure": "square"}),
    (losses.decoupled, twins.weighted, {"weighted": True}),
    (losses.decoupled, twins.weighted, {"weighted": True, "sigma": 0.2, "temperature": 1.0}),
    (losses.neighbouring, twins.neighbouring, {}),
    (losses.neighbouring, twins.neighbouring, {"temperature": 0.2}),
    (losses.active_margin, twins.active_margin, {}),
    (losses.active_margin, twins.active_margin, {"margin": 0.8, "balance": 0.3, "active": False}),
    (losses.score_gap, twins.score_gap, {}),
    (losses.score_gap, twins.score_gap, {"whole": True}),
    (losses.groco, twins.groco, {"nearest": 3, "steepness": 2.0, "detach": False}),
]
NAMES = [f"{loss.__name__}{list(options.values()) or ''}" for loss, _, options in LOSSES]
every_loss = pytest.mark.parametrize(("loss", "twin", "options"), LOSSES, ids=NAMES)
every_case = pytest.mark.parametrize("case", twins.cases(), ids=lambda c: c.name)


@every_loss
@every_case
def test_equals_its_twin(loss, twin, options, case):
    tensors, pairs = case.tensors(torch.float64), case.pairs()
    known = {k: v for k, v in options.items() if k not in ("detach", "weighted")}
    slow, counted = twins.total(twin, twins.plain_scores(tensors), pairs, **known)
    expected = twins.gradients(slow, tensors)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        given = case.tensors(dtype)
        result = loss(twins.scores_of(given), pairs, **options)
        assert result.counted.tolist() == counted
        assert result.mean().item() == pytest.approx(slow.item(), rel=tolerance, abs=tolerance)
        for mine, theirs in zip(twins.gradients(result.mean(), given), expected, strict=True):
            assert torch.allclose(mine.double(), theirs, rtol=10 * tolerance, atol=tolerance * float(theirs.abs().max()) + 1e-12)


@every_loss
def test_a_batch_without_pairs_is_zero_with_a_graph(loss, twin, options):
    a = torch.randn(4, 3, requires_grad=True)
    result = loss(similarity.cosine(a, a), Pairs(Relation.none(), Relation.none(), (4, 4)), **options)
    assert result.mean() == 0 and not result.counted.any()
    result.mean().backward()
    assert torch.equal(a.grad, torch.zeros_like(a))


@every_loss
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e18])
@pytest.mark.parametrize("case", [c for c in twins.cases() if c.name in ("two views", "nobody")], ids=lambda c: c.name)
def test_extreme_rows_give_no_nan(loss, twin, options, scale, case):
    tensors = [(t.detach() * scale).requires_grad_() for t in case.tensors(torch.float32)]
    value = loss(twins.scores_of(tensors), case.pairs(), **options).mean()
    assert torch.isfinite(value)
    assert all(torch.isfinite(g).all() for g in twins.gradients(value, tensors))


@every_loss
def test_equal_rows_and_low_temperatures_give_no_nan(loss, twin, options):
    a = torch.ones(6, 3, requires_grad=True)
    scores = similarity.cosine(a, a)
    scores = scores if loss in (losses.cosine_regression, losses.cacr) else scores.divide(0.001)
    pairs = twins.Case("", a, None, Relation.index(torch.arange(6).roll(3)), Relation.all().without(Relation.itself())).pairs()
    value = loss(scores, pairs, **options).mean()
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(a.grad).all()


@every_loss
def test_autocast_and_half_precision(loss, twin, options):
    case = twins.cases()[0]
    tensors = case.tensors(torch.float32)
    plain = loss(twins.scores_of(tensors), case.pairs(), **options).mean()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        same = loss(twins.scores_of(tensors), case.pairs(), **options).mean()
        half = loss(twins.scores_of([t.bfloat16() for t in tensors]), case.pairs(), **options).mean()
    assert same.item() == pytest.approx(plain.item(), rel=1e-6)
    assert half.item() == pytest.approx(plain.item(), rel=1e-2)


@every_loss
def test_chance_is_the_value_of_equal_scores(loss, twin, options):
    pairs = Pairs(Relation.index(torch.arange(12).roll(6)), Relation.all().without(Relation.itself()), (12, 12))
    best = {"bias": -math.log(10.0)} if loss is losses.sigmoid else {}
    result = loss(similarity.learned(torch.zeros(12, 12)), pairs, **options, **best)
    if result.chance is None:
        # what is chosen, and so the level, depends on the scores
        assert loss in (losses.groco, losses.score_gap) or options["mining"] != "all"
    else:
        assert result.mean().item() == pytest.approx(result.chance, rel=1e-5, abs=1e-6)


TWINS_ELSEWHERE = {
    "adaptive": "losses.test_adaptive.test_equals_the_table",
    "barlow_twins": "losses.test_decorrelation.test_barlow_twins_equals_the_loop",
    "boosted": "losses.test_boosting.test_equals_the_matrices",
    "clip": "losses.test_tensors.test_clip_equals_the_loop",
    "cluster_proxies": "losses.test_distillation.test_clusters_stand_in_for_negatives",
    "decoupled_nt_xent": "losses.test_tensors.test_decoupled_is_one_logarithm_over_the_negatives_of_both_views",
    "distillation": "losses.test_distillation.test_distillation_is_a_cross_entropy",
    "gradient_scale": "losses.test_distillation.test_the_gradient_scale_is_a_wave_between_two_temperatures",
    "mixed_negatives": "losses.test_mixing.test_mixtures_make_the_task_harder_and_get_no_gradient",
    "nt_xent": "losses.test_tensors.test_nt_xent_equals_the_loop",
    "reconstruction": "losses.test_reconstruction.test_reconstruction_is_the_mean_gap_over_known_entries",
    "similarity_distillation": "losses.test_distillation.test_similarities_are_kept",
    "squared_distance": "terms.test_kernel.test_squared_distance_equals_its_formula",
    "sup_con": "losses.test_tensors.test_sup_con_equals_the_loop",
    "transformed": "losses.test_mixing.test_transformed_equals_the_formulas",
    "vicreg": "losses.test_decorrelation.test_vicreg_equals_the_loop",
    "whitening": "losses.test_decorrelation.test_whitening_equals_the_loop",
}


def test_every_public_loss_has_a_twin():
    assert {loss.__name__ for loss, _, _ in LOSSES} | TWINS_ELSEWHERE.keys() | {"Diagnosis", "diagnose"} == set(losses.__all__)
    for place in TWINS_ELSEWHERE.values():
        module, name = place.rsplit(".", 1)
        assert callable(getattr(importlib.import_module(f"tests.{module}"), name)), place


@every_loss
def test_ignored_pairs_get_no_gradient(loss, twin, options):
    """Candidates 3 and 4 stand in no pair."""
    a, c = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    off = torch.zeros(5).index_fill(0, torch.tensor([0, 1, 2]), 1)
    pairs = Pairs(Relation.index(torch.tensor([0, 1, 2])), Relation.all().weighted(column=off), (3, 5))
    loss(similarity.cosine(a, c), pairs, **{**options, **({"margin": 1.0} if "mining" in options else {})}).mean().backward()
    assert a.grad.abs().sum() > 0 and c.grad[:3].abs().sum() > 0
    assert c.grad[3:].abs().max() == 0
