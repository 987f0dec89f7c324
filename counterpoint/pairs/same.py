"""The rule of most methods: rows with an equal key are positives."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from counterpoint.core.arrangement import arrangement
from counterpoint.core.recipe import Rows, requires
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.pairs.keys import codes, column, identity, is_known, older, together, with_item
from counterpoint.pairs.overlap import overlapping

Side = tuple[tuple[int, ...], tuple[str, ...]]  # the positions of the views that are stacked, the roles of all views


@requires(column=("{key}", "{block}", "{exclude}"))
def same(
    anchors: Rows,
    candidates: Rows,
    tables: Mapping[str, Any],
    *,
    key: str | tuple[str, ...] = "item",
    other: str | tuple[str, ...] | None = None,
    block: str | tuple[str, ...] | None = None,
    exclude: str | tuple[str, ...] = (),
    same_view: bool = True,
    negatives: Literal["all", "own_view", "shared"] = "all",
    own: bool = True,
    unknown: Literal["negative", "ignored"] = "negative",
    old: Literal["ignored", "positive", "negative"] = "ignored",
) -> Pairs:
    """Positive: rows with an equal, known key. Candidate: every other row. An anchor never meets itself.

    Rows are told apart by their keys, never by their position: itself is the row of the same item, view and position, in whatever
    space; two rows with an equal key are never negatives. Unknown keys (−1, NaN) match nothing.

    key: the key that makes positives, "item", "label", "group", "time", "position" or any column; of several all must agree. A key with
        several values per row (multi-label, padded with −1) matches where one value is shared.
    other: the name of that key on the side of the candidates, where it differs (a target's item, a chosen partner's label).
    block: a key inside which rows meet; rows of different or unknown blocks are ignored (tokens of one item, private candidates).
    exclude: keys of which an equal value makes a pair that is not positive an ignored one (the same class, but no positive).
    same_view: whether rows of the anchor's own view are candidates; without, views meet each other only.
    negatives: "own_view" leaves only rows of the anchor's own view in the denominator (GroCo), "shared" only those of a queue or bank (MoCo
        as published); positives then stand there only where the loss puts them, as info_nce does.
    own: whether rows of the anchor's own item are positives whatever the key says; without, those that the key does not match are ignored.
    unknown: what a candidate is whose key is not known, or all of them for an anchor whose key is not. By item that is a row which a queue
        does not hold yet: a random direction, a negative as in MoCo's code, or ignored.
    old: what a copy of the anchor's item in shared rows (a queue) is; it is stale, and ignored by default.
    """
    by_item = key == "item" and other is None and block is None and not exclude
    here = arrangement(anchors) if by_item else None
    there = here if anchors is candidates else arrangement(candidates) if here else None
    if here is not None and there is not None and here.items is there.items:
        sides = (here.positions, anchors.roles), (there.positions, candidates.roles)
        alike = anchors is candidates, anchors.z is candidates.z
        make = _arranged.__wrapped__ if torch.is_inference_mode_enabled() else _arranged  # what is kept in there fits no training
        return make(len(here.items), anchors.z.device, sides, alike, same_view, negatives, own, unknown, old)
    plain = by_item and same_view and negatives == "all"
    if plain and unknown == "negative" and (partner := _partner(anchors, candidates)) is not None:
        n = len(anchors)
        return Pairs(Relation.index(partner), Relation.all().without(Relation.itself()), (n, n))
    myself, stale = identity(anchors, candidates), older(anchors, candidates)
    positive, known = _matching(anchors, candidates, key, other, own)
    ignored = [myself]
    if old == "ignored":
        ignored.append(stale)
    if not own and key != "item" and "item" in anchors.keys and "item" in candidates.keys:
        ignored.append(Relation.equal(anchors.keys["item"], candidates.keys["item"]).without(positive))
    if not same_view:
        ignored.append(Relation.equal(column(anchors, "view", "anchors"), column(candidates, "view", "candidates")))
    if old == "positive":
        positive = Relation.either(positive.without(*ignored), stale)
    else:
        positive = positive.without(*ignored, *([stale] if old == "negative" else []))
    for name in (exclude,) if isinstance(exclude, str) else exclude:
        ignored.append(Relation.equal(*codes(anchors, candidates, name)).without(positive))
    everyone = Relation.all()
    if negatives == "own_view":
        everyone = everyone.within(column(anchors, "view", "anchors"), column(candidates, "view", "candidates"))
    elif negatives == "shared" and not candidates.shared:
        stored = candidates.keys["shared"] > 0 if "shared" in candidates.keys else torch.zeros_like(candidates.z[:, 0], dtype=torch.bool)
        everyone = everyone.within(torch.ones(len(anchors), dtype=torch.int64, device=stored.device), stored.long())
    doubtful = unknown == "ignored" and not all(bool(k.all()) for k in known)
    if doubtful:
        everyone = everyone.within(*(torch.where(k, 1, -1) for k in known))
    candidate = everyone.without(*ignored)
    if doubtful and own:
        candidate = Relation.either(candidate, positive)  # rows of the anchor's own item are positives though their key is not known
    return Pairs(positive, candidate, (len(anchors), len(candidates)), None if block is None else codes(anchors, candidates, block))


@lru_cache(maxsize=8)
def _arranged(items: int, device: torch.device, sides: tuple[Side, Side], alike: tuple[bool, bool], *options: Any) -> Pairs:
    """The pairs of rows whose arrangement is known, by item: the same for every batch, so what is worked out of them is kept too."""
    made = []
    for positions, roles in sides:
        item = torch.arange(items, device=device).repeat(len(positions))
        view = torch.tensor(positions, device=device).repeat_interleave(items, output_size=len(item))
        made.append(Rows(torch.empty(len(item), 1, device=device), {"item": item, "view": view}, False, roles))
    anchors, candidates = made
    if alike[1]:
        candidates = candidates.holding(anchors.z)
    names = ("same_view", "negatives", "own", "unknown", "old")
    return same(anchors, anchors if alike[0] else candidates, {}, **dict(zip(names, options, strict=True))).lasting()


def _partner(anchors: Rows, candidates: Rows) -> Tensor | None:
    """(n,) the other row of each row's item where all rows meet each other and every item has two: a plainer form of the same pairs."""
    if anchors is not candidates or anchors.shared or "shared" in anchors.keys or len(anchors) % 2 or "item" not in anchors.keys:
        return None
    item, order = anchors.keys["item"].sort()
    first, second = item[0::2], item[1::2]
    if not torch.equal(first, second) or bool((first < 0).any()) or bool((first[1:] == second[:-1]).any()):
        return None
    view = anchors.keys.get("view")
    if view is not None:
        one, two = view[order[0::2]], view[order[1::2]]
        if bool(((one == two) | (one < 0) | (two < 0)).any()):  # the same view of an item is the same row
            return None
    return torch.empty_like(order).scatter_(0, order, order.unflatten(0, (-1, 2)).flip(1).flatten())


