"""Views of point clouds, (b, c, n) float32: the first three channels are places, the others features that stay with their point.

NaN = a point that is not there. Clouds are taken to be centred and scaled to about the unit ball.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import NotNegative, Positive, Range, Share
from counterpoint.views import draw, masking

Keys = dict[str, Tensor]


def _places(x: Tensor) -> Tensor:
    if x.dim() != 3 or x.shape[1] < 3:
        raise DataError(f"points of shape {tuple(x.shape)} were given; a batch is (items, 3 or more channels, points)")
    return x[:, :3]


def rotate(
    x: Tensor, generator: Generator, *, angle: Annotated[float, Range(0, 180)] = 180.0, axis: Literal["up", "any"] = "up"
) -> tuple[Tensor, Keys]:
    """Turned about the third axis, or about any. Key "angle" (b, 3): the axis, as long as the turn is in radians.

    angle: degrees, ± this and uniform about the third axis; about any axis the largest turn: of all turns up to it each is as likely, with
        180 of all there are (Haar's law: the angle has the density 1 − cos).
    axis: "up" turns about the third axis only; "any" about every one.
    """
    places, most = _places(x), angle * math.pi / 180
    if axis == "up":
        turn = draw.uniform(x, generator, -most, most, len(x), 1) * torch.tensor([0.0, 0.0, 1.0], device=x.device)
    else:
        about = torch.nn.functional.normalize(draw.normal(x, generator, len(x), 3), dim=1)
        turn = about * _evenly(draw.uniform(x, generator, 0.0, 1.0, len(x), 1), most)
    return torch.cat([_about(turn) @ places, x[:, 3:]], 1), {"angle": turn}


def _evenly(u: Tensor, most: float) -> Tensor:
    """Angles in [0, most] whose distribution is (a − sin a) / (most − sin most), from uniform numbers: by halving, 40 times."""
    wanted = u.double() * (most - math.sin(most))
    low, high = torch.zeros_like(wanted), torch.full_like(wanted, most)
    for _ in range(40):
        middle = (low + high) / 2
        below = middle - middle.sin() < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return high.float()


def _about(turn: Tensor) -> Tensor:
    """(b, 3, 3) rotations about the axes `turn` (b, 3) by their lengths in radians (Rodrigues)."""
    angle = turn.norm(dim=1).clamp(min=1e-12)[:, None, None]
    x, y, z = (turn / angle[:, :, 0]).unbind(1)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], 1).view(-1, 3, 3)
    return torch.eye(3, device=turn.device) + angle.sin() * cross + (1.0 - angle.cos()) * (cross @ cross)


def jitter(x: Tensor, generator: Generator, *, scale: NotNegative = 0.01, most: Positive = 0.05) -> tuple[Tensor, Keys]:
    """Every place moved a little.

    scale: standard deviation.
    most: moves are cut at this length along each axis.
    """
    places = _places(x)
    step = (draw.normal(x, generator, *places.shape) * scale).clamp_(-most, most)
    return torch.cat([places + step, x[:, 3:]], 1), {}


def scale(
    x: Tensor, generator: Generator, *, factor: tuple[Positive, Positive] = (0.8, 1.25), shift: NotNegative = 0.1
) -> tuple[Tensor, Keys]:
    """Larger or smaller along each axis, and moved.

    factor: uniform in its logarithm between the two, one per axis.
    shift: ± this, along each axis.
    """
    places = _places(x)
    size = draw.uniform(x, generator, math.log(factor[0]), math.log(factor[1]), len(x), 3, 1).exp_()
    move = draw.uniform(x, generator, -shift, shift, len(x), 3, 1)
    return torch.cat([places * size + move, x[:, 3:]], 1), {"scale": size[:, :, 0], "shift": move[:, :, 0]}


def crop(x: Tensor, generator: Generator, *, share: tuple[Share, Share] = (0.6, 1.0)) -> tuple[Tensor, Keys]:
    """The points nearest to one of them, drawn at random; the number stays, kept points stand for those cut off.

    share: share of the points kept, uniform between the two.
    """
    places = _places(x)
    b, _, n = places.shape
    there = ~places.isnan().any(1)
    centre = draw.uniform(x, generator, 0.0, 1.0, b, n).masked_fill(~there, -1.0).argmax(1)
    middle = places.gather(2, centre[:, None, None].expand(-1, 3, 1))
    order = (places - middle).square().sum(1).masked_fill(~there, float("inf")).argsort(1)
    kept = (draw.uniform(x, generator, share[0], share[1], b) * there.sum(1)).round().long().clamp(min=1)
    return _fill(x, order, kept), {"centre": centre, "kept": kept}


def drop(x: Tensor, generator: Generator, *, share: Share = 0.3) -> tuple[Tensor, Keys]:
    """Fewer points: a share is left out, kept points stand for them, so that the number stays.

    share: largest share left out; each item's is uniform below it.
    """
    there = ~_places(x).isnan().any(1)
    order = draw.uniform(x, generator, 0.0, 1.0, *there.shape).masked_fill(~there, 2.0).argsort(1)
    kept = ((1.0 - draw.uniform(x, generator, 0.0, share, len(x))) * there.sum(1)).round().long().clamp(min=1)
    return _fill(x, order, kept), {"kept": kept}


def _fill(x: Tensor, order: Tensor, kept: Tensor) -> Tensor:
    """The first `kept` points in `order`, repeated until there are n."""
    index = torch.arange(x.shape[2], device=x.device) % kept[:, None]
    return x.gather(2, order.gather(1, index)[:, None].expand(-1, x.shape[1], -1))


def mask(x: Tensor, generator: Generator, *, share: Share = 0.5) -> tuple[Tensor, Keys]:
    """A share of the points made missing (NaN), for encoders that take points as tokens.

    share: share of the points.
    """
    hidden = masking.mask(~_places(x).isnan().any(1), generator, share=share)
    return x.masked_fill(hidden[:, None], float("nan")), {"mask": hidden}


def varied(
    x: Tensor,
    generator: Generator,
    *,
    angle: Annotated[float, Range(0, 180)] = 180.0,
    axis: Literal["up", "any"] = "up",
    share: tuple[Share, Share] = (0.6, 1.0),
    factor: tuple[Positive, Positive] = (0.8, 1.25),
    noise: NotNegative = 0.01,
) -> tuple[Tensor, Keys]:
    """A part of the cloud, turned, scaled, every point moved a little: the general views of an object.

    angle: degrees, ± this about the third axis; the largest turn about any.
    axis: "up" turns about the third axis only; "any" about every one.
    share: share of the points kept, those nearest to one of them.
    factor: change of size, uniform in its logarithm, one per axis.
    noise: standard deviation of the moves.
    """
    x, keys = crop(x, generator, share=share)
    x, turned = rotate(x, generator, angle=angle, axis=axis)
    x, sized = scale(x, generator, factor=factor)
    x, _ = jitter(x, generator, scale=noise)
    return x, keys | turned | sized
