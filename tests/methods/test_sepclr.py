"""SepCLR: zeros for the background, gradients into the right encoder, refusals; and the table of leaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import checks, data
from counterpoint.core import registry
from counterpoint.core.errors import RequirementError
from counterpoint.evaluation import protocols
from counterpoint.evaluation.subject import Subject


def first_step(run):
    batch = run.data.batch(run.data.ids[:16])
    return run.model(run.recipe.views(batch, run.generator("views"), run.now), run.now)


def reached(run, out, name):
    run.model.zero_grad(set_to_none=True)
    run.recipe.objective[name](out, {}, run.now).mean().backward(retain_graph=True)
    return {n.split(".")[0] for n, p in run.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}


def test_spaces_and_gradients():
    with checks.training(registry.get("sepclr"), "array") as run:
        out = first_step(run)
        flag = out["masked"].keys["target"]
        assert bool((out["masked"].z[flag == 0] == 0).all()) and bool((out["masked"].z[flag == 1] == out["salient"].z[flag == 1]).all())
        assert torch.allclose(out["common"].z.norm(dim=1), torch.ones(32)) and not torch.allclose(
            out["salient"].z.norm(dim=1), torch.ones(32)
        )
        assert torch.equal(out["both"].z, torch.cat([out["common"].z, out["masked"].z], 1))
        assert {name: reached(run, out, name) for name in run.recipe.objective} == {
            "common": {"common"}, "common_spread": {"common"}, "salient": {"salient"}, "salient_spread": {"salient"},
            "null": {"salient"}, "independence": {"common", "salient"},
        }  # fmt: skip


def test_background_rows_learn_from_the_null_term_alone():
    with checks.training(registry.get("sepclr"), "array") as run:
        out = first_step(run)
        z = out["salient"].z
        z.retain_grad()
        flag = out["salient"].keys["target"]
        for name, background in (("salient", False), ("salient_spread", False), ("independence", False), ("null", True)):
            z.grad = None
            run.recipe.objective[name](out, {}, run.now).mean().backward(retain_graph=True)
            assert bool((z.grad[flag == 0] != 0).any()) is background, name


def test_a_batch_of_background_alone_is_finite():
    with checks.training(registry.get("sepclr"), "array") as run:
        ids = run.data.ids[run.data.columns["target"] == 0][:6]
        out = run.model(run.recipe.views(run.data.batch(ids), run.generator("views"), run.now), run.now)
        values = {name: term(out, {}, run.now).mean() for name, term in run.recipe.objective.items()}
        assert all(bool(torch.isfinite(v)) for v in values.values())
        assert values["salient"].item() == 0 == values["salient_spread"].item()


def test_batches_hold_as_many_of_both():
    given = checks.example("array")
    found = given.with_columns({"target": (np.arange(48) % 6 == 0).astype(int)})
    recipe = registry.get("sepclr")(found.spec)
    for ids in recipe.data(found, torch.Generator().manual_seed(0), batch=8):
        assert int(found.columns["target"][ids].sum()) == 4


@pytest.mark.parametrize("flags", [np.zeros(48, int), np.arange(48) % 3])
def test_a_flag_that_is_not_two_values_is_refused(flags):
    given = checks.example("array").with_columns({"target": flags})
    with pytest.raises(RequirementError, match=r"0 \(background\) or 1 \(target\)"):
        registry.get("sepclr")(given.spec).encoder(given.spec)


class Told(torch.nn.Module):
    """A model whose spaces hold a factor each, or both of them."""

    def __init__(self, mixed: bool) -> None:
        super().__init__()
        self.mixed = mixed

    def embed(self, batch):
        from counterpoint.core.recipe import Rows

        one, two = (torch.nn.functional.one_hot(batch.keys[n].clamp(min=0), 4).float() for n in ("digit", "object"))
        both = torch.cat([one, two], 1)
        spaces = {"salient": both if self.mixed else one, "common": both if self.mixed else two, "embedding": both}
        return {name: Rows(z, batch.keys) for name, z in spaces.items()}


def test_leaks_are_told_from_what_should_be_there():
    rng = np.random.default_rng(0)
    n = 400
    given = data.read(rng.normal(size=(n, 3)), kind="array").with_columns(
        {"digit": rng.integers(0, 4, n), "object": rng.integers(0, 4, n), "target": np.arange(n) % 2}
    )
    train, test = given.subset(given.ids[:300]), given.subset(given.ids[300:])
    options = {"holds": {"digit": "salient", "object": "common"}, "where": {"target": 1}}

    def table(model):
        return protocols.measure("leakage", Subject(lambda d: d.flat(), train, test, given, 0, model), options)

    apart, mixed, raw = table(Told(False)), table(Told(True)), table(None)
    assert apart["digit_in_salient"] == apart["object_in_common"] == 1.0 and apart["digit_in_common"] < 0.5
    assert apart["separation"] > 1.6 and mixed["separation"] < 0.9 and raw["digit_in_salient"] == raw["digit_in_common"]
