"""Views that take something from another item of the batch: mix-up, cut-mix, resampled features.

The other item and its share are keys ("partner" (b,) position in the batch, "share" (b,) of the item itself), so that a loss
can weigh by them.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.core.options import Positive, Share
from counterpoint.views import colour, draw, geometry

Keys = dict[str, Tensor]


def mixup(x: Tensor, generator: Generator, *, alpha: Positive = 1.0, least: Share = 0.5) -> tuple[Tensor, Keys]:
    """share × item + (1 − share) × another item (Zhang et al. 2018, "mixup"). Missing values (NaN) stay missing if the item's own are.

    alpha: share ~ Beta(alpha, alpha), given that it is at least `least`.
    least: the item keeps at least this share, or the view would be the other item's.
    """
    b = len(x)
    share = draw.beta(x, generator, alpha, b, low=least)
    partner = draw.partners(x, generator, b)
    weight = share.view(-1, *[1] * (x.dim() - 1))
    x = colour.floats(x)
    other = x[partner]
    view = weight * x + (1.0 - weight) * torch.where(other.isnan(), x, other)
    return view, {"partner": partner, "share": share}


def cutmix(x: Tensor, generator: Generator, *, alpha: Positive = 1.0, most: Share = 0.5) -> tuple[Tensor, Keys]:
    """A rectangle of another item's picture is pasted over this one's, in its place (Yun et al. 2019, "CutMix").

    alpha: the area's share ~ Beta(alpha, alpha), given that it is at most `most`.
    most: largest share of the area that is pasted, up to whole pixels.
    """
    b, _, height, width = x.shape
    x = colour.floats(x)
    side = draw.beta(x, generator, alpha, b, high=most).sqrt()
    h, w = (side * height).round(), (side * width).round()
    place = draw.uniform(x, generator, 0.0, 1.0, 2, b)
    boxes = torch.stack([(place[0] * (height - h + 1)).floor(), (place[1] * (width - w + 1)).floor(), h, w], 1)
    partner = draw.partners(x, generator, b)
    view = torch.where(geometry.inside(boxes, height, width)[:, None], x[partner], x)
    return view, {"partner": partner, "share": 1.0 - h * w / (height * width)}


def resample(x: Tensor, generator: Generator, chosen: Tensor) -> Tensor:
    """x (b, d) with the `chosen` (b, d) entries taken from the same column of other, independently drawn items: the batch's marginals."""
    b, d = x.shape
    rows = draw.integers(x, generator, 0, max(b, 1), b, d)
    return torch.where(chosen, x.gather(0, rows), x)
