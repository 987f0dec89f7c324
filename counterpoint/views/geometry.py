"""Where to look: crop boxes, affine maps and bending fields, composed into one sampling of the batch. (Crops alone: cutting.py.)

Coordinates: an image of h × w pixels covers [−1, 1] in both axes, pixel i has its centre at (2i + 1) / w − 1
(`align_corners=False`). A map takes a place in the view to a place in the original.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.similarity.precision import full_precision
from counterpoint.views import draw

ATTEMPTS = 10  # as many proposals as torchvision makes before it falls back to the central crop


def fit(area: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Refuse ranges of boxes that there cannot be."""
    if not 0.0 <= area[0] <= area[1] <= 1.0 or area[1] == 0.0:
        raise OptionError(f"area = {tuple(area)} is not allowed; it is two shares of the picture, at most 1, the smaller share first")
    if not 0.0 < ratio[0] <= ratio[1] < float("inf"):
        raise OptionError(f"ratio = {tuple(ratio)} is not allowed; it is two numbers above 0, width over height, the smaller first")


def shares(boxes: Tensor, height: int, width: int) -> Tensor:
    """(b, 4) boxes as left, top, right, bottom in [0, 1] of the original."""
    top, left, h, w = boxes.unbind(1)
    return torch.stack([left / width, top / height, (left + w) / width, (top + h) / height], 1)


def data_only(x: Tensor) -> None:
    """Refuse pictures that ask for a gradient: views are written in place and none would pass."""
    if x.requires_grad and torch.is_grad_enabled():
        raise DataError("pictures that require a gradient were given, and none passes through these views; give x.detach()")


def crop_boxes(x: Tensor, generator: Generator, height: int, width: int, area: tuple[float, float], ratio: tuple[float, float]) -> Tensor:
    """(b, 4) whole pixels (top, left, height, width): area share uniform in `area`, aspect (width / height) log-uniform in `ratio`.

    The same law as torchvision's RandomResizedCrop: proposals that do not fit are drawn again, ten times, then the largest
    central crop within `ratio` is taken. (Szegedy et al. 2015, "Going deeper with convolutions", section 6.)
    """
    fit(area, ratio)
    b = len(x)
    share = draw.uniform(x, generator, area[0], area[1], b, ATTEMPTS)
    aspect = draw.uniform(x, generator, math.log(ratio[0]), math.log(ratio[1]), b, ATTEMPTS).exp_()
    pixels = share.mul_(height * width)
    w = (pixels * aspect).sqrt_().round_()
    h = (pixels / aspect).sqrt_().round_()
    fits = (w.clamp(1, width) == w) & (h.clamp(1, height) == h)
    first = fits.byte().argmax(1, keepdim=True)  # the first of those that are largest
    w, h, found = (values.gather(1, first)[:, 0] for values in (w, h, fits))
    full = width / height
    rest_w = float(width) if full <= ratio[1] else round(height * ratio[1])
    rest_h = float(height) if full >= ratio[0] else round(width / ratio[0])
    w, h = torch.where(found, w, rest_w), torch.where(found, h, rest_h)
    place = draw.uniform(x, generator, 0.0, 1.0, 2, b)
    top = torch.where(found, (place[0] * (height - h + 1)).floor_(), ((height - h) / 2).floor())
    left = torch.where(found, (place[1] * (width - w + 1)).floor_(), ((width - w) / 2).floor())
    return torch.stack([top, left, h, w], 1)


def whole_boxes(x: Tensor, height: int, width: int) -> Tensor:
    """(b, 4): the whole picture."""
    return torch.tensor([0.0, 0.0, height, width], device=x.device).expand(len(x), 4)


