"""Time inside each item's own length: lengths, reading between places, a clock that runs unevenly, random pieces, spectra."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.views import draw


def lengths(x: Tensor) -> Tensor:
    """(b,) int64: places up to the last one where any channel has a value."""
    if x.dim() != 3:
        raise DataError(f"series of shape {tuple(x.shape)} were given; a batch is (items, channels, time)")
    known = (~x.isnan()).any(1)
    places = torch.arange(1, x.shape[2] + 1, device=x.device)
    return (known * places).amax(1)


def at(x: Tensor, places: Tensor) -> Tensor:
    """x (b, c, t) read at real-valued places (b, t') with linear interpolation; NaN places, and NaN neighbours, give NaN."""
    cut = draw.pieces(x.device, len(x), x.shape[1] * places.shape[1], 1 << 20)
    if len(cut) > 1:  # memory for a piece at a time
        found = torch.empty(*x.shape[:2], places.shape[1], device=x.device, dtype=torch.result_type(x, places))
        for i in cut:
            found[i] = at(x[i], places[i])
        return found
    t = x.shape[2]
    low = places.nan_to_num(0.0).floor().clamp(0, t - 1)
    high = (low + 1).clamp(max=t - 1)
    share = (places - low)[:, None]
    take = [index.long()[:, None].expand(-1, x.shape[1], -1) for index in (low, high)]
    first, second = x.gather(2, take[0]), x.gather(2, take[1])
    second = torch.where((share <= 0) | second.isnan(), first, second)  # do not read beyond an exact hit or the end
    return first + (second - first) * share


def steps(x: Tensor) -> Tensor:
    return torch.arange(x.shape[2], device=x.device, dtype=torch.float32).expand(len(x), -1)


def uneven(x: Tensor, generator: Generator, last: Tensor, strength: float, knots: int) -> tuple[Tensor, Tensor]:
    """(b, t) increasing places from 0 to `last` (b, 1), time that runs faster here and slower there; and its speed (b, knots + 1) at the
    knots, exp(normal × strength), of which only the relations matter."""
    coarse = (draw.normal(x, generator, len(x), 1, knots + 1) * strength).exp()
    speed = F.interpolate(coarse, size=x.shape[2], mode="linear", align_corners=True)[:, 0] * (steps(x) < last)
    clock = speed.cumsum(1) - speed
    return (clock / clock.gather(1, last.long()).clamp(min=1e-6) * last).minimum(last), coarse[:, 0]


def piece(x: Tensor, generator: Generator, ends: Tensor, share: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """(start, size) (b,) of a random piece of each item's own length, in whole steps."""
    part = draw.uniform(x, generator, share[0], share[1], len(x))
    size = (part * ends).round().clamp(min=2).minimum(ends)
    return (draw.uniform(x, generator, 0.0, 1.0, len(x)) * (ends - size + 1)).floor(), size


def spectrum(x: Tensor, ends: Tensor, back: bool = False) -> Tensor:
    """(b, c, t) complex64: the Fourier transform of each item over its own length n, `ends` (b,), of x (b, c, t), 0 after the end; 0 from
    frequency n on. `back`: the inverse, of such a spectrum.

    With 2mk = m² + k² − (k − m)² the transform of any length is a convolution with a chirp (Bluestein 1970), here a chirp for each item.
    """
    t = x.shape[2]
    n = ends.clamp(min=1)[:, None]
    place = torch.arange(t, device=x.device)
    angle = (place * place % (2 * n)).double() * (math.pi / n)  # whole numbers are folded first: k² is large
    chirp = torch.polar(torch.ones_like(angle), angle if back else -angle).to(torch.complex64)
    there = place < ends[:, None]
    size = 1 << (2 * t).bit_length()
    turned = torch.zeros(len(x), size, dtype=torch.complex64, device=x.device)
    turned[:, :t] = chirp.conj()
    turned[:, size - t + 1 :] = chirp[:, 1:].conj().flip(1)
    found = torch.fft.ifft(torch.fft.fft(x * (chirp * there)[:, None], size) * torch.fft.fft(turned)[:, None])[:, :, :t]
    found = found * (chirp * there)[:, None]
    return found / n[:, None] if back else found
