"""COMET: four levels, each as its formula says."""

from __future__ import annotations

import pytest
import torch

from counterpoint import checks, data, pairs
from counterpoint.core import registry
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.recipe import Modality, Progress, Rows
from counterpoint.core.registry import example_spec
from counterpoint.encoders import tokens
from counterpoint.training.step import train_step

NOW = Progress()
B, T, D = 4, 6, 3
PATIENT, TRIAL = torch.tensor([0, 0, 1, 0]), torch.tensor([5, 5, 5, 6])  # trial 5 of patient 1 is another one than trial 5 of patient 0


def framed(role: str) -> Rows:
    keys = {"item": torch.arange(B).repeat(2), "view": torch.arange(2).repeat_interleave(B)}
    keys |= {"patient": PATIENT.repeat(2), "trial": TRIAL.repeat(2)}
    return Rows(torch.zeros(2 * B, 0), keys, False, (role, role))


@pytest.fixture
def z() -> torch.Tensor:
    return torch.randn(2 * B, T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def cross_entropy(rows: torch.Tensor) -> torch.Tensor:
    """2m rows below each other: each against its partner among all others, by loops."""
    m = len(rows) // 2
    scores, values = rows @ rows.T, []
    for i in range(2 * m):
        others = [j for j in range(2 * m) if j != i]
        values.append(torch.logsumexp(scores[i, others], 0) - scores[i, (i + m) % (2 * m)])
    return torch.stack(values).mean()


@pytest.mark.parametrize("level", ["observation", "sample"])
def test_the_fine_levels_are_cross_entropies_averaged_over_scales(z: torch.Tensor, level: str) -> None:
    term = registry.get("comet")(example_spec("series")).objective[level]
    out = tokens.pyramid(D, Modality("series", (1, T)))(z, torch.ones(2 * B, T, dtype=torch.bool), framed("local"), NOW)
    found = term(out, {}, NOW)
    expected, x = [], z
    while True:
        one, two = x[:B], x[B:]
        steps = x.shape[1]
        if level == "observation":
            expected.append(torch.stack([cross_entropy(torch.cat([one[i], two[i]])) for i in range(B)]).mean())
        else:
            expected.append(torch.stack([cross_entropy(torch.cat([one[:, t], two[:, t]])) for t in range(steps)]).mean())
        if steps == 1:
            break
        x = torch.stack([x[:, t : t + 2].amax(1) for t in range(0, steps, 2)], 1)
    torch.testing.assert_close(found.mean(), torch.stack(expected).mean())
    if level == "observation":
        assert float(expected[-1]) == 0  # one step left: nothing to tell apart


@pytest.mark.parametrize("level", ["patient", "trial"])
def test_a_coarse_level_pulls_the_other_items_of_the_group_and_never_the_own_view(z: torch.Tensor, level: str) -> None:
    term = registry.get("comet")(example_spec("series"), temperature=0.2).objective[level]
    rows = framed("global")
    out = tokens.flat(D, Modality("series", (1, T)))(z, torch.ones(2 * B, T, dtype=torch.bool), rows, NOW)
    found = term(out, {}, NOW)
    v = torch.nn.functional.normalize(out["flat"].z, dim=1)
    values = []
    for i in range(2 * B):
        a = i % B
        other = [j + B * (i < B) for j in range(B)]
        logits = torch.stack([v[i] @ v[j] for j in other]) / 0.2
        near = [j for j in range(B) if j != a and PATIENT[j] == PATIENT[a] and (level == "patient" or TRIAL[j] == TRIAL[a])]
        values.append(torch.stack([torch.logsumexp(logits, 0) - logits[j] for j in near]).mean() if near else torch.tensor(0.0).double())
    torch.testing.assert_close(found.values.double(), torch.stack(values), rtol=1e-5, atol=1e-5)
    assert found.counted.tolist() == [PATIENT[i % B] == 0 and (level == "patient" or TRIAL[i % B] == 5) for i in range(2 * B)]


@pytest.mark.parametrize(("own", "kind"), [("negative", "negatives"), ("ignored", None), ("positive", "positives")])
def test_what_the_own_other_view_is_can_be_chosen(own: str, kind: str | None) -> None:
    rows = framed("global")
    found = pairs.level(rows, rows, {}, keys=("patient", "trial"), own=own)
    at = {name: float(getattr(found, name).dense(found.shape)[0, B]) for name in ("positives", "negatives")}
    assert {name for name, weight in at.items() if weight > 0} == ({kind} if kind else set())
    with pytest.raises(OptionError, match="keys = "):
        pairs.level(rows, rows, {}, keys=())


def test_plain_views_differ_by_dropout_alone() -> None:
    with checks.training(registry.get("comet"), "series") as run:
        views = run.recipe.views(run.data.batch(run.data.ids[:8]), run.generator("views"), NOW)
        assert [view.name for view in views] == ["global", "global", "local", "local"]
        for training in (True, False):
            run.model.train(training)
            flat = run.model(views, NOW)["flat"]
            first, second = flat.z[flat.keys["view"] == 0], flat.z[flat.keys["view"] == 1]
            assert torch.allclose(first, second) is not training


def test_a_level_of_weight_0_asks_for_no_column_and_draws_no_views() -> None:
    spec = example_spec("series")
    comet = registry.get("comet")
    recipe = comet(spec, weights=(0.0, 0.0, 0.5, 0.5))
    assert not recipe.requires()["column"] and recipe.get("views.globals") == 0 and recipe.data == registry.get("simclr")(spec).data
    assert set(comet(spec, weights=(1.0, 0.0, 0.0, 0.0)).requires()["column"]) == {"patient"}
    with pytest.raises(OptionError, match="leave nothing to learn from"):
        comet(spec, weights=(0.0, 0.0, 0.0, 0.0))


def test_batches_hold_several_series_of_a_trial_and_a_missing_column_is_named() -> None:
    given = checks.example("series")
    drawn = next(data.grouped(given, torch.Generator().manual_seed(0), batch=16, column=("patient", "trial"), each=4))
    both = given.columns["patient"][drawn] * 10 + given.columns["trial"][drawn]
    assert torch.unique(both, return_counts=True)[1].tolist() == [4] * 4
    with pytest.raises(RequirementError, match="no column 'ward'"):
        next(data.grouped(given, torch.Generator(), batch=16, column=("patient", "ward")))


def test_every_part_of_the_encoder_learns_from_every_level() -> None:
    for level in ("patient", "trial", "sample", "observation"):
        with checks.training(registry.get("comet"), "series") as run:
            run.recipe = run.recipe.at("objective", {level: run.recipe.objective[level]})
            train_step(run, next(run._batches(0, 0)))
            silent = [n for n, p in run.model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
            # a constant over time of the last layer stays under the norm over time only as a direction
            assert not [n for n in silent if not n.endswith("bias")], (level, silent)
