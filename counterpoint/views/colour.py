"""What light does: brightness, contrast, saturation, hue and grey, composed into one affine map per item; blur; solarise.

Pictures are float32 (b, c, h, w) in [0, 1]. With three channels grey is 0.299 r + 0.587 g + 0.114 b, otherwise the mean over channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.similarity.precision import full_precision
from counterpoint.views import draw

Space = Literal["linear", "hsv"]
RGB = (0.299, 0.587, 0.114)
_FULL = {torch.uint8: 255.0, torch.uint16: 65535.0, torch.bool: 1.0}


def full(x: Tensor) -> float:
    """What 1 is in the units of x."""
    if x.is_floating_point():
        return 1.0
    if x.dtype not in _FULL:
        raise DataError(f"pictures of type {x.dtype} were given; they must be uint8, uint16, or float in [0, 1]")
    return _FULL[x.dtype]


def floats(x: Tensor) -> Tensor:
    """float32 in [0, 1] from whole numbers of 8 or 16 bits; floats are taken to be in [0, 1] already."""
    one = full(x)
    return x.float() if x.is_floating_point() else x.float().mul_(1.0 / one)


def grey_weights(channels: int, like: Tensor) -> Tensor:
    """(c,) the weights of the channels in the grey value."""
    return torch.tensor(RGB if channels == 3 else [1.0 / channels] * channels, device=like.device)


def turn_hue(x: Tensor, turns: Tensor) -> Tensor:
    """x (b, 3, h, w) with its hue in HSV turned by `turns` (b,), a share of the circle; value and saturation stay."""
    red, green, blue = x.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    span = (high - low).add_(1e-9)
    # Place on the colour circle in sixths. With red, green, blue scaled to [0, 1] (one is 0, one 1), the distance from pure red is
    # 1 − red + green + blue on either side, and the side is the sign of green − blue: no comparisons, which are slow here.
    spare = span.reciprocal()
    place = (green + blue).sub_(red).sub_(low).mul_(spare).add_(1.0)
    torch.copysign(place, torch.sub(green, blue, out=spare), out=place)
    place.mul_(1.0 / 6.0).add_((turns + 2.0)[:, None, None]).frac_().mul_(6.0)
    # A channel's value is a trapezium around the place of its pure colour: low + span · clamp(2 − |place − peak|, 0, 1) for green
    # and blue, whose peaks are at 2 and 4, and low + span · clamp(|place − 3| − 1, 0, 1) for red; constants are taken out.
    out, above = torch.empty_like(x), high.add_(span)
    torch.addcmul(low.sub_(span), span, torch.sub(place, 3.0, out=spare).abs_().clamp_(1.0, 2.0), out=out[:, 0])
    for channel, peak in ((1, 2.0), (2, 4.0)):
        torch.addcmul(above, span, torch.sub(place, peak, out=spare).abs_().clamp_(1.0, 2.0), value=-1.0, out=out[:, channel])
    return out


def hue_matrices(turns: Tensor) -> Tensor:
    """(b, 3, 3): the plane across the grey axis turned by `turns` (b,), a share of the circle, in YIQ; each pixel's grey value stays.

    The linear relative of the turn in HSV, as in NVIDIA DALI: a grey stays the same grey, and a full circle is the identity.
    """
    angle = (turns * (2 * math.pi))[:, None, None]
    still, across, round_ = _TURN.to(turns.device)
    return still + angle.cos() * across + angle.sin() * round_


def _turn() -> Tensor:
    """(3, 3, 3): what stays, what goes with the cosine and what with the sine of the angle, in RGB."""
    yiq = torch.tensor([RGB, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)], dtype=torch.float64)
    parts = torch.zeros(3, 3, 3, dtype=torch.float64)
    parts[0, 0, 0] = parts[1, 1, 1] = parts[1, 2, 2] = parts[2, 1, 2] = 1.0
    parts[2, 2, 1] = -1.0
    return (torch.linalg.inv(yiq) @ parts @ yiq).float()


_TURN = _turn()


@dataclass(frozen=True)
class Jitter:
    """Brightness, contrast, saturation, hue and grey with the parameters of each item: `paint` puts them on some of the items.

    Without clamps between them, brightness b, contrast k and saturation s commute, and so does a linear turn of hue H:

        out = b·k·s·Hv + b·k·(1 − s)·g(v) + b·(1 − k)·mean g(v),   g = the grey value of a pixel, v = the pixel

    which is one 3 × 4 matrix per item. A turn of hue in HSV commutes with all but g, and the order in which the operations come
    matters only in whether g is taken of v or of Hv: then two matrices, for v and for Hv.

    matrix: (n, c, c) factor of v, or of Hv.   own: (n, 1, c) factor of v beside it.   shade: (n, 1, c) factor of the mean of v.
    turns: (n,) of the circle in HSV, none where the hue is in the matrix.   early: (n,) whether the mean is taken before the turn.
    """

    matrix: Tensor
    shade: Tensor
    turns: Tensor | None = None
    own: Tensor | None = None
    early: Tensor | None = None

    def of_units(self, full: float) -> Jitter:
        """The same for pictures whose values reach to `full` in the place of 1."""
        own = None if self.own is None else self.own / full
        return self if full == 1.0 else replace(self, matrix=self.matrix / full, shade=self.shade / full, own=own)

    def paint(self, x: Tensor, i: slice, out: Tensor) -> None:
        """x (m, c, h, w), the items i of the batch, painted and clamped to [0, 1], written to `out`."""
        m, c = x.shape[:2]
        pixels, result = x.view(m, c, -1), out.view(m, c, -1)
        total, share = pixels.sum(2, keepdim=True), 1.0 / pixels.shape[2]
        if self.turns is None or self.own is None or self.early is None:
            painted = torch.baddbmm(torch.bmm(self.shade[i], total), self.matrix[i], pixels, beta=share)
        else:
            turned = turn_hue(x, self.turns[i]).view(m, c, -1)
            total = torch.where(self.early[i, None, None], total, turned.sum(2, keepdim=True))
            painted = torch.baddbmm(torch.bmm(self.shade[i], total), self.own[i], pixels, beta=share)
            painted = torch.baddbmm(painted, self.matrix[i], turned)
        torch.clamp(painted, 0.0, 1.0, out=result)  # what lies far away in memory is written once


def painter(brush: Jitter | None, full: float) -> Callable[[Tensor, slice, Tensor], None]:
    """What writes (views in units where 1 is `full`, of which items, to where): coloured by the brush if there is one, within [0, 1]."""

    def limit(x: Tensor, i: slice, out: Tensor) -> None:
        torch.clamp(x if full == 1.0 else x * (1.0 / full), 0.0, 1.0, out=out)

    return limit if brush is None else brush.of_units(full).paint


def jitter(
    x: Tensor,
    generator: Generator,
    strengths: tuple[float, float, float, float],
    probability: float,
    grey: float,
    space: Space = "linear",
) -> tuple[Jitter, dict[str, Tensor]]:
    """Draw for each item of x: brightness, contrast, saturation (factors in 1 ± strength) and hue (turn in ± strength of the circle,
    in `space`), in random order, on a share `probability` of the items; grey, last of all, on a share `grey`."""
    b, c = x.shape[:2]
    drawn = draw.uniform(x, generator, 0.0, 1.0, 9, b)
    used, gone = drawn[0] < probability, drawn[8] < grey
    order = drawn[5:8].view(b, 3)  # when contrast, saturation and hue come
    ends = [*((max(0.0, 1.0 - s), 1.0 + s) for s in strengths[:3]), (-strengths[3], strengths[3])]
    for row, (low, high) in zip(drawn[1:5], ends, strict=True):
        row.mul_(high - low).add_(low)
    light, shade, deep = torch.where(used, drawn[1:4], 1.0)
    turns = drawn[4] * used
    keys = {"brightness": light, "contrast": shade, "saturation": deep, "hue": turns, "grey": gone}
    weights = grey_weights(c, x)
    own, pale = (light * shade * deep)[:, None, None], (light * shade * (1.0 - deep))[:, None, None]
    hue = c == 3 and strengths[3] > 0 and probability > 0
    matrix = own * (hue_matrices(turns) if hue and space == "linear" else torch.eye(c, device=x.device))
    shade = (light * (1.0 - shade))[:, None, None] * weights
    if not hue or space == "linear":
        matrix = torch.where(gone[:, None, None], weights * (own + pale), matrix + pale * weights)
        return Jitter(matrix, shade), keys
    early = order[:, :2] < order[:, 2:]
    before = early[:, 1, None, None]
    matrix = torch.where(gone[:, None, None], weights * (own + pale * ~before), matrix + pale * ~before * weights)
    return Jitter(matrix, shade, turns, pale * before * weights, early[:, 0]), keys


@full_precision
def painted(x: Tensor, made: Jitter) -> Tensor:
    """A whole batch (b, c, h, w) painted."""
    x, out = x.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)
    for i in draw.pieces(x.device, len(x), x[0].numel()):
        made.paint(x[i], i, out[i])
    return out


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


def blur_widths(x: Tensor, generator: Generator, probability: float, sigma: tuple[float, float]) -> Tensor:
    """(b,) σ uniform in `sigma` on a share `probability` of the items, 0 elsewhere."""
    used = draw.chance(x, generator, probability, len(x))
    return draw.uniform(x, generator, sigma[0], sigma[1], len(x)) * used


def blur_some(x: Tensor, sigma: Tensor) -> Tensor:
    """`blur` that touches nothing but the items whose σ is above 0."""
    chosen = sigma.nonzero()[:, 0]
    return x.index_copy(0, chosen, blur(x[chosen], sigma[chosen])) if len(chosen) else x


def solarise(x: Tensor, used: Tensor, threshold: float) -> Tensor:
    """Values above `threshold` turned to 1 − value, in the items where `used` (b,)."""
    hit = (x >= threshold) & used.view(-1, *[1] * (x.dim() - 1))
    return torch.where(hit, 1.0 - x, x)
