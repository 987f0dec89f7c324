"""The types that flow: Batch → [View] → Embeddings → RowLoss, and where a run stands while they do.

Letters in shapes: b items of a batch, n rows (anchors), m rows (candidates), d width, v views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.arrangement import of_views
from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import Part

UNKNOWN = -1  # the value of an integer key that is not known; NaN for real-valued keys


@dataclass(frozen=True)
class Progress:
    """Where a run stands. `share` goes from 0 to 1 over the whole run."""

    step: int = 0
    steps: int = 1
    epoch: int = 0
    epochs: int = 1
    stage: str = ""

    @property
    def share(self) -> float:
        return min(self.step / max(self.steps, 1), 1.0)


Value = float | Part  # a number, or a part `(Progress) -> float` for a number that moves; stateless


def value_of(value: Value, now: Progress) -> float:
    """The number that `value` is at this moment."""
    return float(value(now)) if isinstance(value, Part) else float(value)


@dataclass(frozen=True)
class Graph:
    """Items that are nodes of one graph, in the midst of other nodes: the whole graph, or a neighbourhood of the items.

    parts: "x" (n, f) features, "edge_index" (2, e) int64 by place among the n nodes, each link in both directions; "edge_weight" (e,)
           and what else a view made of it. Its length, and what a slice cuts, are the items; the nodes around them stay.
    rows:  (b,) places of the items among the nodes.
    """

    parts: Mapping[str, Any]
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | Tensor) -> Graph:
        return replace(self, rows=self.rows[index])

    @property
    def x(self) -> Tensor:
        """The items' own features (b, f)."""
        return self.parts["x"][self.rows]  # type: ignore[no-any-return]

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Graph:
        parts = {k: v.to(device, non_blocking=non_blocking) if hasattr(v, "to") else v for k, v in self.parts.items()}
        return Graph(parts, self.rows.to(device, non_blocking=non_blocking))


@dataclass(frozen=True)
class Batch:
    """Items as they come from the data.

    fields: modality → (b, …) tensor, or Graph of b items; a set with one modality calls it "x".
    keys:   name → (b,) tensor: "item" (the item's id in the set) always; columns of the data and of the run beside it.
    tables: of the whole set, read-only, shared by all batches: edges, known triples, banks.
    """

    fields: Mapping[str, Any]
    keys: Mapping[str, Tensor]
    tables: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys["item"])

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        def move(x: Any) -> Any:
            return x.to(device, non_blocking=non_blocking) if hasattr(x, "to") else x

        return replace(
            self,
            fields={k: move(v) for k, v in self.fields.items()},
            keys={k: move(v) for k, v in self.keys.items()},
        )


@dataclass(frozen=True)
class View:
    """One observation of each item of a batch.

    name:   its role: "global", "local", "masked", "image" … ; several views may share it.
    fields: modality → (b, …) tensor or Graph.
    keys:   "item" and what was done: crop box, flip, mask, strength, time … (b,) or (b, k).
    """

    name: str
    fields: Mapping[str, Any]
    keys: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.keys["item"])

    def part(self, start: int, stop: int) -> View:
        """The items start … stop of this view."""
        cut = {k: v[start:stop] for k, v in self.fields.items()}
        return View(self.name, cut, {k: v[start:stop] for k, v in self.keys.items()})


