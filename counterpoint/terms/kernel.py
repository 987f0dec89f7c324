"""Rows spread under a Gaussian kernel k(u, v) = exp(−|u − v|² / (2 τ)): uniformity, an estimate of entropy, rows that belong at zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Select, pick, value_of
from counterpoint.core.similarity import Relation


def uniformity(
    out: Embeddings, tables: Mapping[str, Any], now: Progress, *, space: str | Select = "z", temperature: Positive | Part = 0.5
) -> RowLoss:
    """log mean_{i < j} k(u_i, u_j) in each view, averaged over the views: one number a view (Wang and Isola, ICML 2020, equation 2).

    Rows are taken as they are, in any Euclidean space. A view with fewer than two rows does not count. No gradient stands still at zero:
    rows that coincide repel nobody.

    space: a space, or a selection of one.
    temperature: τ > 0; may move over the run.
    """
    rows = pick(out, space)
    values = []
    for z in _views(rows.z, rows.keys.get("view")):
        n = len(z)
        each = similarity.lse(_scores(z, value_of(temperature, now)), Relation.all().without(Relation.itself()))
        values.append(torch.logsumexp(each, 0) - math.log(n * (n - 1)))
    return _numbers(values, rows.z)


def kernel_entropy(
    out: Embeddings, tables: Mapping[str, Any], now: Progress, *, space: str | Select = "z", temperature: Positive | Part = 0.5
) -> RowLoss:
    """mean_i log mean_j k(u_i, u_j), j = i included: minus the entropy of the rows by a kernel estimate, one number a view.

    In [−log n, 0]; minimised, it raises the entropy. Of [c ; s] it raises the joint entropy, and so lowers what the two tell about each
    other where terms on c and s alone hold up theirs (SepCLR, paper 019).

    space: a space, or a selection of one.
    temperature: τ > 0; may move over the run.
    """
    rows = pick(out, space)
    values = []
    for z in _views(rows.z, rows.keys.get("view")):
        each = similarity.lse(_scores(z, value_of(temperature, now)), Relation.all())
        values.append(each.mean() - math.log(len(z)))
    return _numbers(values, rows.z)


def at_zero(
    out: Embeddings, tables: Mapping[str, Any], now: Progress, *, space: str | Select = "z", temperature: Positive | Part = 0.5
) -> RowLoss:
    """L_i = |u_i|² / (2 τ), (n,): rows that carry nothing, such as the salient codes of background items.

    space: a space, or a selection of one.
    temperature: τ > 0; may move over the run.
    """
    z = pick(out, space).z.float()
    values = z.square().sum(1) / (2 * value_of(temperature, now))
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool))


def _scores(z: Tensor, temperature: float) -> similarity.Scores:
    return similarity.negative_squared_distance(z, z).divide(2 * temperature)


def _views(z: Tensor, view: Tensor | None) -> list[Tensor]:
    """The rows of each view that has two or more."""
    each = [z] if view is None else [z[view == v] for v in view.unique()]
    return [rows for rows in each if len(rows) > 1]


def _numbers(values: list[Tensor], z: Tensor) -> RowLoss:
    """One value a view; zero with a graph where there is none."""
    found = torch.stack(values) if values else 0 * z.float().sum()[None]
    return RowLoss(found, torch.full_like(found, bool(values), dtype=torch.bool))
