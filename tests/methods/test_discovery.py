"""SimGCD, ProtoGCD and BaCon: what they change, where gradients go, and data of which only some are labelled."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import checks, data
from counterpoint.core import registry
from counterpoint.core.errors import LabelError, OptionError
from counterpoint.core.recipe import Progress
from counterpoint.data.partly import hide_labels, long_tail
from counterpoint.evaluation import class_number, discovery, protocols
from counterpoint.evaluation.subject import Subject
from counterpoint.training.step import gradients, parameters


def partly(items: int = 48) -> data.Dataset:
    return hide_labels(checks.example("array", items), old=2)


def test_hidden_labels_are_old_classes_only():
    found = partly()
    known, true = found.columns["label"], found.columns["truth"]
    assert set(known.tolist()) == {-1, 0, 1} and set(true.tolist()) == {0, 1, 2, 3}
    assert bool((true[known >= 0] == known[known >= 0]).all())
    assert [int((known == c).sum()) for c in (0, 1)] == [6, 6]
    assert found.spec.columns["label"] == (2, 0.25)
    with pytest.raises(LabelError, match="at most 4"):
        hide_labels(checks.example("array"), old=5)


def test_a_long_tail_falls_exponentially():
    whole = checks.example("array", 400)
    found = long_tail(whole, imbalance=8.0, order=(2, 0, 3, 1), items=80)
    assert torch.bincount(found.columns["label"]).tolist() == [40, 10, 80, 20]


def test_half_of_every_batch_is_labelled():
    found = partly()
    pieces = list(data.half_labelled(found, torch.Generator().manual_seed(0), batch=8))
    known = found.columns["label"]
    assert all(int((known[ids] >= 0).sum()) == 4 for ids in pieces) and len(pieces) == 6
    drawn = torch.cat(pieces)
    assert len(drawn[known[drawn] < 0].unique()) == 24 and len(drawn[known[drawn] >= 0].unique()) == 12
    everything = checks.example("array")
    assert len(torch.cat(list(data.half_labelled(everything, torch.Generator(), batch=8))).unique()) == 48


@pytest.mark.parametrize("slug", ["simgcd", "protogcd", "bacon"])
def test_partly_labelled_data_train_to_the_end(slug):
    with checks.training(registry.get(slug), "array", partly(), epochs=4) as run:
        run.fit()
        assert run.now.stage == "classes" and run.finished
        assert all(bool(torch.isfinite(p).all()) for p in run.model.parameters())
        assert len(run.model.latent.prototypes.weight) == 7
        if slug == "bacon":
            assert run.tables["prior"].shape == (7,) and float(run.tables["prior"].sum()) == pytest.approx(1)


def reached(slug: str, term: str) -> set[str]:
    """The children of the model that get a gradient from one term."""
    given = partly()
    with checks.training(registry.get(slug), "array", given) as run:
        batch = run.data.batch(run.data.ids[:24])
        views = run.recipe.views(batch, run.generator("views"), run.now)
        learning = parameters(run.model, run.recipe.updates[0], run.now)
        log = {"loss": 0.0, "terms": {}}
        gradients(run, views, {term: run.recipe.objective[term]}, batch.tables, 1, learning, log, "check")
        found = [(n, p.grad) for n, p in run.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)]
        return {".".join(n.split(".")[:2]) if n.startswith("latent") else n.split(".")[0] for n, _ in found}


def test_gradients_reach_the_intended_parts():
    assert reached("protogcd", "apart") == {"latent.prototypes"}
    assert reached("protogcd", "distilled") == {"backbone", "latent.prototypes"}
    assert reached("protogcd", "labelled") == {"backbone", "projector"}
    assert reached("bacon", "classified") == {"backbone", "latent.branch", "latent.prototypes"}
    with checks.training(registry.get("bacon"), "array", partly()) as run:
        late = Progress(step=9, steps=10)
        assert run.recipe.objective["soft"].weight(Progress(step=0, steps=10)) == 0 < run.recipe.objective["soft"].weight(late)


def test_the_soft_contrast_moves_the_contrastive_branch_alone():
    given = partly()
    with checks.training(registry.get("bacon"), "array", given) as run:
        batch = run.data.batch(run.data.ids[:24])
        views = run.recipe.views(batch, run.generator("views"), run.now)
        out = run.model(views, run.now)
        term = run.recipe.objective["soft"]
        term(out, {}, run.now).mean().backward()
        got = {n.split(".")[0] for n, p in run.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
    assert got == {"backbone", "projector"}


def test_one_class_is_refused():
    given = hide_labels(checks.example("array"), old=1)
    with pytest.raises(OptionError, match="at least 2 classes"):
        registry.get("protogcd")(given.spec, new=0).encoder(given.spec)


def test_accuracy_has_one_match_for_old_and_new():
    result = discovery([0, 0, 0, 0, 0], [0, 0, 0, 1, 1], old=[0])  # matches apart would find both parts right
    assert (result["all"], result["old"], result["new"], result["balanced"]) == (pytest.approx(0.6), 1.0, 0.0, 0.5)


def test_the_number_of_classes_is_found_where_they_are_apart():
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 30)
    z = np.eye(8)[truth] * 6 + rng.normal(0, 0.3, (150, 8))
    known = np.where((truth < 3) & (np.arange(150) % 2 == 0), truth, -1)
    number, scores = class_number(z, known, most=8)
    assert scores[5] >= max(scores[3], scores[8]) and number in (4, 5, 6)
    with pytest.raises(LabelError, match="at least two"):
        class_number(z, np.full(150, -1))


def test_the_protocol_uses_the_models_classes_or_guided_k_means():
    given = partly(96)
    plain = Subject(lambda d: d.flat(), given, given, given, 0)
    figures = protocols.measure("discovery", plain, {"most": 6})
    assert set(figures) == {"all", "old", "new", "balanced", "prior_error", "number", "number_error"}
    assert figures["all"] > 0.5
    with checks.training(registry.get("protogcd"), "array", given, epochs=6) as run:
        run.fit()
        trained = Subject(lambda d: run.model.embed(d.batch(d.ids))["embedding"].z.numpy(), given, given, given, 0, run.model)
        own = protocols.measure("discovery", trained, {})
        other = protocols.measure("discovery", trained, {"by": "plain"})
    assert own["all"] != other["all"] or own["old"] != other["old"]
