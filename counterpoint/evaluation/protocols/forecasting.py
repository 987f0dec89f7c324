"""Forecasts of windows of a series: error for each horizon, of the model's own head or of a ridge regression on embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.core.recipe import Rows
from counterpoint.evaluation.subject import Subject

_ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)


def forecasting(
    subject: Subject, *, future: str = "future", horizons: tuple[Count, ...] = (1, 6, 24), season: Count = 24
) -> dict[str, float]:
    """Mean squared and absolute errors on the held-out windows, standardised by the training part: "mse", "mae" over all steps, "mse_6"
    over the first six …

    Of the forecasts that the model makes itself ("forecast" among its token heads), else of a ridge regression on the embedding, which is
    given as "ridge_mse" and "ridge_mae" in any case. For the raw input, "mse" is a ridge regression on the window. Beside it the naive
    forecasts "last_mse" (the last value again) and "season_mse" (the last season again).

    The strength of the ridge is chosen on the last fifth of the training windows, in time.

    future: column of the steps to predict, (n, channels · horizon).
    horizons: numbers of steps for which errors are given; those beyond the column's horizon are left out.
    season: steps of a season.

    Raises RequirementError without held-out windows or without the column.
    """
    for part in (subject.train, subject.test):
        if future not in part.columns:
            raise RequirementError(f"the protocol reads the column {future!r} and the data have {', '.join(part.columns) or 'none'}")
    if not subject.held_out:
        raise RequirementError("forecasting needs held-out windows, and the data have none")
    known, truth = (part.columns[future].numpy() for part in (subject.train, subject.test))
    regressed = _ridge(subject.embed(subject.train), known, subject.embed(subject.test))
    own = None if subject.model is None else _own(subject.model, subject.test)
    past = subject.test.batch(subject.test.ids).fields["x"].numpy()
    channels = past.shape[1]
    steps = truth.shape[1] // channels
    found: dict[str, float] = {}
    for prefix, made in (("", regressed if own is None else own), ("ridge_", regressed)):
        gap = (made - truth).reshape(len(truth), channels, steps)
        found |= {f"{prefix}mse": float((gap**2).mean()), f"{prefix}mae": float(np.abs(gap).mean())}
        if not prefix:
            found |= {f"mse_{h}": float((gap[:, :, :h] ** 2).mean()) for h in horizons if h < steps}
    ahead = truth.reshape(len(truth), channels, steps)
    found["last_mse"] = float(((past[:, :, -1:] - ahead) ** 2).mean())
    if past.shape[2] >= season:
        again = past[:, :, -season:][:, :, np.arange(steps) % season]
        found["season_mse"] = float(((again - ahead) ** 2).mean())
    return found


def _ridge(train: np.ndarray, target: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import Ridge

    mean, scale = train.mean(0), train.std(0).clip(1e-6)
    train, test = (train - mean) / scale, (test - mean) / scale
    cut = int(0.8 * len(train))
    errors = [((Ridge(alpha=a).fit(train[:cut], target[:cut]).predict(train[cut:]) - target[cut:]) ** 2).mean() for a in _ALPHAS]
    made: np.ndarray = Ridge(alpha=_ALPHAS[int(np.argmin(errors))]).fit(train, target).predict(test)
    return made


def _own(model: Any, given: Any) -> np.ndarray | None:
    """The model's own forecasts, in eval mode; None where it makes none."""
    heads = getattr(model, "tokens", None)
    if heads is None or "forecast" not in heads:
        return None
    from counterpoint.core.recipe import Progress

    model.eval()
    device = next(model.parameters()).device
    pieces = []
    with torch.no_grad():
        for ids in given.ids.split(1024):
            batch = given.batch(ids).to(device)
            tokens, there = model.backbone.tokens(batch.fields[model.modality])
            pieces.append(heads["forecast"](tokens, there, Rows(tokens[:, 0], batch.keys), Progress())["forecast"].z.cpu())
    return torch.cat(pieces).numpy()
