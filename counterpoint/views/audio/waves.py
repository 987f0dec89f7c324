"""What is done to a wave in its own time: level, noise, place, a piece of it; and the general views of a sound."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.options import Count, Positive, Range, Share
from counterpoint.views import draw, masking
from counterpoint.views.audio.pace import speed
from counterpoint.views.audio.rooms import reverb
from counterpoint.views.audio.silence import again, ends, level, pieces, silent

Keys = dict[str, Tensor]
Decibel = Annotated[float, Range(-120, 120)]


def gain(x: Tensor, generator: Generator, *, decibel: tuple[Decibel, Decibel] = (-6.0, 6.0), invert: Share = 0.5) -> tuple[Tensor, Keys]:
    """Louder or softer.

    decibel: change of level, uniform between the two.
    invert: share of waves whose sign is turned, which nobody hears.
    """
    change = draw.uniform(x, generator, decibel[0], decibel[1], len(x))
    sign = 1.0 - 2.0 * draw.chance(x, generator, invert, len(x)).float()
    return x * (sign * 10.0 ** (change / 20.0))[:, None, None], {"gain": change}


def noise(x: Tensor, generator: Generator, *, ratio: tuple[Decibel, Decibel] = (10.0, 40.0)) -> tuple[Tensor, Keys]:
    """White noise.

    ratio: level of the sound over that of the noise in decibel, uniform between the two.
    """
    clean, gap = silent(x)
    above = draw.uniform(x, generator, ratio[0], ratio[1], len(x))
    width = level(clean, gap) * 10.0 ** (-above / 20.0)
    view = draw.normal(x, generator, *x.shape).mul_(width[:, None, None]).add_(clean)
    return again(view, gap), {"ratio": above}


def shift(x: Tensor, generator: Generator, *, share: Share = 0.25, around: bool = False) -> tuple[Tensor, Keys]:
    """Earlier or later.

    share: largest shift, as a share of the wave's own length, in both directions.
    around: what leaves at one end comes in at the other; otherwise silence does.
    """
    clean, gap = silent(x)
    t = x.shape[2]
    own = torch.full((len(x),), t, device=x.device) if gap is None else ends(gap)
    step = (draw.uniform(x, generator, -share, share, len(x)) * own).round().long()
    if gap is not None and around:
        places = (torch.arange(t, device=x.device) - step[:, None]) % own.clamp(min=1)[:, None]
        return again(clean.gather(2, places[:, None].expand_as(clean)), gap), {"shift": step}
    reach = math.ceil(share * t)
    view = pieces(torch.cat([clean] * 2, 2), -step % t, t) if around else pieces(F.pad(clean, (reach, reach)), reach - step, t)
    return again(view, gap), {"shift": step}


def crop(x: Tensor, generator: Generator, *, samples: Count) -> tuple[Tensor, Keys]:
    """A piece of each wave, or of each spectrogram along its frames, at a uniform place inside the item's own length.

    samples: length of the piece; a shorter item is whole, followed by silence, or by NaN where the batch marks the end by NaN.
    """
    t = x.shape[-1]
    own = torch.full((len(x),), t, device=x.device)
    if not bool(x.sum().isfinite()):
        own = ends(x.isnan())
    if samples > t:
        ended = torch.where(own < t, float("nan"), 0.0).view(-1, *[1] * (x.dim() - 1))
        x = torch.cat([x, ended.to(x.dtype).expand(*x.shape[:-1], samples - t)], -1)
    start = draw.starts(x, generator, own - samples)
    return pieces(x, start, samples), {"start": start}


def spans(
    x: Tensor, generator: Generator, *, frames: Count, start: Share = 0.065, length: Count = 10, least: Count = 2
) -> tuple[Tensor, Keys]:
    """The wave as it is, and the key "hidden" (b, frames): which of the frames that an encoder makes of it shall be hidden from it.

    Nothing is hidden in the silence after a shorter wave.

    frames: how many the encoder makes, all equally long.
    start: probability that a frame begins a hidden span.
    length: frames in a span.
    least: frames hidden at least, as far as there are.
    """
    clean, _ = silent(x)
    sound = (clean != 0).any(1).flip(1).cummax(1).values.sum(1)
    there = torch.arange(frames, device=x.device) * x.shape[2] < sound[:, None] * frames
    return x, {"hidden": masking.spans(there, generator, start=start, length=length, least=least)}


def varied(
    x: Tensor,
    generator: Generator,
    *,
    samples: Count | None = None,
    decibel: tuple[Decibel, Decibel] = (-6.0, 6.0),
    ratio: tuple[Decibel, Decibel] = (10.0, 40.0),
    share: Share = 0.1,
    factor: tuple[Positive, Positive] = (0.95, 1.05),
    rate: Count = 16000,
    wet: Share = 0.3,
    impulses: str | None = None,
) -> tuple[Tensor, Keys]:
    """A piece of the wave, resampled, shifted, in a room, louder or softer, with noise: the general views of a sound.

    samples: length of the piece; the whole wave where none.
    decibel: change of level, uniform between the two.
    ratio: level of the sound over that of the noise in decibel, uniform between the two.
    share: largest shift, as a share of the wave's own length.
    factor: speed, uniform in its logarithm between the two.
    rate: samples per second.
    wet: largest share of the room in the result; 0 leaves it out.
    impulses: measured answers of rooms, see `reverb`; none where rooms are made of noise.
    """
    keys: Keys = {}
    if samples is not None:
        x, keys = crop(x, generator, samples=samples)
    x, done = speed(x, generator, factor=factor)
    keys |= done
    x, done = shift(x, generator, share=share)
    keys |= done
    if wet > 0:
        x, done = reverb(x, generator, rate=rate, wet=wet, impulses=impulses)
        keys |= done
    x, done = gain(x, generator, decibel=decibel)
    keys |= done
    x, done = noise(x, generator, ratio=ratio)
    return x, keys | done
