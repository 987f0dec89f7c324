"""Positives and negatives by the role of a view: views that are made to be unlike (papers 057, 111)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError, nearest
from counterpoint.core.recipe import Rows, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import codes, column, identity, older


@requires(column=("{key}",))
def roles(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    positive: tuple[str, ...],
    negative: tuple[str, ...],
    key: str | None = None,
) -> Pairs:
    """Positive: every row whose view has a role of `positive`. Negative: every row of `negative`. Others are ignored.

    positive: roles of views.
    negative: roles of views, none of them in `positive`.
    key: a key that positives must share besides ("item": the own views only); candidates of those roles that do not are ignored.
    """
    if common := set(positive) & set(negative):
        raise OptionError(f"the role {min(common)!r} is among the positives and among the negatives; it can only be one of them")
    if unknown := [name for name in (*positive, *negative) if name not in candidates.roles]:
        raise OptionError(f"no view has the role {unknown[0]!r}{nearest(unknown[0], set(candidates.roles))}")
    near, far = (_with(candidates, names) for names in (positive, negative))
    anyone = torch.ones(len(anchors), dtype=torch.int64, device=anchors.z.device)
    kin = Relation.equal(anyone, near)
    if key is not None:
        kin = kin.within(*codes(anchors, candidates, key))
    never = (identity(anchors, candidates), older(anchors, candidates))
    other = Relation.equal(anyone, far)
    return Pairs(kin.without(*never), Relation.either(kin, other).without(*never), (len(anchors), len(candidates)))


def _with(rows: Rows, names: tuple[str, ...]) -> Tensor:
    """(n,) 1 for rows of views with one of these roles, else −1, which is equal to nothing."""
    wanted = [i for i, role in enumerate(rows.roles) if role in names]
    return torch.isin(column(rows, "view", "candidates"), torch.tensor(wanted, device=rows.z.device)).long() * 2 - 1
