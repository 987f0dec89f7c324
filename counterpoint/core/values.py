"""Numbers that move over a run, as parts: `use(values.cosine, start=0.99, end=1.0)`. Pure functions of Progress, so resuming is exact."""

from __future__ import annotations

import math

from counterpoint.core.options import Count, Positive, Share, Whole
from counterpoint.core.recipe import Progress


def _between(now: Progress, first: float, last: float) -> float:
    """How far the run is from share `first` to share `last`, in [0, 1]."""
    return min(max((now.share - first) / max(last - first, 1e-12), 0.0), 1.0)


def linear(now: Progress, *, start: float, end: float, first: Share = 0.0, last: Share = 1.0) -> float:
    """A straight line.

    start: value at the share `first` of the run and before.
    end: value at the share `last` and after.
    first: share of the run at which it begins to move.
    last: share at which it stops.
    """
    return start + (end - start) * _between(now, first, last)


def cosine(now: Progress, *, start: float, end: float, first: Share = 0.0, last: Share = 1.0) -> float:
    """Half a cosine wave from `start` to `end`.

    start: value at the share `first` of the run and before.
    end: value at the share `last` and after.
    first: share of the run at which it begins to move.
    last: share at which it stops.
    """
    return end + (start - end) * (1 + math.cos(math.pi * _between(now, first, last))) / 2


def step(now: Progress, *, before: float, after: float, share: Share | None = None, steps: Whole | None = None) -> float:
    """One value, then another.

    before: value at first.
    after: value later.
    share: the share of the run at which it changes.
    steps: the step at which it changes, in place of `share`.
    """
    if steps is not None:
        return after if now.step >= steps else before
    return after if now.share >= (0.5 if share is None else share) else before


def every(now: Progress, *, epochs: Count) -> float:
    """1 in the first epoch and each `epochs`-th after it, else 0: when a round at "epoch" is due.

    epochs: from one to the next.
    """
    return float(now.epoch % epochs == 0)


def handed_over(now: Progress, *, weight: float = 1.0, until: Share = 0.5, pace: Positive = 0.2, taken: bool = False) -> float:
    """weight · a · c, or weight · a · (1 − c) for the one that takes over: a = max(0, 1 − u / until), c = exp(−pace · u / until).

    Of two terms the first hands over to the second, while both fade until the share `until` of the run (gCooL, paper 038).

    weight: before both factors.
    until: share of the run after which both are 0.
    pace: how fast the first gives way.
    taken: whether this is the one that takes over.
    """
    along = now.share / until if until > 0 else 1.0
    given = math.exp(-pace * along)
    return weight * max(0.0, 1.0 - along) * (1.0 - given if taken else given)


def warmup_cosine(now: Progress, *, peak: Positive = 1.0, end: float = 0.0, warmup: Share = 0.05) -> float:
    """A straight rise to `peak` over the share `warmup`, then half a cosine to `end`; the usual learning rate.

    peak: the highest value.
    end: the last value.
    warmup: share of the run spent rising; never more than 1,000 steps.
    """
    rise = max(min(warmup * now.steps, 1000.0), 1.0)
    if now.step < rise:
        return peak * (now.step + 1) / rise
    share = (now.step - rise) / max(now.steps - rise, 1)
    return end + (peak - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
