"""Versions of an item of which an edit has changed the label: the hardest negatives there are (paper 111)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from counterpoint.core.options import Positive
from counterpoint.core.recipe import Rows, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import codes, column, identity, older


@requires(column=("{source}", "{key}"))
def counterfactual(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    source: str = "source",
    key: str = "label",
    weight: Positive = 2.0,
    others: bool = True,
) -> Pairs:
    """Positive: a version of the same source with the same label. Negative: the flipped version, `weight` times, and everyone else.

    source: the id of what the versions were made from; views of one item share it.
    key: the label after the edit; unknown on one side makes a pair of one source an ignored one.
    weight: of the flipped version among the negatives.
    others: whether rows of other sources with an equal label are positives too; without, they are ignored.
    """
    origin, label = codes(anchors, candidates, source), codes(anchors, candidates, key)
    kin, alike = Relation.equal(*origin), Relation.equal(*label)
    positive = alike if others else alike.within(*origin)
    known = Relation.all().weighted((label[0] != -1).float(), (label[1] != -1).float())
    never = [identity(anchors, candidates), older(anchors, candidates), kin.without(known)]
    if not others:
        never.append(alike.without(kin))
    row = torch.full((len(anchors),), float(weight), device=column(anchors, key, "anchors").device)
    candidate = Relation.either(Relation.all(), kin.without(alike).weighted(row=row))
    return Pairs(positive.without(*never), candidate.without(*never), (len(anchors), len(candidates)))
