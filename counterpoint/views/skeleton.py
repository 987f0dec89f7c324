"""Views of moving skeletons, (b, 3, t, v) float32: places of v joints in t frames; NaN after the end of a shorter sequence."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import NotNegative, Range, Share
from counterpoint.views import draw, masking, series
from counterpoint.views.volume import turns

Keys = dict[str, Tensor]


def _check(x: Tensor) -> None:
    if x.dim() != 4:
        raise DataError(f"skeletons of shape {tuple(x.shape)} were given; a batch is (items, coordinates, frames, joints)")


def _linear(x: Tensor, maps: Tensor) -> Tensor:
    return (maps @ x.flatten(2)).view_as(x)


def shear(x: Tensor, generator: Generator, *, strength: NotNegative = 0.5) -> tuple[Tensor, Keys]:
    """Seen in a leaning room: each coordinate gets a share of the others (Rao et al. 2021). Key "shear": those shares, row by row.

    strength: shares are uniform in ± this.
    """
    _check(x)
    c = x.shape[1]
    lean = draw.uniform(x, generator, -strength, strength, len(x), c, c)
    own = torch.eye(c, dtype=torch.bool, device=x.device)
    return _linear(x, lean.masked_fill(own, 1.0)), {"shear": lean[:, ~own]}


def rotate(x: Tensor, generator: Generator, *, angle: Annotated[float, Range(0, 180)] = 30.0) -> tuple[Tensor, Keys]:
    """Seen from elsewhere: turned about each axis; three coordinates.

    angle: degrees, ± this.
    """
    _check(x)
    if x.shape[1] != 3:
        raise DataError(f"skeletons with {x.shape[1]} coordinates were given; a turn needs 3")
    angles = draw.uniform(x, generator, -1.0, 1.0, len(x), 3) * (angle * math.pi / 180)
    return _linear(x, turns(angles)), {"angle": angles}


def jitter(x: Tensor, generator: Generator, *, scale: NotNegative = 0.02, still: bool = False) -> tuple[Tensor, Keys]:
    """Every joint moved a little.

    scale: standard deviation.
    still: the same move in all frames, as of a person with other bones; otherwise fresh noise in each.
    """
    _check(x)
    b, c, t, v = x.shape
    return x + scale * draw.normal(x, generator, b, c, 1 if still else t, v), {}


def joints(x: Tensor, generator: Generator, *, share: Share = 0.2) -> tuple[Tensor, Keys]:
    """A share of the joints set to 0, in all frames; at least one stays.

    share: share of the joints.
    """
    _check(x)
    there = torch.ones(len(x), x.shape[3], dtype=torch.bool, device=x.device)
    hidden = masking.mask(there, generator, share=share)
    return torch.where(hidden[:, None, None] & ~x.isnan(), 0.0, x), {"mask": hidden}


def moment(x: Tensor, generator: Generator, *, share: tuple[Share, Share] = (0.5, 1.0)) -> tuple[Tensor, Keys]:
    """A piece of the sequence at another pace, stretched to the item's own length.

    share: the piece's part of the length, uniform between the two.
    """
    _check(x)
    b, c, t, v = x.shape
    flat, keys = series.window(x.transpose(2, 3).reshape(b, c * v, t), generator, share=share)
    return flat.view(b, c, v, t).transpose(2, 3).contiguous(), keys


def varied(
    x: Tensor,
    generator: Generator,
    *,
    share: tuple[Share, Share] = (0.5, 1.0),
    angle: Annotated[float, Range(0, 180)] = 30.0,
    strength: NotNegative = 0.3,
    hidden: Share = 0.1,
    noise: NotNegative = 0.02,
) -> tuple[Tensor, Keys]:
    """A piece of the movement, seen from elsewhere in a leaning room, with joints hidden and noise: the general views of movement.

    share: the piece's part of the length, uniform between the two.
    angle: degrees about each axis, ± this; without effect unless there are three coordinates.
    strength: shares of the other coordinates are uniform in ± this.
    hidden: share of the joints set to 0.
    noise: standard deviation of the moves.
    """
    x, keys = moment(x, generator, share=share)
    if x.shape[1] == 3 and angle > 0:
        x, turned = rotate(x, generator, angle=angle)
        keys |= turned
    x, leant = shear(x, generator, strength=strength)
    keys |= leant
    x, _ = jitter(x, generator, scale=noise)
    if hidden > 0:
        x, gone = joints(x, generator, share=hidden)
        keys |= gone
    return x, keys
