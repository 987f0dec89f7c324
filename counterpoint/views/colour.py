"""What light does: brightness, contrast, saturation, hue and grey, composed into one c × (c + 1) matrix per item; blur; solarise.

Pictures are float32 (b, c, h, w) in [0, 1]. With three channels grey is 0.299 r + 0.587 g + 0.114 b, otherwise the mean over channels.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.views import draw

RGB = (0.299, 0.587, 0.114)


def grey_weights(channels: int, like: Tensor) -> Tensor:
    """(c,) the weights of the channels in the grey value."""
    return torch.tensor(RGB if channels == 3 else [1.0 / channels] * channels, device=like.device)


def factors(x: Tensor, generator: Generator, strength: float) -> Tensor:
    """(b,) uniform in [max(0, 1 − strength), 1 + strength]."""
    return draw.uniform(x, generator, max(0.0, 1.0 - strength), 1.0 + strength, len(x))


def brightness(factor: Tensor, channels: int) -> Tensor:
    """(b, c + 1, c + 1): times `factor`."""
    diagonal = torch.cat([factor[:, None].expand(-1, channels), torch.ones_like(factor)[:, None]], 1)
    return torch.diag_embed(diagonal)


def saturation(factor: Tensor, channels: int) -> Tensor:
    """(b, c + 1, c + 1): each pixel moved away from (or, below 1, towards) its own grey value; 0 is grey itself."""
    matrix = _homogeneous(factor, channels)
    grey = grey_weights(channels, factor).expand(channels, channels)
    eye = torch.eye(channels, device=factor.device)
    matrix[:, :channels, :channels] = factor[:, None, None] * eye + (1 - factor)[:, None, None] * grey
    return matrix


def contrast(factor: Tensor, mean: Tensor) -> Tensor:
    """(b, c + 1, c + 1): each pixel moved away from the picture's mean grey value. `mean` (b, c): mean of each channel."""
    channels = mean.shape[1]
    matrix = brightness(factor, channels)
    matrix[:, :channels, channels] = ((1 - factor) * (mean @ grey_weights(channels, mean)))[:, None]
    return matrix


def turn_hue(x: Tensor, turns: Tensor) -> Tensor:
    """x (b, 3, h, w) with its hue in HSV turned by `turns` (b,), a share of the circle; value and saturation stay."""
    red, green, blue = x.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    span = high - torch.minimum(torch.minimum(red, green), blue)
    scale = 1.0 / span.clamp(min=1e-12)
    # place on the colour circle in sixths, by the largest channel
    sixths = torch.where(high == green, (blue - red).mul_(scale).add_(2.0), (red - green).mul_(scale).add_(4.0))
    sixths = torch.where(high == red, (green - blue).mul_(scale), sixths).add_(turns[:, None, None] * 6.0)
    out = torch.empty_like(x)
    for channel, offset in enumerate((5.0, 3.0, 1.0)):
        place = sixths + offset
        place.sub_(place.mul(1.0 / 6.0).floor_().mul_(6.0))
        # how much of `span` this channel lacks: 0 beside the peak, 1 opposite, a ramp between
        lack = torch.minimum(place, 4.0 - place).clamp_(0.0, 1.0)
        torch.addcmul(high, span, lack, value=-1.0, out=out[:, channel])
    return out


def _homogeneous(like: Tensor, channels: int) -> Tensor:
    return torch.eye(channels + 1, device=like.device).repeat(len(like), 1, 1)


def apply(x: Tensor, matrix: Tensor) -> Tensor:
    """x (b, c, *) under (b, c + 1, c + 1) matrices, clamped to [0, 1]."""
    b, c = x.shape[:2]
    flat = torch.baddbmm(matrix[:, :c, c:], matrix[:, :c, :c], x.reshape(b, c, -1))
    return flat.clamp_(0.0, 1.0).view_as(x)


