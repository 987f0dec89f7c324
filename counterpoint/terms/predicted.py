"""A supervised term: rows that should be the numbers of a column (forecasts, targets), trained beside a contrast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Select, pick, requires


@requires(column=("{key}",))
def predicted(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    rows: str | Select = "forecast",
    key: str = "future",
    error: Literal["squared", "absolute"] = "squared",
) -> RowLoss:
    """The mean error of the rows (n, k) against a column (n,) or (n, k), (n,). Unknown numbers (NaN) do not count. No chance level.

    rows: the predictions, a space or a selection of one.
    key: the column.
    error: of a number.
    """
    found = pick(out, rows)
    if key not in found.keys:
        raise RequirementError(f"the rows of {rows!r} have no key {key!r}{nearest(key, found.keys)}")
    target = found.keys[key].reshape(len(found), -1).to(found.z.dtype)
    if target.shape != found.z.shape:
        raise RequirementError(
            f"{rows!r} predicts {found.z.shape[1]} numbers and the column {key!r} has {target.shape[1]}; the horizon of both must agree"
        )
    there = ~target.isnan()
    gap = torch.where(there, found.z - target.nan_to_num(), 0.0)
    each = gap.square() if error == "squared" else gap.abs()
    return RowLoss(each.sum(1) / there.sum(1).clamp(min=1), there.any(1))
