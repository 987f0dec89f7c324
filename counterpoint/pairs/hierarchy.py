"""Labels on several levels: the finer the level that two rows share, the more positive they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from counterpoint.core.errors import OptionError
from counterpoint.core.options import NotNegative
from counterpoint.core.recipe import Rows, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import codes, column, compose, identity, older


@requires(column=("{levels}",))
def hierarchy(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    levels: tuple[str, ...],
    weights: tuple[NotNegative, ...] | None = None,
    nested: bool = True,
) -> Pairs:
    """The weight of a pair is that of the finest level on which it agrees; other rows of the same item weigh 1.

    levels: keys from coarse to fine, ("family", "genus", "species"); unknown values match nothing.
    weights: one per level, rising; l / (levels + 1) for the l-th where not given. A weight of 0 makes negatives of that level.
    nested: whether a level counts only where all coarser ones agree (trial 3 of one patient is not trial 3 of another).
    """
    if not levels:
        raise OptionError("levels = () is not allowed; name the keys from coarse to fine")
    chosen = weights if weights is not None else tuple((i + 1) / (len(levels) + 1) for i in range(len(levels)))
    if len(chosen) != len(levels):
        raise OptionError(f"{len(chosen)} weights for {len(levels)} levels; give one each")
    if list(chosen) != sorted(chosen):
        raise OptionError(f"weights = {chosen!r} do not rise; a finer level is at least as positive as a coarser one")
    relations = []
    for depth, weight in enumerate(chosen):
        if weight:
            pair = codes(anchors, candidates, levels[: depth + 1] if nested else levels[depth])
            relations.append(Relation.equal(*pair).weighted(row=torch.full((len(anchors),), float(weight), device=anchors.z.device)))
    return compose(anchors, candidates, Relation.either(*relations), own=True)


@requires(column=("{keys}",))
def level(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    keys: tuple[str, ...],
    own: Literal["negative", "ignored", "positive"] = "negative",
    same_view: bool = True,
) -> Pairs:
    """One level of a hierarchy: the rows of other items that agree on all keys are positives, everyone else is a negative.

    keys: ("patient", "trial") is a trial of a patient; unknown values match nothing.
    own: what the other rows of the anchor's own item are; as negatives they stand in the denominator and are never pulled (COMET).
    same_view: whether rows of the anchor's own view are candidates; without, views meet each other only.
    """
    if not keys:
        raise OptionError("keys = () is not allowed; name the columns of the level")
    kin = Relation.equal(*codes(anchors, candidates, keys))
    mine = Relation.equal(column(anchors, "item", "anchors"), column(candidates, "item", "candidates"))
    never = [identity(anchors, candidates), older(anchors, candidates)]
    if not same_view:
        never.append(Relation.equal(column(anchors, "view", "anchors"), column(candidates, "view", "candidates")))
    positive = Relation.either(kin, mine) if own == "positive" else kin.without(mine)
    if own == "ignored":
        never.append(mine)
    return Pairs(positive.without(*never), Relation.all().without(*never), (len(anchors), len(candidates)))