def jitter(
    x: Tensor, generator: Generator, strengths: tuple[float, float, float, float], probability: float, grey: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Brightness, contrast, saturation (factors in 1 ± strength) and hue (turn in ± strength of the circle), in random order per
    item, on a share `probability` of the items; then grey on a share `grey`.

    All but the hue are matrices; an item's matrices are multiplied first and touch the pixels once before and once after the
    turn of hue. Mean values that contrast needs follow from the mean of the channels, because a matrix commutes with the mean.
    """
    b, c = x.shape[:2]
    used = draw.chance(x, generator, probability, b)
    kinds = [factors(x, generator, s) for s in strengths[:3]]
    turns = draw.uniform(x, generator, -strengths[3], strengths[3], b) * used
    order = draw.orders(x, generator, b, 4)
    gone = draw.chance(x, generator, grey, b)
    light, shade, deep = (torch.where(used, factor, 1.0) for factor in kinds)
    hue = c == 3 and strengths[3] > 0 and probability > 0
    steps = [brightness(light, c), None, saturation(deep, c) if c > 1 else None]
    rank = order.argsort(1)  # rank[:, k]: when operation k comes
    before = rank[:, :3] < rank[:, 3:]
    if hue:
        first = _compose(x, steps, shade, order, before)
        x = turn_hue(apply(x, first), turns)
        before = ~before
    else:
        before = torch.ones_like(before)
    second = _compose(x, steps, shade, order, before)
    if c > 1 and grey > 0:
        second = saturation(torch.where(gone, 0.0, 1.0), c) @ second
    keys = {"brightness": light, "contrast": shade, "saturation": deep, "hue": turns, "grey": gone}
    return apply(x, second), keys


def _compose(x: Tensor, steps: list[Tensor | None], shade: Tensor, order: Tensor, active: Tensor) -> Tensor:
    """(b, c + 1, c + 1): the product of the active operations, each item in its own order."""
    b, c = x.shape[:2]
    total = _homogeneous(shade, c)
    mean = torch.cat([x.flatten(2).mean(2), torch.ones(b, 1, device=x.device)], 1)[:, :, None]
    for place in range(order.shape[1]):
        now = order[:, place]
        current = (total @ mean)[:, :c, 0]
        step = _homogeneous(shade, c)
        for kind, fixed in enumerate(steps):
            matrix = contrast(shade, current) if kind == 1 else fixed
            if matrix is not None:
                step = torch.where(((now == kind) & active[:, kind])[:, None, None], matrix, step)
        total = step @ total
    return total


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """x (b, c, h, w) under a Gaussian of standard deviation `sigma` (b,) in pixels, mirrored at the border; σ = 0 leaves the item.

    Taps reach to three standard deviations of the widest item and are shared by the batch, weights are each item's own.
    """
    widest = float(sigma.max()) if len(sigma) else 0.0
    reach = min(math.ceil(3.0 * widest), min(x.shape[-2:]) - 1)
    if reach < 1:
        return x
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=torch.float32)
    weights = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    for axis, pad in ((2, (0, 0, reach, reach)), (3, (reach, reach, 0, 0))):
        padded, length = F.pad(x, pad, mode="reflect"), x.shape[axis]
        x = padded.narrow(axis, reach, length) * weights[:, reach, None, None, None]
        for step in range(reach):
            both = padded.narrow(axis, step, length) + padded.narrow(axis, 2 * reach - step, length)
            x.addcmul_(both, weights[:, step, None, None, None])
    return x


def blur_some(x: Tensor, generator: Generator, probability: float, sigma: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Blur a share `probability` of the items, σ uniform in `sigma` pixels; returns also σ (b,), 0 where not blurred."""
    used = draw.chance(x, generator, probability, len(x))
    widths = draw.uniform(x, generator, sigma[0], sigma[1], len(x)) * used
    chosen = used.nonzero()[:, 0]
    if len(chosen):
        x = x.index_copy(0, chosen, blur(x[chosen], widths[chosen]))
    return x, widths


def solarise(x: Tensor, used: Tensor, threshold: float) -> Tensor:
    """Values above `threshold` turned to 1 − value, in the items where `used` (b,)."""
    hit = (x >= threshold) & used.view(-1, *[1] * (x.dim() - 1))
    return torch.where(hit, 1.0 - x, x)
