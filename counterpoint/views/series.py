"""Views of time series, (b, c, t) float32; NaN = past the end of a shorter series, or missing.

Lengths: a place past the end is one after which all values of the item are NaN. Transforms that move time work inside each
item's own length and give back the same t, so that ragged batches stay ragged and nothing of one item leaks into padding.
`data.read` marks what is missing by NaN and refuses inf: a missing value stays missing, and where time moves is not read across.
"""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Generator, Tensor

from counterpoint.core.options import Count, NotNegative, Positive, Range, Share
from counterpoint.views import draw, masking
from counterpoint.views.clock import at, lengths, piece, spectrum, steps, uneven

Keys = dict[str, Tensor]
Part01 = tuple[Share, Share]


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


def warp(x: Tensor, generator: Generator, *, strength: Annotated[float, Range(0, 0.9)] = 0.2, knots: Count = 4) -> tuple[Tensor, Keys]:
    """Time runs faster here and slower there: a smooth, increasing map of each item's own length onto itself.

    Key "pace" (b, knots + 1): the speed at the knots, of which the relations count.

    strength: the speed varies by about ± this share.
    knots: the speed changes about this many times.
    """
    ends = lengths(x)[:, None]
    places, pace = uneven(x, generator, (ends - 1).clamp(min=0).float(), strength, knots)
    return at(x, places).masked_fill((steps(x) >= ends)[:, None], float("nan")), {"pace": pace}


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
    start, size = piece(x, generator, ends, share)
    keys = {"window": torch.stack([start, start + size], 1)}
    time, last = steps(x), (ends - 1).clamp(min=0)[:, None]
    if stretch:
        clock = time.minimum(last)
        if warping > 0:
            clock, keys["pace"] = uneven(x, generator, last, warping, 4)
        places = start[:, None] + clock * ((size - 1).clamp(min=0)[:, None] / last.clamp(min=1))
    else:
        places = start[:, None] + time.minimum((size - 1).clamp(min=0)[:, None])
    gone = time >= (ends if stretch else size)[:, None]
    return at(x, places).masked_fill(gone[:, None], float("nan")), keys


def permutation(x: Tensor, generator: Generator, *, pieces: Count = 4) -> tuple[Tensor, Keys]:
    """The series is cut into equal pieces, which are put together in another order (Um et al. 2017).

    pieces: how many, and no more than the item has steps; their length is the item's own over this, a rest stays at the end.
    """
    ends = lengths(x)
    count = ends.clamp(min=1, max=pieces)[:, None]
    size = (ends[:, None] // count).clamp(min=1)
    time, number = torch.arange(x.shape[2], device=x.device), torch.arange(pieces, device=x.device)
    lot = draw.uniform(x, generator, 0.0, 1.0, len(x), pieces)
    order = torch.where(number < count, lot, 2.0 + number).argsort(1)  # pieces that are not there keep their number
    view = torch.empty_like(x, memory_format=torch.contiguous_format)
    for i in draw.pieces(x.device, len(x), x.shape[1] * x.shape[2], 1 << 20):  # whole numbers of 8 bytes for every place
        moved = order[i].gather(1, (time // size[i]).clamp(max=pieces - 1)) * size[i] + time % size[i]
        places = torch.where(time < (size[i] * count[i]).minimum(ends[i, None]), moved, time)
        view[i] = x[i].gather(2, places[:, None].expand(-1, x.shape[1], -1))
    return view, {"order": order}


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
    """Change the spectrum of each item's own length: amplitudes times a random factor, phases moved, some frequencies set to zero.

    Missing values count as the mean in the transform and stay missing; the mean over what is there never changes. Keys: "lost", the share
    of the frequencies that is gone, and "change", the root mean square of the complex factors less 1.

    amplitude: factors exp(normal × this), one per frequency and item.
    phase: standard deviation of the change of phase, in radians.
    lost: probability of a frequency to be removed.
    """
    b, _, t = x.shape
    ends, known = lengths(x), ~x.isnan()
    count = known.sum(2, keepdim=True).clamp(min=1)
    mean = x.nan_to_num(0.0).sum(2, keepdim=True) / count
    centred = torch.where(known, x - mean, 0.0)
    bands, number = ends // 2, torch.arange(t // 2 + 1, device=x.device)
    kept = ~draw.chance(x, generator, lost, b, t // 2 + 1)
    size = (draw.normal(x, generator, b, t // 2 + 1) * amplitude).exp_() * kept
    factor = torch.polar(size, draw.normal(x, generator, b, t // 2 + 1) * phase)
    if bool((ends == t).all()):
        moved = torch.fft.irfft(torch.fft.rfft(centred) * factor[:, None], n=t)
    else:  # frequencies above half the length are those below it, turned the other way
        place = torch.arange(t, device=x.device)
        mirror = (ends[:, None] - place).clamp(min=0)
        whole = torch.where(place <= mirror, factor.gather(1, place.minimum(mirror)), factor.conj().gather(1, place.minimum(mirror)))
        moved = spectrum(spectrum(centred, ends) * whole[:, None], ends, back=True).real
    moved = moved - torch.where(known, moved, 0.0).sum(2, keepdim=True) / count
    own = (number > 0) & (number <= bands[:, None])
    total = own.sum(1).clamp(min=1)
    keys = {"lost": (own & ~kept).sum(1) / total, "change": (((factor - 1).abs().square() * own).sum(1) / total).sqrt()}
    return torch.where(known, moved + mean, x), keys


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
        x, keys = warp(x, generator, strength=warping)
    if spread > 0:
        x, done = scaling(x, generator, spread=spread)
        keys |= done
    if noise > 0:
        x, _ = jitter(x, generator, scale=noise)
    if hidden > 0:
        x, done = mask(x, generator, share=hidden, length=max(1, round(length * x.shape[2])))
        keys |= done
    return x, keys
