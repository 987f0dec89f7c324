"""Where to look: crop boxes, affine maps and bending fields, composed into one sampling of the batch.

Coordinates: an image of h × w pixels covers [−1, 1] in both axes, pixel i has its centre at (2i + 1) / w − 1
(`align_corners=False`). A map takes a place in the view to a place in the original.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError, OptionError
from counterpoint.views import colour, draw

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
    low, high = torch.tensor(ratio).log().tolist()
    aspect = draw.uniform(x, generator, low, high, b, ATTEMPTS).exp_()
    pixels = share.mul_(height * width)
    w = (pixels * aspect).sqrt_().round_()
    h = (pixels / aspect).sqrt_().round_()
    fits = (w >= 1) & (w <= width) & (h >= 1) & (h <= height)
    first = (fits * torch.arange(ATTEMPTS, 0, -1, device=x.device)).argmax(1, keepdim=True)
    w, h, found = w.gather(1, first)[:, 0], h.gather(1, first)[:, 0], fits.any(1)
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


LARGE = 64 * 64  # views with this many pixels cost more than a call for each of them


def cut_out(
    x: Tensor,
    boxes: Tensor,
    flip: Tensor,
    size: tuple[int, int],
    finish: Callable[[Tensor, slice, Tensor], None] = colour.limit,
) -> Tensor:
    """The boxes of x (b, c, h, w), resized to `size` (h', w') by bilinear interpolation, mirrored left to right where `flip`; float32.

    finish: called with each piece of the batch while it is in the cache: (views, which items, where the result belongs).

    Where a box is larger than the view, the mean over the covered pixels is needed, or fine detail turns into noise ("antialias");
    the result equals PIL's and torchvision's antialiased resize. Three roads to the same numbers: where no box can be larger, one
    sampling grid; otherwise two batched matrix products with one triangle filter per item; and for large pictures on a processor
    torch's own resize, a call for each item, which touches only the pixels of its box (and bytes as bytes, rounded to 1/255).
    """
    data_only(x)
    b, c, height, width = x.shape
    shrinks = height > size[0] or width > size[1]
    each = x.device.type == "cpu" and size[0] * size[1] >= LARGE and (x.dtype == torch.uint8 or shrinks)
    out = torch.empty(b, c, *size, device=x.device)
    rows, columns = boxes[:, 0::2], boxes[:, 1::2]
    if each:
        whole, turned = boxes.long().tolist(), flip.tolist()
    elif shrinks:
        down, along = _triangles(rows, height, size[0]), _triangles(columns, width, size[1])
    else:
        down, along = _places(rows, height, size[0]), _places(columns, width, size[1])
    if not each:
        along = torch.where(flip.view(-1, *[1] * (along.dim() - 1)), along.flip(1), along)
    for i in draw.pieces(x.device, b, out[0].numel()):
        if each:
            piece = _each(x[i], whole[i], turned[i], size)
        elif shrinks:
            piece = torch.matmul(down[i, None], torch.matmul(colour.floats(x[i]), along[i, None].transpose(2, 3)))
        else:
            shape = (len(x[i]), *size)
            grid = torch.complex(along[i, None, :].expand(shape), down[i, :, None].expand(shape))  # interleaves fastest
            piece = F.grid_sample(colour.floats(x[i]), torch.view_as_real(grid), align_corners=False, padding_mode="border")
        finish(piece, i, out[i])
    return out


def _each(x: Tensor, boxes: list[list[int]], flip: list[bool], size: tuple[int, int]) -> Tensor:
    """One resize per item."""
    x = x if x.dtype == torch.uint8 else colour.floats(x)
    out = torch.empty(len(x), x.shape[1], *size, dtype=x.dtype)
    for i, ((top, left, height, width), turned) in enumerate(zip(boxes, flip)):
        piece = x[i : i + 1, :, top : top + height, left : left + width]
        piece = F.interpolate(piece, size=size, mode="bilinear", antialias=True)
        out[i] = piece[0].flip(-1) if turned else piece[0]
    return colour.floats(out)


def _centres(sides: Tensor, count: int) -> Tensor:
    """(b, count) in pixels: the centres of `count` equal pieces of each side (start, length)."""
    middle = (torch.arange(count, device=sides.device) + 0.5) / count
    return torch.addcmul(sides[:, :1], sides[:, 1:], middle)


def _places(sides: Tensor, pixels: int, count: int) -> Tensor:
    """The same in [−1, 1]; nothing outside the side is looked at, so that a crop is a crop."""
    last = sides[:, :1] + (sides[:, 1:] - 0.5)
    return _centres(sides, count).clamp(sides[:, :1] + 0.5, last).mul_(2.0 / pixels).sub_(1.0)


def _triangles(sides: Tensor, pixels: int, count: int) -> Tensor:
    """(b, count, pixels): for each place of the view its weights over the pixels of the side; rows sum to one."""
    centre = torch.arange(pixels, device=sides.device) + 0.5
    width = (sides[:, 1] / count).clamp(min=1.0)[:, None, None]
    weights = (1.0 - (_centres(sides, count)[:, :, None] - centre).abs() / width).clamp_(min=0.0)
    inside = (centre > sides[:, :1]) & (centre < sides.sum(1, keepdim=True))
    weights = weights * inside[:, None, :]
    return weights / weights.sum(2, keepdim=True)


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
