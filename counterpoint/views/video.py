"""Views of clips, (b, c, t, h, w) uint8 or float in [0, 1]: parameters are drawn once per clip, all its frames are treated alike."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import Count, NotNegative, Range, Share
from counterpoint.views import colour, draw, image

Keys = dict[str, Tensor]
Part01 = tuple[Share, Share]


def _check(x: Tensor) -> None:
    if x.dim() != 5:
        raise DataError(f"clips of shape {tuple(x.shape)} were given; a batch is (items, channels, frames, height, width)")


def moment(
    x: Tensor,
    generator: Generator,
    *,
    frames: Count | None = None,
    strides: tuple[Count, Count] = (1, 1),
    span: Part01 = (0.5, 1.0),
    backward: Share = 0.0,
) -> tuple[Tensor, Keys]:
    """Another moment of each clip: some of its frames from a random start, at a random stride.

    Without a number of frames the view has as many as the clip: a window of random length is looked at more slowly, each frame of the view
    being the nearest of the clip's, so that batches and encoders of one length stay as they are. Keys: "start" and "stride", or "window",
    the first frame and that after the last.

    frames: how many frames a view has.
    strides: with `frames`, the stride is drawn evenly from the first to the second number, as far as the clip is long enough.
    span: without `frames`, the window's share of the clip, uniform between the two; (1, 1) leaves the clip as it is.
    backward: share of clips that run backward.
    """
    _check(x)
    b, t = len(x), x.shape[2]
    keys: Keys
    if frames is None:
        size = (draw.uniform(x, generator, span[0], span[1], b) * t).round().long().clamp(min=1)
        start = draw.starts(x, generator, t - size)
        step = (size - 1)[:, None] / max(t - 1, 1)
        places = (start[:, None] + step * torch.arange(t, device=x.device)).round().long()
        keys = {"window": torch.stack([start, start + size], 1)}
    else:
        if frames > t:
            raise DataError(f"{frames} frames of a clip of {t} were asked for")
        if strides[0] > strides[1]:
            raise OptionError(f"strides = {strides} is not allowed; it is the smallest and the largest, in this order")
        most = (t - 1) // max(frames - 1, 1)
        low, high = (min(stride, most) for stride in strides)
        stride = draw.integers(x, generator, low, high + 1, b) if frames > 1 else torch.ones(b, dtype=torch.int64, device=x.device)
        start = draw.starts(x, generator, t - 1 - (frames - 1) * stride)
        places = start[:, None] + stride[:, None] * torch.arange(frames, device=x.device)
        keys = {"start": start, "stride": stride}
    keys["backward"] = draw.chance(x, generator, backward, b)
    places = torch.where(keys["backward"][:, None], places.flip(1), places)
    view = x[torch.arange(b, device=x.device)[:, None], :, places]  # (b, frames, c, h, w)
    return view.transpose(1, 2), keys


def simclr(
    x: Tensor,
    generator: Generator,
    *,
    frames: Count | None = None,
    strides: tuple[Count, Count] = (1, 2),
    span: Part01 = (0.5, 1.0),
    size: image.Size = None,
    area: image.Area = (0.2, 1.0),
    ratio: image.Ratio = (0.75, 4 / 3),
    flip: Share = 0.5,
    jitter: Share = 0.8,
    brightness: NotNegative = 0.4,
    contrast: NotNegative = 0.4,
    saturation: NotNegative = 0.4,
    hue: Annotated[float, Range(0, 0.5)] = 0.1,
    grey: Share = 0.2,
) -> tuple[Tensor, Keys]:
    """A moment of the clip, then crop, flip, colour and grey, the same for all its frames.

    frames: how many frames a view has; as many as the clip where none.
    strides: with `frames`, the stride is drawn evenly from the first to the second number, as far as the clip is long enough.
    span: without `frames`, the share of the clip that the view stretches over its frames, uniform between the two; see `moment`.
    size: side, or (height, width), of the view; the clip's own where none.
    area: share of a frame's area that the crop covers, uniform between the two.
    ratio: width over height of the crop before it is resized, log-uniform between the two.
    flip: share of clips mirrored left to right.
    jitter: share of clips whose colours change.
    brightness: factors are uniform in 1 ± this.
    contrast: factors are uniform in 1 ± this, about the clip's mean.
    saturation: factors are uniform in 1 ± this; without effect on one channel.
    hue: turn of the colour circle, ± this share; three channels only.
    grey: share of clips that lose their colour.
    """
    _check(x)
    if x.is_floating_point():
        low, high = (float(end) for end in x.aminmax()) if x.numel() else (0.0, 1.0)
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise DataError(f"float clips with values from {low:g} to {high:g} were given; scale them to [0, 1], or give uint8")
    keys: Keys = {}
    if frames is not None or span != (1.0, 1.0):
        x, keys = moment(x, generator, frames=frames, strides=strides, span=span)
    b, c, t = x.shape[:3]
    view, done = image.crop(x.reshape(b, c * t, *x.shape[3:]), generator, size=size, area=area, ratio=ratio, flip=flip)
    keys |= done
    height, width = view.shape[2:]
    if jitter > 0 or grey > 0:
        tall = view.view(b, c, t * height, width)  # frames below each other: one picture per clip
        brush, done = colour.jitter(tall, generator, (brightness, contrast, saturation, hue), jitter, grey)
        view = colour.painted(tall, brush)
        keys |= done
    return view.view(b, c, t, height, width), keys
