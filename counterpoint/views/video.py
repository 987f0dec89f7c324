"""Views of clips, (b, c, t, h, w) uint8 or float in [0, 1]: parameters are drawn once per clip, all its frames are treated alike."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, NotNegative, Range, Share
from counterpoint.views import colour, draw, image

Keys = dict[str, Tensor]


def _check(x: Tensor) -> None:
    if x.dim() != 5:
        raise DataError(f"clips of shape {tuple(x.shape)} were given; a batch is (items, channels, frames, height, width)")


def moment(
    x: Tensor, generator: Generator, *, frames: Count, strides: tuple[Count, Count] = (1, 1), backward: Share = 0.0
) -> tuple[Tensor, Keys]:
    """Some frames of each clip: a random start and a random stride.

    frames: how many frames a view has.
    strides: the stride is drawn evenly from the first to the second number, as far as the clip is long enough.
    backward: share of clips that run backward.
    """
    _check(x)
    b, t = len(x), x.shape[2]
    if frames > t:
        raise DataError(f"{frames} frames of a clip of {t} were asked for")
    most = (t - 1) // max(frames - 1, 1)
    low, high = min(strides[0], most), min(max(strides), most)
    stride = draw.integers(x, generator, low, high + 1, b) if frames > 1 else torch.ones(b, dtype=torch.int64, device=x.device)
    start = (draw.uniform(x, generator, 0.0, 1.0, b) * (t - (frames - 1) * stride)).long()
    places = start[:, None] + stride[:, None] * torch.arange(frames, device=x.device)
    turned = draw.chance(x, generator, backward, b)
    places = torch.where(turned[:, None], places.flip(1), places)
    view = x[torch.arange(b, device=x.device)[:, None], :, places]  # (b, frames, c, h, w)
    return view.transpose(1, 2), {"start": start, "stride": stride, "backward": turned}


def simclr(
    x: Tensor,
    generator: Generator,
    *,
    frames: Count | None = None,
    strides: tuple[Count, Count] = (1, 2),
    size: image.Size = None,
    area: image.Pair = (0.2, 1.0),
    ratio: image.Pair = (0.75, 4 / 3),
    flip: Share = 0.5,
    jitter: Share = 0.8,
    brightness: NotNegative = 0.4,
    contrast: NotNegative = 0.4,
    saturation: NotNegative = 0.4,
    hue: Annotated[float, Range(0, 0.5)] = 0.1,
    grey: Share = 0.2,
) -> tuple[Tensor, Keys]:
    """A moment of the clip, then crop, flip, colour and grey, the same for all its frames.

    frames: how many frames a view has; all where none.
    strides: the stride is drawn evenly from the first to the second number, as far as the clip is long enough.
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
    keys: Keys = {}
    if frames is not None:
        x, keys = moment(x, generator, frames=frames, strides=strides)
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
