"""Rank correlation over pairs, and what several columns can be read off."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from counterpoint.core.errors import DataError, RequirementError
from counterpoint.evaluation.protocols import measure
from counterpoint.evaluation.subject import Subject


def _set(**columns: torch.Tensor) -> SimpleNamespace:
    items = len(next(iter(columns.values())))
    made = SimpleNamespace(columns=columns, items=items, ids=torch.arange(items))
    made.subset = lambda ids: _set(**{name: values[ids] for name, values in columns.items()})
    return made


def _subject(z: np.ndarray, part: SimpleNamespace, train: SimpleNamespace | None = None, seen: np.ndarray | None = None) -> Subject:
    rows = {id(part): z}
    return Subject(
        lambda given: rows.get(id(given), seen if seen is not None else z)[: given.items], train or part, part, SimpleNamespace(), 0
    )


def test_pairs_are_found_by_their_number() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    z, order = rng.normal(size=(20, 5)).astype(np.float32), rng.permutation(20)
    pair, score = np.arange(20) % 10, np.tile(rng.uniform(0, 5, 10), 2)
    part = _set(pair=torch.as_tensor(pair[order]), score=torch.as_tensor(score[order]))
    found = measure("similarity", _subject(z[order], part), {})
    cosine = [z[i] @ z[i + 10] / np.linalg.norm(z[i]) / np.linalg.norm(z[i + 10]) for i in range(10)]
    assert found["spearman"] == pytest.approx(spearmanr(cosine, score[:10]).statistic)
    with pytest.raises(DataError, match="two items each"):
        measure("similarity", _subject(z, _set(pair=torch.arange(20), score=torch.ones(20))), {})
    with pytest.raises(RequirementError, match="score"):
        measure("similarity", _subject(z, _set(pair=torch.arange(20))), {})


def test_factors_probe_classes_and_numbers() -> None:
    rng = np.random.default_rng(0)
    value, noise = rng.normal(size=300), rng.normal(size=(300, 4))
    label = rng.integers(3, size=300)
    z = np.concatenate([np.eye(3)[label], value[:, None] * [[1.0, 2.0]], noise], 1).astype(np.float32)
    other = rng.normal(size=300)
    columns = {"label": label, "value": value, "other": other}
    sets = [_set(**{name: torch.as_tensor(x[s]) for name, x in columns.items()}) for s in (slice(0, 150), slice(150, 300))]
    subject = _subject(z[150:], sets[1], sets[0], z[:150])
    found = measure("factors", subject, {"columns": ("label", "value"), "beside": ("other",)})
    assert found["linear_label"] == 1.0 and found["linear_value"] > 0.99 and found["linear_other"] < 0.1
    assert found["mean"] == pytest.approx((found["linear_label"] + found["linear_value"]) / 2)
    with pytest.raises(RequirementError, match="needs a model"):
        measure("factors", subject, {"columns": ("label",), "spaces": ("image",)})
    with pytest.raises(RequirementError, match="nothing"):
        measure("factors", subject, {"columns": ("nothing",)})