@full_precision
def affine(angle: Tensor, zoom: Tensor, shear: Tensor, shift: Tensor, aspect: float = 1.0) -> Tensor:
    """(b, 2, 3) maps view → original: scaled by `zoom`, sheared, turned by `angle` (radians), moved by `shift` (b, 2) in half widths.

    aspect: width / height in pixels, so that a turn stays a turn on oblong pictures.
    """
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    lean = shear.tan()
    # inverse of shift ∘ turn ∘ shear ∘ zoom, written out
    turn = torch.stack([cos + lean * sin, (sin - lean * cos) / aspect, -sin * aspect, cos], 1).reshape(-1, 2, 2)
    offset = -torch.einsum("bij,bj->bi", turn, shift)
    return torch.cat([turn, offset[:, :, None]], 2)


def grid_of(maps: Tensor, size: tuple[int, int], boxes: Tensor | None = None, shape: tuple[int, int] | None = None) -> Tensor:
    """(b, h, w, 2) sampling places of affine maps (b, 2, 3); with `boxes`, of the crop taken first (in pixels of `shape`)."""
    rows = (torch.arange(size[0], device=maps.device) * 2 + 1) / size[0] - 1
    columns = (torch.arange(size[1], device=maps.device) * 2 + 1) / size[1] - 1
    turn, offset = maps[:, :, :2], maps[:, :, 2]
    if boxes is not None and shape is not None:
        half = torch.stack([boxes[:, 3] / shape[1], boxes[:, 2] / shape[0]], 1)
        middle = torch.stack([(2 * boxes[:, 1] + boxes[:, 3]) / shape[1], (2 * boxes[:, 0] + boxes[:, 2]) / shape[0]], 1) - 1
        turn, offset = half[:, :, None] * turn, half * offset + middle
    across = turn[:, :, 0, None] * columns  # (b, 2, w)
    down = turn[:, :, 1, None] * rows + offset[:, :, None]  # (b, 2, h)
    return (down.transpose(1, 2)[:, :, None, :] + across.transpose(1, 2)[:, None, :, :]).contiguous()


def bend(x: Tensor, generator: Generator, size: tuple[int, int], strength: float, cells: int) -> Tensor:
    """(b, h, w, 2) smooth random displacements with standard deviation about `strength` (in half widths).

    A coarse grid of cells × cells normal numbers, enlarged by cubic interpolation: the elastic distortion of Simard et al.
    (2003, "Best practices for convolutional neural networks") without its large Gaussian filter.
    """
    coarse = draw.normal(x, generator, len(x), 2, cells + 1, cells + 1) * strength
    smooth = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)
    return smooth.permute(0, 2, 3, 1)


def sample(x: Tensor, grid: Tensor, fill: float | None = None) -> Tensor:
    """x (b, c, h, w) at the places of `grid`; beyond the border the value `fill`, or the border's own where it is None."""
    if fill is None:
        return F.grid_sample(x, grid, align_corners=False, padding_mode="border")
    if fill == 0.0:
        return F.grid_sample(x, grid, align_corners=False, padding_mode="zeros")
    return F.grid_sample(x - fill, grid, align_corners=False, padding_mode="zeros").add_(fill)


def inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """(b, h, w) booleans: the pixels inside the boxes (top, left, height, width)."""
    rows = torch.arange(height, device=boxes.device) + 0.5
    columns = torch.arange(width, device=boxes.device) + 0.5
    down = (rows > boxes[:, :1]) & (rows < boxes[:, :1] + boxes[:, 2:3])
    across = (columns > boxes[:, 1:2]) & (columns < boxes[:, 1:2] + boxes[:, 3:4])
    return down[:, :, None] & across[:, None, :]


def thicken(x: Tensor, generator: Generator, share: float) -> tuple[Tensor, Tensor]:
    """Grey dilation (+1) or erosion (−1) with a 2 × 2 neighbourhood on a share of the items; 0 elsewhere."""
    change = draw.chance(x, generator, share, len(x)).long() * (2 * draw.chance(x, generator, 0.5, len(x)).long() - 1)
    wider = F.max_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
    finer = -F.max_pool2d(F.pad(-x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)
    sign = change[:, None, None, None]
    return torch.where(sign > 0, wider, torch.where(sign < 0, finer, x)), change
