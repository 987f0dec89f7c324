"""A weight that moves the gradient as if the temperature moved, while the softmax keeps its own (paper 103)."""

from __future__ import annotations

import math

from counterpoint.core.options import Count, Positive
from counterpoint.core.recipe import Progress


def gradient_scale(
    now: Progress, *, temperature: Positive = 0.09, low: Positive = 0.05, high: Positive = 0.16, period: Count = 500
) -> float:
    """temperature / τ(step) as a wave between τ = high and τ = low, for a contrast's `weight` (Lin et al., HPCR).

    s(i) = (t/low − t/high) · ½ (1 − cos(2π i / period)) + t/high.

    temperature: t > 0 of the loss it multiplies.
    low: the temperature whose gradient size is reached in the middle of a period.
    high: the one at its ends.
    period: steps of a period.
    """
    wave = (1 - math.cos(2 * math.pi * now.step / period)) / 2
    return (temperature / low - temperature / high) * wave + temperature / high
