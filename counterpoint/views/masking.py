"""Which places to hide: one part for tokens, frames, patches, joints, features.

Every function returns a boolean tensor (b, t), true = hidden, and hides only places that exist. The number hidden is exact:
`round(share × places of the item)`, so that a batch of masks has no items that were missed by chance.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Share
from counterpoint.views import draw

How = Literal["random", "block", "run", "score", "mixed"]


def mask(
    there: Tensor,
    generator: Generator,
    *,
    share: Share = 0.15,
    how: How = "random",
    length: Count = 4,
    shape: tuple[Count, ...] | None = None,
    score: Tensor | None = None,
) -> Tensor:
    """(b, t) booleans, true = hidden. `there` (b, t) booleans: the places that exist.

    share: share of an item's places that is hidden.
    how: single places at random, one block (of `shape`), runs of `length`, the highest `score` first, or runs and single places half each.
    length: places in a run.
    shape: rows and columns (…) of the places, where they lie in a grid; a line where none.
    score: (b, t) numbers; large ones are hidden first ("score").
    """
    b, t = there.shape
    noise = draw.uniform(there, generator, 0.0, 1.0, b, t)
    if how == "random":
        priority = noise
    elif how == "score":
        if score is None:
            raise DataError("masking by score was asked for and no score was given; give score=(items, places)")
        priority = score.float() + noise * 1e-6
    elif how == "run":
        priority = _runs(there, noise, generator, length)
    elif how == "block":
        priority = _block(there, noise, generator, shape or (t,))
    else:
        single = draw.chance(there, generator, 0.5, b, t)
        priority = torch.where(single, noise, _runs(there, noise, generator, length))
    return first(priority, there, share)


def first(priority: Tensor, there: Tensor, share: float) -> Tensor:
    """The round(share × n) places of highest priority among the n that exist, at least one left visible where n > 1."""
    n = there.sum(1)
    count = torch.minimum((n * share).round().long(), (n - 1).clamp(min=0))
    order = priority.masked_fill(~there, float("-inf")).argsort(dim=1, descending=True, stable=True)
    taken = torch.arange(there.shape[1], device=there.device) < count[:, None]
    return torch.zeros_like(there).scatter_(1, order, taken)


def two(there: Tensor, generator: Generator, *, share: Share = 0.5, disjoint: bool = False) -> tuple[Tensor, Tensor]:
    """Two masks of random places: independent, or `disjoint`, the second hiding only what the first shows.

    share: share hidden by each.
    disjoint: no place is hidden by both (needs share ≤ 0.5 to hide as many twice).
    """
    one = mask(there, generator, share=share)
    if not disjoint:
        return one, mask(there, generator, share=share)
    noise = draw.uniform(there, generator, 0.0, 1.0, *there.shape) - one.float() * 2.0
    return one, first(noise, there, share) & ~one


def _runs(there: Tensor, noise: Tensor, generator: Generator, length: int) -> Tensor:
    """Priorities that fall in steps of `length` places, the steps shifted at random per item."""
    b, t = there.shape
    shift = draw.integers(there, generator, 0, length, b)
    run = (torch.arange(t, device=there.device) + shift[:, None]) // length
    return noise.gather(1, run.clamp(max=t - 1))  # equal within a run: the sort is stable, so a run is taken from its start


def _block(there: Tensor, noise: Tensor, generator: Generator, shape: tuple[int, ...]) -> Tensor:
    """Priorities that fall with the distance from a random centre, measured in shares of each axis: a box of any size."""
    b, t = there.shape
    if t != torch.Size(shape).numel():
        raise DataError(f"{t} places do not lie in a grid of {' × '.join(map(str, shape))}")
    axes = torch.meshgrid(*[torch.arange(n, device=there.device) for n in shape], indexing="ij")
    distance = torch.zeros(b, t, device=there.device)
    for axis, n in zip(axes, shape, strict=True):
        centre = draw.uniform(there, generator, 0.0, float(n - 1), b, 1)
        distance = torch.maximum(distance, (axis.reshape(1, -1) - centre).abs() / n)
    return -distance + noise * 1e-6


def spans(there: Tensor, generator: Generator, *, start: Share = 0.065, length: Count = 10, least: Count = 2) -> Tensor:
    """(b, t) booleans, true = hidden: each place begins a hidden span with a probability; spans may overlap (wav2vec 2.0).

    start: probability that a place begins a span.
    length: places in a span.
    least: an item with fewer hidden places has as many hidden singly, as far as it has places.
    """
    b, t = there.shape
    begin = (draw.chance(there, generator, start, b, t) & there).float()
    seen = torch.nn.functional.pad(begin, (length - 1, 0))
    hidden = (torch.nn.functional.max_pool1d(seen[:, None], length, 1)[:, 0] > 0) & there
    noise = draw.uniform(there, generator, 0.0, 1.0, b, t).masked_fill(~there, -1.0)
    order = (noise + hidden.float() * 2).argsort(dim=1, descending=True, stable=True)
    few = torch.zeros_like(hidden).scatter_(1, order[:, :least], True) & there
    return hidden | few
