"""Prepared items by position: dense tensors, rows of unequal length, or a source that is prepared when asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.data.sources import Source


class Store(Protocol):
    """Prepared items by position."""

    @property
    def in_memory(self) -> bool: ...
    def __len__(self) -> int: ...
    def take(self, positions: Tensor) -> Tensor:
        """(b, …) for (b,) positions."""
        ...


@dataclass(frozen=True)
class Dense:
    """One contiguous tensor (n, …)."""

    values: Tensor
    in_memory: bool = True

    def __len__(self) -> int:
        return len(self.values)

    def take(self, positions: Tensor) -> Tensor:
        return self.values.index_select(0, positions)  # of bytes, much faster than an index


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length in one flat tensor: item i is flat[offset[i]:offset[i + 1]].

    `take` pads with `fill`: to `width`, or with `trim` to the longest of the items taken. Channels, where there are any, stand last in
    `flat` (total, c) and first in what is taken (b, c, t).
    """

    flat: Tensor
    offset: Tensor
    width: int
    fill: float = 0
    trim: bool = False
    in_memory: bool = True

    def __len__(self) -> int:
        return len(self.offset) - 1

    def take(self, positions: Tensor) -> Tensor:
        start = self.offset[positions]
        length = (self.offset[positions + 1] - start).clamp(max=self.width)
        width = max(int(length.max()), 1) if self.trim and len(length) else self.width
        steps = torch.arange(width, device=self.flat.device)
        inside = steps < length[:, None]
        index = (start[:, None] + steps).clamp_(max=max(len(self.flat) - 1, 0))
        if not len(self.flat):
            return self.flat.new_full((len(positions), *self.flat.shape[1:], width), self.fill)
        out = self.flat[index]  # (b, t) or (b, t, c)
        out.masked_fill_(~inside if out.dim() == 2 else ~inside[..., None], self.fill)
        return out if out.dim() == 2 else out.transpose(1, 2).contiguous()


@dataclass(frozen=True)
class Converted:
    """Prepared items, and those that could not be: (position among the rows, reason). A bad item's values are of no meaning."""

    values: Dense | Ragged
    bad: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Streamed:
    """Items that stay on disk: read and prepared when asked for."""

    source: Source
    convert: Callable[[Any], Converted]
    where: str
    in_memory: bool = False

    def __len__(self) -> int:
        return len(self.source)

    def take(self, positions: Tensor) -> Tensor:
        made = self.convert(self.source.rows(positions.numpy()))
        if made.bad:
            which, reason = made.bad[0]
            more = f" and {len(made.bad) - 1} more of this batch" if len(made.bad) > 1 else ""
            raise DataError(
                f"{self.where}: item {int(positions[which])}{more} cannot be used ({reason}); on_bad='skip' leaves such items out"
            )
        return made.values.take(torch.arange(len(positions)))


def pack(pieces: Sequence[Dense | Ragged], keep: np.ndarray | None) -> Dense | Ragged:
    """Converted pieces as one store, without the items where `keep` is False."""
    mask = None if keep is None or bool(keep.all()) else torch.from_numpy(keep)
    first = pieces[0]
    if isinstance(first, Dense):
        values = first.values if len(pieces) == 1 else torch.cat([p.values for p in pieces if isinstance(p, Dense)])
        return Dense((values if mask is None else values[mask]).contiguous())
    ragged = [p for p in pieces if isinstance(p, Ragged)]
    flat = torch.cat([p.flat for p in ragged])
    lengths = torch.cat([p.offset.diff() for p in ragged])
    if mask is not None:
        flat = flat[mask.repeat_interleave(lengths)]
        lengths = lengths[mask]
    return Ragged(flat, offsets(lengths), first.width, first.fill, first.trim)


def offsets(lengths: Tensor) -> Tensor:
    """(n,) lengths → (n + 1,) offsets."""
    return torch.cat([torch.zeros(1, dtype=torch.int64), lengths.to(torch.int64).cumsum(0)])
