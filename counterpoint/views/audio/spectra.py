"""Spectrograms: made of waves, parts of them hidden, a part of them enlarged."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Share
from counterpoint.views import draw
from counterpoint.views.audio.silence import again, ends, silent

Keys = dict[str, Tensor]


def _check(x: Tensor) -> None:
    if x.dim() != 4:
        raise DataError(f"spectrograms of shape {tuple(x.shape)} were given; a batch is (items, channels, bands, frames)")


def bands(
    x: Tensor, generator: Generator, *, frequencies: Share = 0.2, times: Share = 0.2, count: Count = 2, fill: float = 0.0
) -> tuple[Tensor, Keys]:
    """Bands of frequencies and stretches of time of a spectrogram are overwritten (SpecAugment, Park et al. 2019, without its warp).

    frequencies: largest width of one band, as a share of all; each is uniform below it.
    times: largest length of one stretch, as a share of all; each is uniform below it.
    count: how many of either.
    fill: what stands there afterwards; 0 is the mean of a standardised spectrogram.
    """
    _check(x)
    hidden = torch.zeros(len(x), 1, *x.shape[2:], dtype=torch.bool, device=x.device)
    for axis, most in ((2, frequencies), (3, times)):
        n = x.shape[axis]
        width = (draw.uniform(x, generator, 0.0, most, len(x), count) * n).round()
        start = (draw.uniform(x, generator, 0.0, 1.0, len(x), count) * (n - width + 1)).floor()
        places = torch.arange(n, device=x.device)
        line = ((places >= start[..., None]) & (places < (start + width)[..., None])).any(1)
        hidden |= line.view(len(x), 1, *((n, 1) if axis == 2 else (1, n)))
    return x.masked_fill(hidden, fill), {"hidden": hidden.float().mean((1, 2, 3))}


def zoom(
    x: Tensor, generator: Generator, *, frequencies: tuple[Share, Share] = (0.6, 1.0), times: tuple[Share, Share] = (0.6, 1.0)
) -> tuple[Tensor, Keys]:
    """A box of each spectrogram, stretched to its own size: another pitch and another pace (Niizumi et al. 2021, "BYOL-A").

    Key "box": first band and frame, and those after the last.

    frequencies: the box's part of the bands, uniform between the two.
    times: the box's part of the item's own frames, uniform between the two.
    """
    _check(x)
    missing = x.isnan()
    gap = missing if bool(missing.any()) else None
    high, wide = x.shape[2:]
    own = torch.full((len(x),), wide, device=x.device) if gap is None else ends(gap)
    lines, first, size = [], [], []
    for n, count, share in ((torch.full_like(own, high), high, frequencies), (own, wide, times)):
        part = (draw.uniform(x, generator, share[0], share[1], len(x)) * n).round().clamp(min=1).minimum(n.clamp(min=1))
        start = draw.starts(x, generator, n - part.long()).float()
        last = (n - 1).clamp(min=1)[:, None]
        places = start[:, None] + torch.arange(count, device=x.device).minimum(last) * ((part - 1)[:, None] / last)
        lines.append(places * (2.0 / max(count - 1, 1)) - 1.0)
        first.append(start)
        size.append(part)
    shape = (len(x), high, wide)
    grid = torch.stack([lines[1][:, None, :].expand(shape), lines[0][:, :, None].expand(shape)], 3)
    view = F.grid_sample(x.nan_to_num(0.0), grid, align_corners=True, padding_mode="border")
    return again(view, gap), {"box": torch.stack([*first, first[0] + size[0], first[1] + size[1]], 1)}


def spectrogram(x: Tensor, *, window: Count = 512) -> Tensor:
    """(b, c, bands, frames): logarithm of the energy, 1e-6 added, of windows that overlap by half; NaN counts as silence.

    window: samples in a window.
    """
    clean, _ = silent(x)
    b, c, t = x.shape
    window = max(2, min(window, 2 * (t // 2)))
    shape = torch.hann_window(window, device=x.device)
    found = torch.stft(clean.reshape(b * c, t), window, window // 2, window=shape, return_complex=True).abs().square()
    return (found + 1e-6).log().view(b, c, *found.shape[1:])
