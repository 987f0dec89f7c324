"""Views of time series, (b, c, t) float32; NaN = past the end of a shorter series, or missing.

Lengths: a place past the end is one after which all values of the item are NaN. Transforms that move time work inside each
item's own length and give back the same t, so that ragged batches stay ragged and nothing of one item leaks into padding.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, NotNegative, Positive, Range, Share
from counterpoint.views import draw, masking

Keys = dict[str, Tensor]
Part01 = tuple[Share, Share]


def lengths(x: Tensor) -> Tensor:
    """(b,) int64: places up to the last one where any channel has a value."""
    if x.dim() != 3:
        raise DataError(f"series of shape {tuple(x.shape)} were given; a batch is (items, channels, time)")
    known = (~x.isnan()).any(1)
    places = torch.arange(1, x.shape[2] + 1, device=x.device)
    return (known * places).amax(1)


def at(x: Tensor, places: Tensor) -> Tensor:
    """x (b, c, t) read at real-valued places (b, t') with linear interpolation; NaN places, and NaN neighbours, give NaN."""
    t = x.shape[2]
    low = places.nan_to_num(0.0).floor().clamp(0, t - 1)
    high = (low + 1).clamp(max=t - 1)
    share = (places - low)[:, None]
    take = [index.long()[:, None].expand(-1, x.shape[1], -1) for index in (low, high)]
    first, second = x.gather(2, take[0]), x.gather(2, take[1])
    second = torch.where((share <= 0) | second.isnan(), first, second)  # do not read beyond an exact hit or the end
    return first + (second - first) * share


def _steps(x: Tensor) -> Tensor:
    return torch.arange(x.shape[2], device=x.device, dtype=torch.float32).expand(len(x), -1)


def jitter(x: Tensor, generator: Generator, *, scale: NotNegative = 0.1) -> tuple[Tensor, Keys]:
    """Normal noise on every value.

    scale: standard deviation, in the series' own (they are standardised).
    """
    return x + scale * draw.normal(x, generator, *x.shape), {}


def scaling(x: Tensor, generator: Generator, *, spread: NotNegative = 0.2, invert: Share = 0.0) -> tuple[Tensor, Keys]:
    """Each channel times a factor.

    spread: factors are exp(normal × this), one per channel.
    invert: share of items turned upside down.
    """
    factor = (draw.normal(x, generator, len(x), x.shape[1]) * spread).exp_()
    sign = 1.0 - 2.0 * draw.chance(x, generator, invert, len(x)).float()
    return x * (factor * sign[:, None])[:, :, None], {"scale": factor, "sign": sign}


def moved(
    x: Tensor,
    generator: Generator,
    *,
    spread: NotNegative = 0.5,
    shift: NotNegative = 0.5,
    noise: NotNegative = 0.5,
    chance: Share = 0.5,
) -> tuple[Tensor, Keys]:
    """Scaled, shifted, noisy, each with the same probability (Woo et al., "CoST", ICLR 2022): x (1 + 0.5 g_c), x + 0.5 g_c, x + 0.5 n.

    spread: factors are 1 + normal × this, one per channel.
    shift: normal × this is added, one per channel.
    noise: standard deviation of the noise.
    chance: with which an item is scaled, shifted, noisy.
    """
    done = draw.chance(x, generator, chance, 3, len(x), 1, 1).to(x.dtype)
    level = draw.normal(x, generator, 2, len(x), x.shape[1], 1)
    x = x * (1 + spread * level[0] * done[0]) + shift * level[1] * done[1]
    return x + noise * draw.normal(x, generator, *x.shape) * done[2], {}


def _clock(x: Tensor, generator: Generator, last: Tensor, strength: float, knots: int) -> Tensor:
    """(b, t) increasing places from 0 to `last` (b, 1): time that runs faster here and slower there."""
    steps = _steps(x)
    coarse = (draw.normal(x, generator, len(x), 1, knots + 1) * strength).exp()
    speed = F.interpolate(coarse, size=x.shape[2], mode="linear", align_corners=True)[:, 0] * (steps < last)
    clock = speed.cumsum(1) - speed
    return (clock / clock.gather(1, last.long()).clamp(min=1e-6) * last).minimum(last)


def warp(x: Tensor, generator: Generator, *, strength: Annotated[float, Range(0, 0.9)] = 0.2, knots: Count = 4) -> tuple[Tensor, Keys]:
    """Time runs faster here and slower there: a smooth, increasing map of each item's own length onto itself.

    strength: the speed varies by about ± this share.
    knots: the speed changes about this many times.
    """
    ends = lengths(x)[:, None]
    view = at(x, _clock(x, generator, (ends - 1).clamp(min=0).float(), strength, knots))
    return view.masked_fill((_steps(x) >= ends)[:, None], float("nan")), {}


def _piece(x: Tensor, generator: Generator, ends: Tensor, share: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """(start, size) (b,) of a random piece of each item's own length, in whole steps."""
    part = draw.uniform(x, generator, share[0], share[1], len(x))
    size = (part * ends).round().clamp(min=2).minimum(ends)
    return (draw.uniform(x, generator, 0.0, 1.0, len(x)) * (ends - size + 1)).floor(), size


def window(
    x: Tensor,
    generator: Generator,
    *,
    share: Part01 = (0.5, 1.0),
    stretch: bool = True,
    warping: Annotated[float, Range(0, 0.9)] = 0.0,
) -> tuple[Tensor, Keys]:
    """A piece of each series.

    share: the piece's part of the item's length, uniform between the two.
    stretch: resample the piece to the item's length; otherwise it keeps its speed and what follows is NaN.
    warping: with `stretch`, the speed of time varies by about ± this share, in the same resampling.
    """
    ends = lengths(x).float()
    start, size = _piece(x, generator, ends, share)
    steps, last = _steps(x), (ends - 1).clamp(min=0)[:, None]
    if stretch:
        clock = _clock(x, generator, last, warping, 4) if warping > 0 else steps.minimum(last)
        places = start[:, None] + clock * ((size - 1).clamp(min=0)[:, None] / last.clamp(min=1))
    else:
        places = start[:, None] + steps.minimum((size - 1).clamp(min=0)[:, None])
    gone = steps >= (ends if stretch else size)[:, None]
    return at(x, places).masked_fill(gone[:, None], float("nan")), {"window": torch.stack([start, start + size], 1)}


def permutation(x: Tensor, generator: Generator, *, pieces: Count = 4) -> tuple[Tensor, Keys]:
    """The series is cut into equal pieces, which are put together in another order (Um et al. 2017).

    pieces: how many; their length is the item's own over this, a rest stays at the end.
    """
    ends = lengths(x)
    size = (ends // pieces).clamp(min=1)[:, None]
    steps = _steps(x).long()
    order = draw.orders(x, generator, len(x), pieces)
    piece = (steps // size).clamp(max=pieces - 1)
    moved = order.gather(1, piece) * size + steps % size
    places = torch.where(steps < size * pieces, moved, steps).minimum((ends - 1).clamp(min=0)[:, None])
    places = torch.where(steps < ends[:, None], places, steps)
    return x.gather(2, places[:, None].expand(-1, x.shape[1], -1)), {"order": order}


def drop(x: Tensor, generator: Generator, *, share: Share = 0.2) -> tuple[Tensor, Keys]:
    """Whole channels set to 0, their mean; at least one stays.

    share: share of channels.
    """
    gone = masking.mask(torch.ones(x.shape[:2], dtype=torch.bool, device=x.device), generator, share=share)
    return torch.where(gone[:, :, None] & ~x.isnan(), 0.0, x), {"dropped": gone}


def mask(x: Tensor, generator: Generator, *, share: Share = 0.2, length: Count = 8) -> tuple[Tensor, Keys]:
    """Runs of time set to 0 in all channels.

    share: share of the item's length.
    length: steps in a run.
    """
    there = torch.arange(x.shape[2], device=x.device) < lengths(x)[:, None]
    hidden = masking.mask(there, generator, share=share, how="run", length=length)
    return torch.where(hidden[:, None] & ~x.isnan(), 0.0, x), {"mask": hidden}


def frequency(
    x: Tensor, generator: Generator, *, amplitude: NotNegative = 0.3, phase: NotNegative = 0.2, lost: Share = 0.1
) -> tuple[Tensor, Keys]:
    """Change the spectrum: amplitudes times a random factor, phases moved, a share of the frequencies set to zero.

    Missing values count as 0 in the transform and stay missing.

    amplitude: factors exp(normal × this), one per frequency and item.
    phase: standard deviation of the change of phase, in radians.
    lost: share of frequencies removed; the mean is never changed.
    """
    spectrum = torch.fft.rfft(x.nan_to_num(0.0))
    b, _, bands = spectrum.shape
    gain = (draw.normal(x, generator, b, 1, bands) * amplitude).exp_() * ~draw.chance(x, generator, lost, b, 1, bands)
    angle = draw.normal(x, generator, b, 1, bands) * phase
    gain[:, :, 0], angle[:, :, 0] = 1.0, 0.0
    view = torch.fft.irfft(spectrum * torch.polar(gain, angle), n=x.shape[2])
    return torch.where(x.isnan(), x, view), {}


def varied(
    x: Tensor,
    generator: Generator,
    *,
    share: Part01 = (0.6, 1.0),
    warping: Annotated[float, Range(0, 0.9)] = 0.2,
    spread: NotNegative = 0.2,
    noise: NotNegative = 0.1,
    hidden: Share = 0.1,
    length: Positive = 0.05,
) -> tuple[Tensor, Keys]:
    """Window crop, time warp, scaling, noise and hidden runs, one after the other: the general views of a series.

    share: the window's part of the item's length, uniform between the two; it is stretched to the item's length.
    warping: the speed of time varies by about ± this share.
    spread: each channel's factor is exp(normal × this).
    noise: standard deviation of the noise.
    hidden: share of time set to 0, in runs.
    length: steps in a hidden run, as a share of t.
    """
    cut = draw.pieces(x.device, len(x), x[0].numel(), 1 << 20) if len(x) else []
    if len(cut) > 1:  # far beyond a training batch: memory for a piece at a time, not for all
        chosen = {"share": share, "warping": warping, "spread": spread, "noise": noise, "hidden": hidden, "length": length}
        made = [varied(x[i], generator, **chosen) for i in cut]  # type: ignore[arg-type]
        return torch.cat([view for view, _ in made]), {name: torch.cat([done[name] for _, done in made]) for name in made[0][1]}
    keys: Keys = {}
    if share != (1.0, 1.0):
        x, keys = window(x, generator, share=share, warping=warping)
    elif warping > 0:
        x, _ = warp(x, generator, strength=warping)
    if spread > 0:
        x, done = scaling(x, generator, spread=spread)
        keys |= done
    if noise > 0:
        x, _ = jitter(x, generator, scale=noise)
    if hidden > 0:
        x, done = mask(x, generator, share=hidden, length=max(1, round(length * x.shape[2])))
        keys |= done
    return x, keys