@dataclass(frozen=True)
class Rows:
    """Vectors with identity: projections, tokens, prototypes, a queue, a bank, another modality, a teacher.

    z:      (n, d), not normalised.
    keys:   name → (n,) or (n, k), aligned with z: "item", "view" (position in the list of views), "label" …; −1 / NaN = unknown. They may
            be shared with other rows and batches: never written to in place.
    shared: not made from this batch (parameters, queue, bank): never gathered from other devices, never chunked.
    roles:  the names of the views that the key "view" counts.
    """

    z: Tensor
    keys: Mapping[str, Tensor]
    shared: bool = False
    roles: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.z)

    def holding(self, z: Tensor) -> Rows:
        """The same rows with other vectors."""
        return Rows(z, self.keys, self.shared, self.roles)

    def where(self, mask: Tensor) -> Rows:
        """The rows of a boolean mask or of a tensor of positions."""
        return Rows(self.z[mask], {k: v[mask] for k, v in self.keys.items()}, self.shared, self.roles)

    def detach(self) -> Rows:
        return self.holding(self.z.detach())

    @staticmethod
    def cat(parts: Sequence[Rows]) -> Rows:
        """Rows below each other. A key that one of them lacks is unknown there.

        `shared` only if all are; where some are, the key "shared" (1 or 0) says which, so that pair rules know an older copy of an item.
        """
        if len(parts) == 1:
            return parts[0]
        below, sizes = [p.keys for p in parts], [len(p) for p in parts]
        keys = {name: joined(name, below, sizes) for name in dict.fromkeys(name for p in below for name in p)}
        if len({p.shared for p in parts}) == 2:
            keys["shared"] = torch.cat([torch.full((len(p),), int(p.shared), device=parts[0].z.device) for p in parts])
        roles = max((p.roles for p in parts), key=len)
        return Rows(torch.cat([p.z for p in parts]), keys, all(p.shared for p in parts), roles)


class Late(Mapping[str, Tensor]):
    """Keys that are made when they are first asked for: most never are. made: those that are there already."""

    def __init__(self, makers: Mapping[str, Callable[[], Tensor]], made: Mapping[str, Tensor] = {}) -> None:
        self._makers = makers
        self._made = dict(made)
        self._names = dict.fromkeys((*makers, *made))

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def joined(name: str, keys: Sequence[Mapping[str, Tensor]], sizes: Sequence[int]) -> Tensor:
    """The key of this name of blocks of rows, below each other; unknown for the rows of a block that lacks it."""
    like = next(block[name] for block in keys if name in block)
    filler = math.nan if like.is_floating_point() else UNKNOWN
    blank = [None if name in block else like.new_full((size, *like.shape[1:]), filler) for block, size in zip(keys, sizes, strict=True)]
    return torch.cat([block[name].to(like.device) if none is None else none for block, none in zip(keys, blank, strict=True)])


Embeddings = dict[str, Rows]  # space → rows; the views of a space are stacked, keys["view"] tells them apart


@dataclass(frozen=True)
class RowLoss:
    """A loss, row by row: the engine averages `values` over `counted` rows of all devices.

    values (n,), 0 where not counted; counted (n,) bool; chance: the value at random embeddings (a tensor () on a GPU), None where it
    has none.
    """

    values: Tensor
    counted: Tensor
    chance: float | Tensor | None = None

    def mean(self) -> Tensor:
        """Mean over counted rows; zero with a graph attached when there are none."""
        return self.values.sum() / self.counted.sum().clamp(min=1)


@dataclass(frozen=True)
class Select:
    """Some rows of a space: those of the views with these roles (or these positions), and with these key values."""

    space: str
    views: tuple[str | int, ...] | None = None
    where: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, out: Mapping[str, Rows]) -> Rows:
        if self.space not in out:
            raise RequirementError(f"the model emits no space {self.space!r}{nearest(self.space, out)}")
        rows = out[self.space]
        mask = None
        if self.views is not None:
            wanted = [i for i, role in enumerate(rows.roles) if role in self.views or i in self.views]
            if not self.where and (some := of_views(rows, wanted)) is not None:
                return some
            mask = torch.isin(rows.keys["view"], torch.tensor(wanted, device=rows.z.device))
        for key, wanted_value in self.where.items():
            if key not in rows.keys:
                raise RequirementError(f"the rows of {self.space!r} have no key {key!r}{nearest(key, rows.keys)}")
            hit = rows.keys[key] == wanted_value
            mask = hit if mask is None else mask & hit
        return rows if mask is None else rows.where(mask)


Spaces = str | Select | tuple[str | Select, ...]


def pick(out: Mapping[str, Rows], spaces: Spaces) -> Rows:
    """The rows of a space, of a selection, or of several below each other."""
    several = spaces if isinstance(spaces, tuple) else (spaces,)
    return Rows.cat([(Select(s) if isinstance(s, str) else s)(out) for s in several])
