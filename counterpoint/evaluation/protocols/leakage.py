"""What each space holds and must not hold: a table of probes, factor by space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import Count
from counterpoint.evaluation.probe import linear_probe
from counterpoint.evaluation.subject import Subject

GRID = (0.001, 0.01, 0.1, 1.0)


def leakage(subject: Subject, *, holds: Mapping[str, str], where: Mapping[str, int] = {}, batch: Count = 256) -> dict[str, float]:
    """{"<factor>_in_<space>"} for every factor and space, and "separation": what should be held less what leaks.

    Each figure is the accuracy of a linear probe from train to test. separation = Σ_factors accuracy in its own space − Σ over the other
    spaces of max(0, accuracy − chance), chance being the share of the commonest class of the test. A model or reference with one space
    is judged as if it were each of them, so that all of what it holds leaks.

    holds: column → the space that should tell it; all other spaces named should not.
    where: only items with these values of columns.
    batch: items embedded at a time.
    """
    spaces = tuple(dict.fromkeys(holds.values()))
    if not subject.held_out:
        raise RequirementError("leakage probes from train to test, and the data have no held-out part")
    parts = [_chosen(part, where) for part in (subject.train, subject.test)]
    rows = [_spaces(subject, part, spaces, batch) for part in parts]
    figures, separation = {}, 0.0
    for factor, own in holds.items():
        if factor not in parts[0].columns:
            raise RequirementError(f"leakage reads the column {factor!r}, which the data do not have{nearest(factor, parts[0].columns)}")
        truth = [part.columns[factor] for part in parts]
        known = truth[1][truth[1] >= 0]
        chance = float(torch.bincount(known).max() / len(known))
        for space in spaces:
            right = linear_probe(rows[0][space], truth[0], rows[1][space], truth[1], grid=GRID, seed=subject.seed)
            figures[f"{factor}_in_{space}"] = right
            separation += right if space == own else -max(0.0, right - chance)
    return {**figures, "separation": separation}


def _chosen(part: Any, where: Mapping[str, int]) -> Any:
    keep = torch.ones(part.items, dtype=torch.bool)
    for column, value in where.items():
        if column not in part.columns:
            raise RequirementError(f"leakage selects by the column {column!r}, which the data do not have{nearest(column, part.columns)}")
        keep &= part.columns[column] == value
    return part.subset(part.ids[keep])


def _spaces(subject: Subject, part: Any, spaces: tuple[str, ...], batch: int) -> dict[str, Tensor]:
    """The rows of each space; the one embedding for all of them where there is no model, or one without these spaces."""
    if subject.model is not None:
        device = next((p.device for p in subject.model.parameters()), torch.device("cpu"))
        with torch.no_grad():
            out = [subject.model.embed(part.batch(ids).to(device)) for ids in part.ids.split(batch)]  # type: ignore[operator]
        if all(space in out[0] for space in spaces):
            return {space: torch.cat([o[space].z.float().cpu() for o in out]) for space in spaces}
    whole = torch.as_tensor(np.asarray(subject.embed(part)))
    return dict.fromkeys(spaces, whole)
