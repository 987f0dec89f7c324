"""Views of volumes, (b, c, d, h, w): uint8 or uint16 become float32 in [0, 1], floats stay in their own units (Hounsfield, voxels).

Geometry is one sampling grid; intensity changes are relative to each item's own mean and spread, so that no range is assumed.
A volume has no NaN: `data.read` refuses it, and so do these views where the batch lies in main memory (on a device asking would make it
wait).
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, NotNegative, Positive, Range, Share
from counterpoint.views import colour, draw

Keys = dict[str, Tensor]
Size = Count | tuple[Count, Count, Count] | None
Part01 = tuple[Share, Share]


def _sized(x: Tensor, size: Size) -> tuple[int, int, int]:
    if x.dim() != 5:
        raise DataError(f"volumes of shape {tuple(x.shape)} were given; a batch is (items, channels, depth, height, width)")
    if x.is_floating_point() and x.device.type == "cpu" and bool(x.sum().isnan()):
        raise DataError("volumes with NaN were given, and one would spread over the whole view; fill or leave out what is missing")
    if size is None:
        return x.shape[2], x.shape[3], x.shape[4]
    return (size, size, size) if isinstance(size, int) else (size[0], size[1], size[2])


def turns(angles: Tensor) -> Tensor:
    """(b, 3, 3) rotations by `angles` (b, 3) in radians about the x, y and z axes, one after the other."""
    cos, sin = angles.cos(), angles.sin()
    out = torch.eye(3, device=angles.device).expand(len(angles), 3, 3)
    for axis, (i, j) in enumerate(((1, 2), (0, 2), (0, 1))):
        one = torch.eye(3, device=angles.device).repeat(len(angles), 1, 1)
        one[:, i, i] = one[:, j, j] = cos[:, axis]
        one[:, i, j], one[:, j, i] = -sin[:, axis], sin[:, axis]
        out = one @ out
    return out


def varied(
    x: Tensor,
    generator: Generator,
    *,
    size: Size = None,
    share: Part01 = (0.7, 1.0),
    flip: tuple[Share, Share, Share] = (0.5, 0.5, 0.5),
    rotation: Annotated[float, Range(0, 180)] = 10.0,
    brightness: NotNegative = 0.2,
    contrast: NotNegative = 0.2,
    noise: NotNegative = 0.05,
) -> tuple[Tensor, Keys]:
    """A turned, mirrored box of the volume, resized; then brightness, contrast and noise in the item's own units.

    size: side, or (depth, height, width), of the view; the volume's own where none.
    share: side of the box over the volume's, uniform between the two, the same for all axes.
    flip: share of items mirrored along depth, height and width.
    rotation: degrees about each axis, ± this.
    brightness: shift, ± this many of the item's standard deviations.
    contrast: factors about the item's mean are uniform in 1 ± this.
    noise: largest standard deviation of the noise, in the item's own.
    """
    out_size = _sized(x, size)
    x = colour.floats(x)
    b = len(x)
    side = draw.uniform(x, generator, share[0], share[1], b)
    mirrored = torch.stack([draw.chance(x, generator, p, b) for p in flip], 1)
    angles = draw.uniform(x, generator, -1.0, 1.0, b, 3) * (rotation * math.pi / 180)
    place = draw.uniform(x, generator, -1.0, 1.0, b, 3) * (1.0 - side)[:, None]
    scale = torch.tensor([float(n) for n in x.shape[:1:-1]], device=x.device)  # w, h, d: a turn is a turn in voxels
    maps = turns(angles) * (scale[None, :] / scale[:, None]) * side[:, None, None]
    sign = 1.0 - 2.0 * mirrored.flip(1).float()  # maps count x, y, z = width, height, depth
    grid = F.affine_grid(torch.cat([maps * sign[:, None, :], place[:, :, None]], 2), [b, 1, *out_size], align_corners=False)
    if any(n >= 2 * m for n, m in zip(x.shape[2:], out_size)):  # average first, or a sparse grid would alias
        near = [min(n, 2 * m) for n, m in zip(x.shape[2:], out_size)]
        x = F.adaptive_avg_pool3d(x, (near[0], near[1], near[2]))
    view = F.grid_sample(x, grid, align_corners=False, padding_mode="border")
    view, keys = intensity(view, generator, brightness=brightness, contrast=contrast, noise=noise)
    return view, {"side": side, "place": place, "flip": mirrored, "angle": angles, **keys}


def intensity(
    x: Tensor, generator: Generator, *, brightness: NotNegative = 0.2, contrast: NotNegative = 0.2, noise: NotNegative = 0.05
) -> tuple[Tensor, Keys]:
    """Brightness, contrast and noise in the item's own units.

    brightness: shift, ± this many of the item's standard deviations.
    contrast: factors about the item's mean are uniform in 1 ± this.
    noise: largest standard deviation of the noise, in the item's own.
    """
    _sized(x, None)
    x = colour.floats(x)
    b = len(x)
    flat = x.reshape(b, -1)
    mean, spread = flat.mean(1), flat.std(1, correction=0)
    factor = draw.uniform(x, generator, max(0.0, 1 - contrast), 1 + contrast, b)
    shift = draw.uniform(x, generator, -brightness, brightness, b)
    offset = mean * (1 - factor) + shift * spread
    view = torch.addcmul(offset.view(-1, 1, 1, 1, 1), x, factor.view(-1, 1, 1, 1, 1))
    if noise > 0:
        width = draw.uniform(x, generator, 0.0, noise, b) * spread
        view = view.addcmul_(draw.normal(x, generator, *x.shape), width.view(-1, 1, 1, 1, 1))
    return view, {"contrast": factor, "brightness": shift}


def erase(x: Tensor, generator: Generator, *, share: Part01 = (0.2, 0.5), boxes: Count = 1) -> tuple[Tensor, Keys]:
    """Boxes of the volume are set to the item's mean. Key "erased": of each box front, top, left, back, bottom, right in [0, 1].

    share: side of a box over the volume's, uniform between the two, independent for each axis.
    boxes: how many.
    """
    _sized(x, None)
    x = colour.floats(x)
    hit = torch.zeros(len(x), *x.shape[2:], dtype=torch.bool, device=x.device)
    edges: list[list[Tensor]] = []
    for _ in range(boxes):
        inside = torch.ones_like(hit)
        low, high = [], []
        for axis, n in enumerate(x.shape[2:]):
            length = (draw.uniform(x, generator, share[0], share[1], len(x)) * n).round()
            start = (draw.uniform(x, generator, 0.0, 1.0, len(x)) * (n - length + 1)).floor()
            place = torch.arange(n, device=x.device)
            line = (place >= start[:, None]) & (place < (start + length)[:, None])
            inside &= line.view(len(x), *[n if k == axis else 1 for k in range(3)])
            low.append(start / n)
            high.append((start + length) / n)
        hit |= inside
        edges += [low, high]
    where = torch.stack([edge for each in edges for edge in each], 1)
    return torch.where(hit[:, None], x.mean((1, 2, 3, 4), keepdim=True), x), {"erased": where}


def elastic(x: Tensor, generator: Generator, *, strength: NotNegative = 0.04, cells: Count = 4) -> tuple[Tensor, Keys]:
    """Bent smoothly (after Simard et al. 2003): moves of a coarse grid, enlarged by cubic interpolation. Key "moved": their size.

    strength: standard deviation of the moves along each axis, in half sides.
    cells: the field has this many cells along each axis; more bend finer.
    """
    size = _sized(x, None)
    x = colour.floats(x)
    field = draw.normal(x, generator, len(x), 3, cells + 1, cells + 1, cells + 1) * strength
    knots = torch.eye(cells + 1, device=x.device)[None, None]
    for axis, n in enumerate(size):
        weights = F.interpolate(knots, size=(n, cells + 1), mode="bicubic", align_corners=True)[0, 0]
        field = torch.tensordot(field, weights, dims=([axis + 2], [1])).movedim(-1, axis + 2)
    plain = torch.eye(3, 4, device=x.device).expand(len(x), 3, 4)
    grid = F.affine_grid(plain, [len(x), 1, *size], align_corners=False) + field.permute(0, 2, 3, 4, 1)
    moved = field.square().mean((1, 2, 3, 4)).sqrt()
    return F.grid_sample(x, grid, align_corners=False, padding_mode="border"), {"moved": moved}


def blur(x: Tensor, generator: Generator, *, share: Share = 0.5, sigma: tuple[Positive, Positive] = (0.3, 1.0)) -> tuple[Tensor, Keys]:
    """A Gaussian over a share of the items, mirrored at the border: another resolution of the scanner. Key "blur": σ, 0 where none.

    share: share of items that are blurred.
    sigma: standard deviation in voxels, the same along all axes, uniform between the two.
    """
    size = _sized(x, None)
    x = colour.floats(x)
    widths = draw.uniform(x, generator, sigma[0], sigma[1], len(x)) * draw.chance(x, generator, share, len(x))
    for axis, n in enumerate(size, 2):
        reach = min(math.ceil(3.0 * max(sigma)), n - 1)
        offset = torch.arange(-reach, reach + 1, device=x.device)
        weights = torch.exp(-0.5 * (offset / widths.clamp(min=1e-3)[:, None]) ** 2)
        weights = weights / weights.sum(1, keepdim=True)
        place = torch.arange(-reach, n + reach, device=x.device).abs()
        wide = x.index_select(axis, torch.minimum(place, 2 * (n - 1) - place))
        x = torch.zeros_like(x)
        for step in range(2 * reach + 1):
            x.addcmul_(wide.narrow(axis, step, n), weights[:, step].view(-1, 1, 1, 1, 1))
    return x, {"blur": widths}


def gamma(x: Tensor, generator: Generator, *, factor: tuple[Positive, Positive] = (0.7, 1.4)) -> tuple[Tensor, Keys]:
    """Greys bent between the item's own lowest and highest value, which stay: low + range × share^γ.

    factor: γ, uniform in its logarithm between the two.
    """
    _sized(x, None)
    x = colour.floats(x)
    flat = x.reshape(len(x), -1)
    low, high = (end.view(-1, 1, 1, 1, 1) for end in flat.aminmax(dim=1))
    bend = draw.uniform(x, generator, math.log(factor[0]), math.log(factor[1]), len(x)).exp_()
    width = (high - low).clamp(min=1e-12)
    return low + (high - low) * ((x - low) / width) ** bend.view(-1, 1, 1, 1, 1), {"gamma": bend}
