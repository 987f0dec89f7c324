"""Views of sound: waves (b, c, samples) float32 in about [−1, 1], and spectrograms (b, c, bands, frames).

NaN after the end of a shorter wave counts as silence in what mixes neighbours, and stays where it was.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Positive, Range, Share
from counterpoint.views import draw, masking, series

Keys = dict[str, Tensor]
Decibel = Annotated[float, Range(-120, 120)]


def _silent(x: Tensor) -> tuple[Tensor, Tensor | None]:
    """The waves with silence for NaN, and where NaN was: None where there is none, as their sum tells."""
    if x.dim() != 3:
        raise DataError(f"waves of shape {tuple(x.shape)} were given; a batch is (items, channels, samples)")
    return (x, None) if bool(x.sum().isfinite()) else (x.nan_to_num(0.0), x.isnan())


def _again(view: Tensor, gap: Tensor | None) -> Tensor:
    """NaN where it was."""
    return view if gap is None else view.masked_fill(gap, float("nan"))


def _pieces(x: Tensor, start: Tensor, length: int) -> Tensor:
    """(b, …, length): of each item what begins at its start along the last axis."""
    return x.unfold(-1, length, 1)[torch.arange(len(x), device=x.device), ..., start, :]


def _level(x: Tensor) -> Tensor:
    """(b,) root mean square."""
    return torch.linalg.vector_norm(x, dim=(1, 2)) / math.sqrt(x.shape[1] * x.shape[2])


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
    clean, gap = _silent(x)
    above = draw.uniform(x, generator, ratio[0], ratio[1], len(x))
    width = _level(clean) * 10.0 ** (-above / 20.0)
    view = draw.normal(x, generator, *x.shape).mul_(width[:, None, None]).add_(clean)
    return _again(view, gap), {"ratio": above}


def shift(x: Tensor, generator: Generator, *, share: Share = 0.25, around: bool = False) -> tuple[Tensor, Keys]:
    """Earlier or later.

    share: largest shift, as a share of the wave's length, in both directions.
    around: what leaves at one end comes in at the other; otherwise silence does.
    """
    clean, gap = _silent(x)
    t = x.shape[2]
    step = (draw.uniform(x, generator, -share, share, len(x)) * t).round().long()
    reach = math.ceil(share * t)
    view = _pieces(torch.cat([clean] * 2, 2), -step % t, t) if around else _pieces(F.pad(clean, (reach, reach)), reach - step, t)
    return _again(view, gap), {"shift": step}


def speed(x: Tensor, generator: Generator, *, factor: tuple[Positive, Positive] = (0.9, 1.1)) -> tuple[Tensor, Keys]:
    """Played faster or slower by resampling: pitch and formants move with it. The number of samples stays, silence fills it.

    factor: speed, uniform in its logarithm between the two.
    """
    clean, gap = _silent(x)
    pace = draw.uniform(x, generator, math.log(factor[0]), math.log(factor[1]), len(x)).exp_()
    places = torch.arange(x.shape[2], device=x.device) * pace[:, None]
    view = series.at(clean, places).masked_fill((places > x.shape[2] - 1)[:, None], 0.0)
    return _again(view, gap), {"speed": pace}


def stretch(
    x: Tensor, generator: Generator, *, factor: tuple[Positive, Positive] = (0.85, 1.15), window: Count = 512
) -> tuple[Tensor, Keys]:
    """Faster or slower at the same pitch: a phase vocoder (Flanagan and Golden 1966), each item at its own pace.

    factor: speed, uniform in its logarithm between the two.
    window: samples in a frame of the transform.
    """
    clean, gap = _silent(x)
    b, c, t = x.shape
    window = min(window, 2 * (t // 2))
    hop, shape = window // 4, torch.hann_window(window, device=x.device)
    spectrum = torch.stft(clean.reshape(b * c, t), window, hop, window=shape, return_complex=True)
    frames = spectrum.shape[2]
    pace = draw.uniform(x, generator, math.log(factor[0]), math.log(factor[1]), b).exp_()
    places = (torch.arange(frames, device=x.device) * pace[:, None]).repeat_interleave(c, 0)
    low = places.floor().long().clamp(max=frames - 2)
    share = (places - low).clamp(max=1.0)[:, None]
    take = low[:, None].expand(-1, spectrum.shape[1], -1)
    first, second = spectrum.gather(2, take), spectrum.gather(2, take + 1)
    size = torch.lerp(first.abs(), second.abs(), share).masked_fill((places > frames - 1)[:, None], 0.0)
    # each frame turns on by what the original turned between its two neighbours
    phase = torch.cat([spectrum[:, :, :1].angle(), (second.angle() - first.angle())[:, :, :-1]], 2).cumsum(2)
    view = torch.istft(torch.polar(size, phase), window, hop, window=shape, length=t)
    return _again(view.view(b, c, t), gap), {"speed": pace}


def reverb(
    x: Tensor, generator: Generator, *, rate: Count = 16000, seconds: tuple[Positive, Positive] = (0.1, 0.6), wet: Share = 0.5
) -> tuple[Tensor, Keys]:
    """The sound in a room: convolved with decaying noise, a different room for each item (Moorer 1979). The level stays.

    rate: samples per second.
    seconds: time in which the room's answer falls by 60 decibel, uniform between the two.
    wet: largest share of the room in the result; each item's is uniform below it.
    """
    clean, gap = _silent(x)
    b, t = len(x), x.shape[2]
    length = min(t, max(1, round(rate * seconds[1])))
    decay = draw.uniform(x, generator, seconds[0], seconds[1], b)
    time = torch.arange(length, device=x.device) / rate
    room = draw.normal(x, generator, b, length) * torch.exp(-math.log(1000.0) * time / decay[:, None])
    room = room / room.square().sum(1, keepdim=True).sqrt()
    n = 1 << (t + length - 1).bit_length()
    answer = torch.fft.irfft(torch.fft.rfft(clean, n) * torch.fft.rfft(room, n)[:, None], n)[:, :, :t]
    amount = draw.uniform(x, generator, 0.0, wet, b)[:, None, None]
    view = (1 - amount) * clean + amount * answer
    view = view * (_level(clean) / _level(view).clamp(min=1e-12))[:, None, None]
    return _again(view, gap), {"decay": decay, "wet": amount[:, 0, 0]}


def crop(x: Tensor, generator: Generator, *, samples: Count) -> tuple[Tensor, Keys]:
    """A piece of each wave, or of each spectrogram along its frames.

    samples: length of the piece; a shorter wave is followed by silence.
    """
    t = x.shape[-1]
    if samples > t:
        x, t = F.pad(x, (0, samples - t)), samples
    start = draw.integers(x, generator, 0, t - samples + 1, len(x))
    return _pieces(x, start, samples), {"start": start}


def bands(
    x: Tensor, generator: Generator, *, frequencies: Share = 0.2, times: Share = 0.2, count: Count = 2, fill: float = 0.0
) -> tuple[Tensor, Keys]:
    """Bands of frequencies and stretches of time of a spectrogram are overwritten (SpecAugment, Park et al. 2019, without its warp).

    frequencies: largest width of one band, as a share of all; each is uniform below it.
    times: largest length of one stretch, as a share of all; each is uniform below it.
    count: how many of either.
    fill: what stands there afterwards; 0 is the mean of a standardised spectrogram.
    """
    if x.dim() != 4:
        raise DataError(f"spectrograms of shape {tuple(x.shape)} were given; a batch is (items, channels, bands, frames)")
    hidden = torch.zeros(len(x), 1, *x.shape[2:], dtype=torch.bool, device=x.device)
    for axis, most in ((2, frequencies), (3, times)):
        n = x.shape[axis]
        width = (draw.uniform(x, generator, 0.0, most, len(x), count) * n).round()
        start = (draw.uniform(x, generator, 0.0, 1.0, len(x), count) * (n - width + 1)).floor()
        places = torch.arange(n, device=x.device)
        line = ((places >= start[..., None]) & (places < (start + width)[..., None])).any(1)
        hidden |= line.view(len(x), 1, *((n, 1) if axis == 2 else (1, n)))
    return x.masked_fill(hidden, fill), {"hidden": hidden.float().mean((1, 2, 3))}


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
    clean, _ = _silent(x)
    sound = (clean != 0).any(1).flip(1).cummax(1).values.sum(1)
    there = torch.arange(frames, device=x.device) * x.shape[2] < sound[:, None] * frames
    return x, {"hidden": masking.spans(there, generator, start=start, length=length, least=least)}


def spectrogram(x: Tensor, *, window: Count = 512) -> Tensor:
    """(b, c, bands, frames): logarithm of the energy, 1e-6 added, of windows that overlap by half; NaN counts as silence.

    window: samples in a window.
    """
    clean, _ = _silent(x)
    b, c, t = x.shape
    window = max(2, min(window, 2 * (t // 2)))
    shape = torch.hann_window(window, device=x.device)
    found = torch.stft(clean.reshape(b * c, t), window, window // 2, window=shape, return_complex=True).abs().square()
    return (found + 1e-6).log().view(b, c, *found.shape[1:])


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
) -> tuple[Tensor, Keys]:
    """A piece of the wave, resampled, shifted, in a room, louder or softer, with noise: the general views of a sound.

    samples: length of the piece; the whole wave where none.
    decibel: change of level, uniform between the two.
    ratio: level of the sound over that of the noise in decibel, uniform between the two.
    share: largest shift, as a share of the wave's length.
    factor: speed, uniform in its logarithm between the two.
    rate: samples per second.
    wet: largest share of the room in the result; 0 leaves it out.
    """
    keys: Keys = {}
    if samples is not None:
        x, keys = crop(x, generator, samples=samples)
    x, done = speed(x, generator, factor=factor)
    keys |= done
    x, done = shift(x, generator, share=share)
    keys |= done
    if wet > 0:
        x, done = reverb(x, generator, rate=rate, wet=wet)
        keys |= done
    x, done = gain(x, generator, decibel=decibel)
    keys |= done
    x, done = noise(x, generator, ratio=ratio)
    return x, keys | done
