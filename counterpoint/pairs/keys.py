"""Keys of rows as codes that can be compared: several columns as one, unknown as −1, the identity of a row, older copies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.recipe import UNKNOWN, Rows
from counterpoint.core.similarity import Pairs, Relation


def column(rows: Rows, name: str, side: str) -> Tensor:
    """The key `name` of some rows, or an error that names the keys there are."""
    if name not in rows.keys:
        raise RequirementError(f"the {side} have no key {name!r}{nearest(name, rows.keys)}")
    return rows.keys[name]


def codes(anchors: Rows, candidates: Rows, names: str | Sequence[str], others: str | Sequence[str] | None = None) -> tuple[Tensor, Tensor]:
    """Comparable keys (n,), (m,): equal where all named columns are equal, −1 (NaN for one real column) where any is unknown.

    others: the columns' names on the side of the candidates, where they differ.
    """
    left = (names,) if isinstance(names, str) else tuple(names)
    right = left if others is None else (others,) if isinstance(others, str) else tuple(others)
    if len(left) != len(right):
        raise RequirementError(f"{len(left)} keys of the anchors ({', '.join(left)}) stand against {len(right)} ({', '.join(right)})")
    found = [(column(anchors, a, "anchors"), column(candidates, c, "candidates")) for a, c in zip(left, right, strict=True)]
    for (a, c), name in zip(found, left, strict=True):
        if a.ndim != 1 or c.ndim != 1:
            raise RequirementError(f"the key {name!r} has several values per row, and may only be the one key of pairs.same")
    return found[0] if len(found) == 1 else together(found)


def together(found: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """One code for several columns."""
    n = len(found[0][0])
    stacked, known = [], torch.ones(n + len(found[0][1]), dtype=torch.bool, device=found[0][0].device)
    for a, c in found:
        kind = torch.promote_types(a.dtype, c.dtype)
        both = torch.cat([a.to(kind), c.to(kind)])
        known &= is_known(both)
        stacked.append(both.nan_to_num() if both.is_floating_point() else both)
    code = torch.zeros_like(known, dtype=torch.int64)
    for values in stacked:  # digits of one number, several times as fast as the distinct rows of a matrix
        distinct, number = values.unique(return_inverse=True)
        code = (code * len(distinct) + number).unique(return_inverse=True)[1]
    code = torch.where(known, code, UNKNOWN)
    return code[:n], code[n:]


def is_known(key: Tensor) -> Tensor:
    """Where a key (n,) or (n, k) is known: not −1, not NaN."""
    return ~key.isnan() if key.is_floating_point() else key != UNKNOWN


def identity(anchors: Rows, candidates: Rows) -> Relation:
    """Each anchor with itself among the candidates: never a candidate of its own.

    Rows are the same where item, view and (for tokens) position are: also across spaces, so that the teacher's row of the very same view
    is nobody's positive. Rows without the key "view" are told apart by being the same tensor only.
    """
    names = [name for name in ("item", "view", "position") if name in anchors.keys and name in candidates.keys]
    if "item" not in names or "view" not in names:
        return Relation.itself() if anchors.z is candidates.z else Relation.none()
    pairs = [(anchors.keys[n], candidates.keys[n]) for n in names if n != "view"]
    first, second = together([*pairs, _views(anchors, candidates)])
    if anchors.z is candidates.z and len(first.unique()) == len(first) and bool((first != UNKNOWN).all()):
        return Relation.itself()  # the same relation, which the fast road knows
    return Relation.equal(first, second)


def _views(anchors: Rows, candidates: Rows) -> tuple[Tensor, Tensor]:
    """The views' positions; apart where the two spaces count differently named views (two modalities)."""
    a, c = anchors.keys["view"], candidates.keys["view"]
    if not anchors.roles or not candidates.roles or anchors.roles == candidates.roles:
        return a, c
    names = [*dict.fromkeys((role, i) for roles in (anchors.roles, candidates.roles) for i, role in enumerate(roles))]
    codes = []
    for key, roles in ((a, anchors.roles), (c, candidates.roles)):
        table = torch.tensor([names.index((role, i)) for i, role in enumerate(roles)] + [UNKNOWN], device=key.device)
        codes.append(table[torch.where((key >= 0) & (key < len(roles)), key, len(roles))])
    return codes[0], codes[1]


def older(anchors: Rows, candidates: Rows) -> Relation:
    """Each anchor with the shared rows (queue, bank) of its own item: stale copies of it."""
    if "item" not in anchors.keys or "item" not in candidates.keys:
        return Relation.none()
    item = candidates.keys["item"]
    if candidates.shared:
        return Relation.equal(anchors.keys["item"], item)
    if "shared" not in candidates.keys:
        return Relation.none()
    return Relation.equal(anchors.keys["item"], torch.where(candidates.keys["shared"] > 0, item, UNKNOWN))


def with_item(key: tuple[Tensor, Tensor], anchors: Rows, candidates: Rows) -> tuple[Tensor, Tensor]:
    """Integer keys, where an unknown value is a code of its own for every item, so that an item's views still match each other."""
    if "item" not in anchors.keys or "item" not in candidates.keys:
        return key
    first, second = key
    beyond = torch.cat([first, second]).amax().clamp(min=0) + 1 if len(first) + len(second) else 0

    def fill(values: Tensor, item: Tensor) -> Tensor:
        return torch.where(values == UNKNOWN, torch.where(item == UNKNOWN, UNKNOWN, beyond + item), values)

    return fill(first, anchors.keys["item"]), fill(second, candidates.keys["item"])


def compose(anchors: Rows, candidates: Rows, positive: Relation, *, own: bool | float = True, ignored: tuple[Relation, ...] = ()) -> Pairs:
    """The pairs of a rule that says who is positive: an anchor never meets itself nor an older copy of its item; the rest are candidates.

    own: the weight of an anchor's own item's other rows where the rule gives them less; False ignores those the rule leaves out.
    """
    never = (identity(anchors, candidates), older(anchors, candidates), *ignored)
    if "item" in anchors.keys and "item" in candidates.keys:
        together = Relation.equal(anchors.keys["item"], candidates.keys["item"])
        if own:
            weight = None if own is True else torch.full((len(anchors),), float(own), device=anchors.z.device)
            positive = Relation.either(positive, together.weighted(row=weight))
        else:
            never = (*never, together.without(positive))
    return Pairs(positive.without(*never), Relation.all().without(*never), (len(anchors), len(candidates)))