def itself(anchors: Rows, candidates: Rows, tables: Mapping[str, Any]) -> Pairs:
    """Positive: the row itself, whose cosine is 1. Candidate: it and the rows of other items; other rows of its item are ignored.

    With `losses.info_nce(negatives="mean")` the repulsion of cMIM (paper 007), which needs no second view.
    """
    myself = identity(anchors, candidates)
    kin = (
        Relation.equal(anchors.keys["item"], candidates.keys["item"]).without(myself)
        if "item" in anchors.keys and "item" in candidates.keys
        else Relation.none()
    )
    return Pairs(myself, Relation.all().without(kin), (len(anchors), len(candidates)))


def _matching(
    anchors: Rows, candidates: Rows, key: str | tuple[str, ...], other: str | tuple[str, ...] | None, own: bool
) -> tuple[Relation, tuple[Tensor, Tensor]]:
    """(who matches, whose key is known on both sides)."""
    names = key if isinstance(key, tuple) else (key,)
    if len(names) == 1 and column(anchors, names[0], "anchors").ndim == 2:
        against = names[0] if other is None else other if isinstance(other, str) else other[0]
        first, second = column(anchors, names[0], "anchors"), column(candidates, against, "candidates")
        relation = overlapping(first, second)
        if own and "item" in anchors.keys and "item" in candidates.keys:
            relation = Relation.either(relation, Relation.equal(anchors.keys["item"], candidates.keys["item"]))
        return relation, (is_known(first).any(1), is_known(second).any(1))
    pair = codes(anchors, candidates, names, other)
    known = (is_known(pair[0]), is_known(pair[1]))
    if own and names != ("item",):
        pair = with_item(_integers(pair), anchors, candidates)
    return Relation.equal(*pair), known


def _integers(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Real-valued keys as codes."""
    return together([pair]) if pair[0].is_floating_point() else pair
