"""Where to look: crop boxes, affine maps and bending fields, composed into one sampling of the batch.

Coordinates: an image of h × w pixels covers [−1, 1] in both axes, pixel i has its centre at (2i + 1) / w − 1
(`align_corners=False`). A map takes a place in the view to a place in the original.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.views import draw

ATTEMPTS = 10  # as many proposals as torchvision makes before it falls back to the central crop


def crop_boxes(x: Tensor, generator: Generator, height: int, width: int, area: tuple[float, float], ratio: tuple[float, float]) -> Tensor:
    """(b, 4) whole pixels (top, left, height, width): area share uniform in `area`, aspect (width / height) log-uniform in `ratio`.

    The same law as torchvision's RandomResizedCrop: proposals that do not fit are drawn again, ten times, then the largest
    central crop within `ratio` is taken. (Szegedy et al. 2015, "Going deeper with convolutions", section 6.)
    """
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


def cut_out(x: Tensor, boxes: Tensor, flip: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes of x (b, c, h, w), resized to `size` (h', w') by bilinear interpolation, mirrored left to right where `flip`.

    Where no box can be larger than the view this is one sampling grid. Where one can, the mean over the covered pixels is
    needed or fine detail turns into noise ("antialias"): then rows and columns are two batched matrix products with one
    triangle filter per item, as wide as the reduction; equal to PIL's and torchvision's antialiased bilinear resize.
    """
    b, _, height, width = x.shape
    if height > size[0] or width > size[1]:
        rows = _triangles(boxes[:, 0], boxes[:, 2], height, size[0])
        columns = _triangles(boxes[:, 1], boxes[:, 3], width, size[1])
        columns = torch.where(flip[:, None, None], columns.flip(1), columns)
        across = torch.matmul(x, columns.transpose(1, 2)[:, None])
        return torch.matmul(rows[:, None], across)
    grid = torch.empty(b, *size, 2, device=x.device)
    down = _places(boxes[:, 0], boxes[:, 2], height, size[0])
    along = _places(boxes[:, 1], boxes[:, 3], width, size[1])
    along = torch.where(flip[:, None], along.flip(1), along)
    grid[..., 0] = along[:, None, :]
    grid[..., 1] = down[:, :, None]
    return F.grid_sample(x, grid, align_corners=False, padding_mode="border")


def _centres(start: Tensor, length: Tensor, count: int) -> Tensor:
    """(b, count) in pixels: the centres of `count` equal pieces of [start, start + length]."""
    middle = (torch.arange(count, device=start.device) + 0.5) / count
    return start[:, None] + length[:, None] * middle


def _places(start: Tensor, length: Tensor, pixels: int, count: int) -> Tensor:
    """The same in [−1, 1]; nothing outside the box is looked at, so that a crop is a crop."""
    first, last = start[:, None] + 0.5, (start + length)[:, None] - 0.5
    return _centres(start, length, count).clamp(first, last).mul_(2.0 / pixels).sub_(1.0)


def _triangles(start: Tensor, length: Tensor, pixels: int, count: int) -> Tensor:
    """(b, count, pixels): for each place of the view its weights over the pixels inside the box; rows sum to one."""
    centre = torch.arange(pixels, device=start.device) + 0.5
    width = (length / count).clamp(min=1.0)[:, None, None]
    weights = (1.0 - (_centres(start, length, count)[:, :, None] - centre).abs() / width).clamp_(min=0.0)
    inside = (centre > start[:, None]) & (centre < (start + length)[:, None])
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
