"""Rows near each other in time, in place, or in a value to be predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import OptionError
from counterpoint.core.options import NotNegative, Positive
from counterpoint.core.recipe import UNKNOWN, Rows, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import codes, column, identity, is_known, older
from counterpoint.pairs.overlap import ranges


@requires(column=("{key}", "{block}"))
def near(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    key: str = "time",
    within: NotNegative,
    beyond: NotNegative | None = None,
    width: Positive | None = None,
    block: str | tuple[str, ...] | None = None,
    apart: bool = True,
) -> Pairs:
    """Positive: at most `within` away. Negative: more than `beyond` away. Between the two: ignored.

    key: a number per row (time, age, a target to predict), or several (a place), of which the Euclidean distance is taken; unknown
        (NaN; −1 for whole numbers) matches nothing.
    within: largest distance of a positive, in the unit of the key.
    beyond: smallest distance of a negative; `within` where not given.
    width: positives are graded by exp(−distance² / (2 width²)); all count 1 where not given.
    block: a key inside which rows can be near (the series of a window, the image of a patch).
    apart: whether rows of other blocks are negatives; without, they are ignored.
    """
    far = within if beyond is None else beyond
    if far < within:
        raise OptionError(f"beyond = {far} is less than within = {within}; it must be at least as large")
    first, second = column(anchors, key, "anchors"), column(candidates, key, "candidates")
    inside = None if block is None else codes(anchors, candidates, block)
    if first.ndim == 1:
        positive, middle = (_edges(first, second, distance, inside) for distance in (within, far))
        if width is not None:
            gap = (first.double()[positive[0]] - second.double()[positive[1]]).float()
            close = Relation.sparse(*positive, (-gap.square() / (2 * width**2)).exp())
        else:
            close = Relation.sparse(*positive)
        between = Relation.sparse(*middle)
    else:
        close, between = (_places(first, second, distance, spread, inside) for distance, spread in ((within, width), (far, None)))
    never = [identity(anchors, candidates), older(anchors, candidates), _unplaced(anchors, candidates, first, second)]
    if inside is not None and not apart:
        never.append(Relation.all().without(Relation.equal(*inside)))
    ignored = [*never, between.without(close)]
    return Pairs(close.without(*never), Relation.all().without(*ignored), (len(anchors), len(candidates)))


def _edges(first: Tensor, second: Tensor, distance: float, inside: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    """(rows, columns) of all pairs at most `distance` apart, by sorting: no n × m matrix."""
    rows, columns = (_present(key, None if inside is None else inside[side]) for side, key in enumerate((first, second)))
    a, c = first.double()[rows], second.double()[columns]
    if inside is not None and len(a) and len(c):  # blocks laid out one after the other, farther apart than any distance asked for
        low = torch.minimum(a.min(), c.min())
        step = torch.maximum(a.max(), c.max()) - low + 2 * distance + 1
        block = torch.cat([inside[0][rows], inside[1][columns]]).unique(return_inverse=True)[1]
        a, c = a - low + block[: len(a)] * step, c - low + block[len(a) :] * step
    ordered, order = c.sort()
    slack = 1e-9 * (1 + a.abs())
    begin = torch.searchsorted(ordered, a - distance - slack)
    end = torch.searchsorted(ordered, a + distance + slack, right=True)
    which, place = ranges(begin, end)
    return rows[which], columns[order[place]]


def _present(key: Tensor, block: Tensor | None) -> Tensor:
    known = is_known(key) if block is None else is_known(key) & is_known(block)
    return known.nonzero()[:, 0]


def _places(first: Tensor, second: Tensor, distance: float, width: float | None, inside: tuple[Tensor, Tensor] | None) -> Relation:
    """The same for keys (n, k): tile by tile."""
    a, c = first.float(), second.float()

    def weight(i: Tensor, j: Tensor) -> Tensor:
        gap = (a[i] - c[j]).square().sum(-1)
        hit = (gap <= distance**2 * (1 + 1e-6)).float()  # false for NaN
        return hit if width is None else hit * (-gap.nan_to_num() / (2 * width**2)).exp()

    relation = Relation.tile(weight)
    return relation if inside is None else relation.within(*inside)


def _unplaced(anchors: Rows, candidates: Rows, first: Tensor, second: Tensor) -> Relation:
    """Rows of one item of which one has no place: nothing is known of such a pair, and it is no negative."""
    if "item" not in anchors.keys or "item" not in candidates.keys:
        return Relation.none()
    known = [is_known(k) if k.ndim == 1 else is_known(k).all(1) for k in (first, second)]
    if bool(known[0].all()) and bool(known[1].all()):
        return Relation.none()
    items = anchors.keys["item"], candidates.keys["item"]
    lost = [torch.where(k, UNKNOWN, item) for k, item in zip(known, items, strict=True)]
    return Relation.either(Relation.equal(lost[0], items[1]), Relation.equal(items[0], lost[1]))
