"""Forecasting with a contrast beside it: windows in time, the joint objective, its two ends, and honest errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import checks, data, terms, views
from counterpoint.core import registry
from counterpoint.core.errors import DataError, RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Rows, Select, value_of
from counterpoint.core.registry import example_spec
from counterpoint.evaluation.protocols import measure
from counterpoint.evaluation.subject import Subject
from counterpoint.training.step import gradients, parameters, train_step

SLUG = "sscl_forecasting"


def waves(steps: int = 400, channels: int = 2) -> np.ndarray:
    """A season of 24 on two channels of different size, with a little noise."""
    time = np.arange(steps)[:, None]
    noise = np.random.default_rng(0).normal(0, 0.1, (steps, channels))
    return 10 + np.sin(2 * np.pi * time / 24 + np.arange(channels)) * (1 + 4 * np.arange(channels)) + noise


def test_windows_are_cut_by_time_and_standardised_by_the_training_part() -> None:
    values = waves()
    values[300:] += 100  # a level that training never sees
    found = data.windows(values, length=30, horizon=5, train=(0, 200), test=(250, 400))
    train, test = (found.subset(found.ids[found.split == part]) for part in (0, 1))
    time = found.columns["time"]
    assert time[found.split == 0].tolist() == list(range(30, 196)) and time[found.split == 1].tolist() == list(range(250, 396))
    x, future = train.batch(train.ids).fields["x"], train.columns["future"].view(-1, 2, 5)
    assert abs(float(x.mean())) < 1e-4 and abs(float(x.std()) - 1) < 1e-2
    torch.testing.assert_close(x[5:, :, -5:], future[:-5])  # what comes next is what the later windows hold
    assert float(test.columns["future"].max()) > 20
    fewer = data.windows(values, length=30, horizon=5, train=(0, 200), test=(250, 400), limit=20)
    assert fewer.split.tolist() == [0] * 20 + [1] * 20
    place = torch.searchsorted(time, fewer.columns["time"][:1])
    shape = (1, 2, 5)
    means, deviations = (torch.tensor(fewer.fields["x"].found[k]).view(1, 2, 1) for k in ("mean", "std"))
    m, d = (torch.tensor(found.fields["x"].found[k]).view(1, 2, 1) for k in ("mean", "std"))
    torch.testing.assert_close(
        fewer.columns["future"][:1].view(shape) * deviations + means, found.columns["future"][place].view(shape) * d + m, check_dtype=False
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": (0, 300)}, "one after the other"),
        ({"train": (0, 20)}, "train = .* has no room for a window of 30 steps"),
        ({"test": (250, 252)}, "test = .* has no room"),
        ({"horizon": 0}, "each must be at least 1"),
    ],
)
def test_what_cannot_be_cut_is_refused(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.windows(waves(), **{"length": 30, "horizon": 5, "train": (0, 200), "test": (250, 400), **change})


def test_a_gap_is_refused() -> None:
    values = waves()
    values[7, 1] = np.nan
    with pytest.raises(DataError, match="no number at row 7"):
        data.windows(values, length=30, horizon=5, train=(0, 200), test=(250, 400))


def test_the_task_is_the_mean_error_over_the_numbers_that_are_known() -> None:
    z, target = torch.randn(4, 3), torch.randn(4, 3)
    target[1, 2] = target[2] = float("nan")
    out = {"forecast": Rows(z, {"item": torch.arange(4), "future": target}, False, ("past",))}
    for error, power in (("squared", 2), ("absolute", 1)):
        found = terms.predicted(out, {}, Progress(), error=error)
        assert found.counted.tolist() == [True, True, False, True]
        torch.testing.assert_close(found.values[1], ((z - target)[1, :2].abs() ** power).mean())
        assert float(found.values[2]) == 0
    with pytest.raises(RequirementError, match="the horizon of both must agree"):
        terms.predicted({"forecast": Rows(z[:, :2], out["forecast"].keys)}, {}, Progress())


def test_the_weight_goes_from_the_task_alone_to_the_contrast_alone() -> None:
    spec, method = example_spec("series"), registry.get(SLUG)
    assert set(method(spec).objective) == {"task", "contrast"} and method(spec).requires()["column"].keys() == {"future"}
    assert set(method(spec, weight=0.0).objective) == {"task"} and method(spec, weight=0.0).get("encoder.teacher") is None
    alone = method(spec, weight=1.0)
    assert set(alone.objective) == {"contrast"} and "forecast" not in alone.get("encoder.tokens") and not alone.requires()["column"]
    assert set(method(spec, contrast="hierarchical").objective) == {"task", "items", "moments"}
    falling = method(spec, decay=True).objective
    for share, expected in ((0, (0.5, 0.5)), (5, (0.75, 0.25)), (10, (1.0, 0.0))):
        assert tuple(value_of(falling[n].weight, Progress(step=share, steps=10)) for n in ("task", "contrast")) == pytest.approx(expected)


def test_the_forecast_is_of_the_window_as_it_was_and_the_teacher_sees_the_moved_one() -> None:
    with checks.training(registry.get(SLUG), "series") as run:
        batch = run.data.batch(run.data.ids[:8])
        made = run.recipe.views(batch, run.generator("views"), run.now)
        assert [view.name for view in made] == ["past", "moved"] and torch.equal(made[0].fields["x"], batch.fields["x"])
        out = run.model(made, run.now)
        assert out["teacher"].keys["view"].unique().tolist() == [1]
        assert Select("forecast", views=("past",))(out).z.shape == (8, 48)
        update = run.recipe.updates[0]
        reached = {}
        for name, term in run.recipe.objective.items():
            run.model.zero_grad()
            gradients(run, made, {name: term}, {}, 1, parameters(run.model, update, run.now), {"loss": 0.0, "terms": {}}, "check")
            reached[name] = {
                n.split(".")[0] for n, p in run.model.named_parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)
            }
        assert reached == {"task": {"backbone", "tokens"}, "contrast": {"backbone", "projector"}}
        train_step(run, next(run._batches(0, 0)))


def test_moved_windows_are_scaled_shifted_and_noisy_each_half_of_the_time() -> None:
    x = torch.zeros(4000, 2, 3)
    kept, _ = views.series.moved(x, torch.Generator().manual_seed(0), noise=0.0)
    assert abs(float((kept == 0).all((1, 2)).double().mean()) - 0.5) < 0.05
    assert torch.equal(kept[:, :, 0], kept[:, :, 2]) and not torch.equal(kept[:, 0], kept[:, 1])
    still, _ = views.series.moved(x + 1, torch.Generator().manual_seed(0), chance=0.0)
    assert torch.equal(still, x + 1)


def test_errors_are_told_beside_a_ridge_and_naive_forecasts() -> None:
    found = data.windows(waves(), length=48, horizon=12, train=(0, 250), test=(270, 400))
    train, test = (found.subset(found.ids[found.split == part]) for part in (0, 1))
    raw = measure("forecasting", Subject(lambda given: given.flat(), train, test, found, 0, None, "raw"), {"horizons": (1, 6)})
    ahead = test.columns["future"].view(len(test), 2, 12)
    past = test.batch(test.ids).fields["x"]
    assert raw["last_mse"] == pytest.approx(float((past[:, :, -1:] - ahead).square().mean()), rel=1e-4)
    assert raw["season_mse"] == pytest.approx(float((past[:, :, -24:-12] - ahead).square().mean()), rel=1e-4)
    assert raw["mse"] == raw["ridge_mse"] < 0.02 < raw["last_mse"] and {"mse_1", "mse_6"} <= set(raw)
    with checks.training(registry.get(SLUG), "series", train) as run:
        model = run.recipe.at("encoder.tokens.forecast", use(run.recipe.get("encoder.tokens.forecast").make, horizon=12)).encoder(
            train.spec
        )

        def embed(given: data.Dataset) -> np.ndarray:
            return model.embed(given.batch(given.ids))["embedding"].z.numpy()

        told = measure("forecasting", Subject(embed, train, test, found, 0, model), {})
        assert told["mse"] != told["ridge_mse"]
    with pytest.raises(RequirementError, match="reads the column 'later'"):
        measure("forecasting", Subject(lambda given: given.flat(), train, test, found, 0), {"future": "later"})
