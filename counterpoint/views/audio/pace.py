"""Faster and slower: with the pitch, by resampling, and without, by a phase vocoder."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Generator, Tensor

from counterpoint.core.options import Positive, Range
from counterpoint.views import draw, series
from counterpoint.views.audio.silence import again, silent

Keys = dict[str, Tensor]
SLOPE = 0.05  # of the pass band: the low-pass falls from 1 to 0 over this share below the highest frequency that is left


def speed(x: Tensor, generator: Generator, *, factor: tuple[Positive, Positive] = (0.9, 1.1)) -> tuple[Tensor, Keys]:
    """Played faster or slower by resampling: pitch and formants move with it. The number of samples stays, silence fills it.

    What a faster wave would lift beyond half the sampling rate is taken out first, or it would come back as another tone. Between
    samples the wave is a straight line.

    factor: speed, uniform in its logarithm between the two.
    """
    clean, gap = silent(x)
    pace = draw.uniform(x, generator, math.log(factor[0]), math.log(factor[1]), len(x)).exp_()
    if max(factor) > 1.0:
        clean = _below(clean, pace)
    places = torch.arange(x.shape[2], device=x.device) * pace[:, None]
    view = series.at(clean, places).masked_fill((places > x.shape[2] - 1)[:, None], 0.0)
    return again(view, gap), {"speed": pace}


def _below(x: Tensor, pace: Tensor) -> Tensor:
    """x (b, c, t) without the frequencies above 1 / pace of the highest, in the items with a pace above 1."""
    t = x.shape[2]
    n = 1 << (t + t // 8).bit_length()  # silence behind, so that the end does not ring at the beginning
    place = torch.linspace(0.0, 1.0, n // 2 + 1, device=x.device)
    passed = ((1.0 - place * pace[:, None]) / SLOPE).clamp(0.0, 1.0)
    low = torch.fft.irfft(torch.fft.rfft(x, n) * passed[:, None], n)[:, :, :t]
    return torch.where((pace > 1.0)[:, None, None], low, x)


def stretch(
    x: Tensor, generator: Generator, *, factor: tuple[Positive, Positive] = (0.85, 1.15), window: Annotated[int, Range(4)] = 512
) -> tuple[Tensor, Keys]:
    """Faster or slower at the same pitch: a phase vocoder (Flanagan and Golden 1966), each item at its own pace.

    factor: speed, uniform in its logarithm between the two.
    window: samples in a frame of the transform.
    """
    clean, gap = silent(x)
    b, c, t = x.shape
    window = min(window, 2 * (t // 2))
    hop, shape = window // 4, torch.hann_window(window, device=x.device)
    # silence before the first sample: a mirror image would have other phases, and a slow pace counts its step more than once
    spectrum = torch.stft(clean.reshape(b * c, t), window, hop, window=shape, pad_mode="constant", return_complex=True)
    frames = spectrum.shape[2]
    pace = draw.uniform(x, generator, math.log(factor[0]), math.log(factor[1]), b).exp_()
    places = (torch.arange(frames, device=x.device) * pace[:, None]).repeat_interleave(c, 0)
    low = places.floor().long().clamp(max=frames - 2)
    share = (places - low).clamp(max=1.0)[:, None]
    take = low[:, None].expand(-1, spectrum.shape[1], -1)
    first, second = spectrum.gather(2, take), spectrum.gather(2, take + 1)
    size = torch.lerp(first.abs(), second.abs(), share).masked_fill((places > frames - 1)[:, None], 0.0)
    turned = (second.angle() - first.angle()).roll(1, 2)
    # each frame turns on by what the original turned between its two neighbours; where a sound sets in it takes the original's own phase,
    # or its frequencies, each turned on through the silence by itself, would cancel each other (Röbel 2003)
    energy = size.square().sum(1)
    sets_in = energy > 1.5 * energy.roll(1, 1)
    sets_in[:, 0] = True
    since = (sets_in * torch.arange(frames, device=x.device)).cummax(1).values[:, None].expand_as(size)
    total = turned.cumsum(2)
    phase = total - total.gather(2, since) + first.angle().gather(2, since)
    view = torch.istft(torch.polar(size, phase), window, hop, window=shape, length=t)
    return again(view.view(b, c, t), gap), {"speed": pace}
