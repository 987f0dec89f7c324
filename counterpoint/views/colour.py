"""What light does: brightness, contrast, saturation, hue and grey, composed into one affine map per item; blur; solarise.

Pictures are float32 (b, c, h, w) in [0, 1]. With three channels grey is 0.299 r + 0.587 g + 0.114 b, otherwise the mean over channels.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.views import draw

RGB = (0.299, 0.587, 0.114)
_FULL = {torch.uint8: 255.0, torch.uint16: 65535.0, torch.bool: 1.0}


def floats(x: Tensor) -> Tensor:
    """float32 in [0, 1] from whole numbers of 8 or 16 bits; floats are taken to be in [0, 1] already."""
    if x.is_floating_point():
        return x.float()
    if x.dtype not in _FULL:
        raise DataError(f"pictures of type {x.dtype} were given; they must be uint8, uint16, or float in [0, 1]")
    return x.float().mul_(1.0 / _FULL[x.dtype])


def grey_weights(channels: int, like: Tensor) -> Tensor:
    """(c,) the weights of the channels in the grey value."""
    return torch.tensor(RGB if channels == 3 else [1.0 / channels] * channels, device=like.device)


def factors(x: Tensor, generator: Generator, strength: float) -> Tensor:
    """(b,) uniform in [max(0, 1 − strength), 1 + strength]."""
    return draw.uniform(x, generator, max(0.0, 1.0 - strength), 1.0 + strength, len(x))


def turn_hue(x: Tensor, turns: Tensor) -> Tensor:
    """x (b, 3, h, w) with its hue in HSV turned by `turns` (b,), a share of the circle; value and saturation stay."""
    red, green, blue = x.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    span = high - low
    # Place on the colour circle in sixths. With red, green, blue scaled to [0, 1] (one is 0, one 1), the distance from pure red is
    # 1 − red + green + blue on either side, and the side is the sign of green − blue: no comparisons, which are slow here.
    scale = span.clamp(min=1e-12).reciprocal_()
    sixths = (green + blue).sub_(red).sub_(low).mul_(scale).add_(1.0)
    torch.copysign(sixths, torch.sub(green, blue, out=scale), out=sixths).add_(turns[:, None, None] * 6.0)
    sixths.sub_(torch.mul(sixths, 1.0 / 6.0, out=scale).floor_(), alpha=6.0)
    out = torch.empty_like(x)
    part = torch.sub(sixths, 3.0, out=scale).abs_().sub_(1.0).clamp_(0.0, 1.0)  # how much of the pure colour is red …
    torch.addcmul(low, span, part, out=out[:, 0])
    for channel, peak in ((1, 2.0), (2, 4.0)):  # … green and blue: a trapezium around the place of the pure colour
        part = torch.sub(sixths, peak, out=scale).abs_().neg_().add_(2.0).clamp_(0.0, 1.0)
        torch.addcmul(low, span, part, out=out[:, channel])
    return out


def jitter(
    x: Tensor, generator: Generator, strengths: tuple[float, float, float, float], probability: float, grey: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Brightness, contrast, saturation (factors in 1 ± strength) and hue (turn in ± strength of the circle), in random order per
    item, on a share `probability` of the items; then grey on a share `grey`. Values are clamped to [0, 1] once, at the end.

    Each operation alone is torchvision's. Without clamps between them, brightness b, contrast k and saturation s commute, and a
    turn of hue H commutes with all but the grey values that saturation and contrast look at. So the order matters only in whether
    these grey values g are taken before or after the turn, and all is one affine map of the pixel v and its turned twin:

        out = b·k·s·Hv + b·k·(1 − s)·g(v or Hv) + b·(1 − k)·mean g(v or Hv)
    """
    b, c = x.shape[:2]
    used = draw.chance(x, generator, probability, b)
    kinds = [factors(x, generator, s) for s in strengths[:3]]
    turns = draw.uniform(x, generator, -strengths[3], strengths[3], b) * used
    order = draw.uniform(x, generator, 0.0, 1.0, b, 4)  # an operation with a smaller number comes earlier
    gone = draw.chance(x, generator, grey, b)
    light, shade, deep = (torch.where(used, factor, 1.0) for factor in kinds)
    early = order[:, 1:3] < order[:, 3:]  # contrast, saturation: before the hue
    hue = c == 3 and strengths[3] > 0 and probability > 0
    out = torch.empty_like(x)
    for i in pieces(x):
        _paint(x[i], light[i], shade[i], deep[i], gone[i], turns[i] if hue else None, early[i], out[i])
    return out, {"brightness": light, "contrast": shade, "saturation": deep, "hue": turns, "grey": gone, "early": early}


def pieces(x: Tensor, values: int = 1 << 18) -> list[slice]:
    """Slices of the batch that stay in a processor's cache while a chain of operations passes over them; all at once elsewhere."""
    step = max(1, values // max(x[0].numel(), 1)) if x.device.type == "cpu" and len(x) else max(len(x), 1)
    return [slice(start, start + step) for start in range(0, len(x), step)]


def _paint(x: Tensor, light: Tensor, shade: Tensor, deep: Tensor, gone: Tensor, turns: Tensor | None, early: Tensor, out: Tensor) -> None:
    """The formula of `jitter`, written into `out`."""
    b, c = x.shape[:2]
    weights = grey_weights(c, x)
    pixels, result = x.reshape(b, c, -1), out.view(b, c, -1)
    turned = pixels if turns is None else turn_hue(x, turns).view(b, c, -1)
    deep = torch.where(gone, 0.0, deep) if turns is None else deep
    mean = turned.mean(2) @ weights
    if turns is not None:
        mean = torch.where(early[:, 0], pixels.mean(2) @ weights, mean)
    own, grey, constant = light * shade * deep, light * shade * (1.0 - deep), light * (1.0 - shade) * mean
    eye = torch.eye(c, device=x.device)
    if turns is None:
        torch.baddbmm(constant[:, None, None], _mix(own, grey, eye, weights), turned, out=result)
    else:
        first = _mix(own, grey * ~early[:, 1], eye, weights)
        second = (grey * early[:, 1])[:, None, None] * weights.expand(c, c)
        # grey last of all: the rows of both matrices become their own grey
        project = torch.where(gone[:, None, None], weights.expand(c, c), eye)
        torch.baddbmm(constant[:, None, None], project @ first, turned, out=result)
        result.baddbmm_(project @ second, pixels)
    result.clamp_(0.0, 1.0)


def _mix(own: Tensor, grey: Tensor, eye: Tensor, weights: Tensor) -> Tensor:
    """(b, c, c): `own` times the pixel plus `grey` times its grey value."""
    return own[:, None, None] * eye + grey[:, None, None] * weights.expand(len(eye), len(eye))


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
