"""Boxes of pictures, resized, mirrored and coloured: for all views of a batch in one pass, so that each picture is read once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.similarity.precision import full_precision
from counterpoint.views import colour, draw, geometry, kernels

LARGE = 64 * 64  # views with this many pixels cost more than a call for each of them
Road = Callable[[Tensor, slice], Tensor]  # (pictures as floats in their own units, whose rows of a cut) → their views
Paint = Callable[[Tensor, slice, Tensor], None]  # (views, which rows they are, where they belong)


@dataclass(frozen=True)
class Cut:
    """What k views show of each of b pictures: rows 0 … b − 1 are the first view's.

    boxes: (k·b, 4) whole pixels: top, left, height, width.   flip: (k·b,) mirrored left to right.   size: (height, width) of a view.
    brush: the colours of k·b views; none leaves them.
    """

    boxes: Tensor
    flip: Tensor
    size: tuple[int, int]
    brush: colour.Jitter | None = None


@full_precision
def cut_out(x: Tensor, cuts: Sequence[Cut]) -> list[list[Tensor]]:
    """For each cut its views (b, c, *size) of x (b, c, h, w): the boxes resized by bilinear interpolation; float32 in [0, 1].

    Where a box is larger than the view, the mean over the covered pixels is needed, or fine detail turns into noise ("antialias");
    the result equals PIL's and torchvision's antialiased resize. Three roads to the same numbers: where no box can be larger, one
    sampling grid; otherwise two batched matrix products with one triangle filter per item; and for large pictures on a processor
    torch's own resize, a call for each item, which touches only the pixels of its box (and bytes as bytes, rounded to 1/255). On a
    processor where numba is installed, kernels.py in the place of all three.
    """
    geometry.data_only(x)
    b, c, height, width = x.shape
    if b == 0:
        raise DataError("an empty batch was given; views need at least one item")
    made = [_empties(len(cut.boxes) // b, (b, c, *cut.size), x.device) for cut in cuts]
    if kernels.chosen(x.device):
        read = kernels.array(x)
        for cut, views in zip(cuts, made, strict=True):
            kernels.cut_out(read, cut.boxes, cut.flip, cut.brush, colour.full(x), views)
        return made
    plan: list[tuple[Road, Paint]] = []
    whole = True
    for cut in cuts:
        shrinks = height > cut.size[0] or width > cut.size[1]
        each = x.device.type == "cpu" and cut.size[0] * cut.size[1] >= LARGE and (x.dtype == torch.uint8 or shrinks)
        whole = whole and each
        road = (_each if each else _filtered if shrinks else _sampled)(x, cut)
        plan.append((road, colour.painter(cut.brush, colour.full(x))))
    for i in draw.pieces(x.device, b, c * max(cut.size[0] * cut.size[1] for cut in cuts)):
        source = x[i] if whole else x[i].float()
        for (road, paint), views in zip(plan, made, strict=True):
            for k, view in enumerate(views):
                rows = slice(k * b + i.start, k * b + i.stop)
                paint(road(source, rows), rows, view[i])
    return made


def _empties(count: int, shape: tuple[int, ...], device: torch.device) -> list[Tensor]:
    """float32 tensors, in one piece of memory where that is at most 32 MiB: C's allocator keeps such a piece for the next batch, where it
    would give two back to the system and wait for new pages (a quarter of the time). `data`: autograd follows each by itself."""
    if 4 * count * math.prod(shape) > 1 << 25:
        return [torch.empty(shape, device=device) for _ in range(count)]
    return [one.data for one in torch.empty(count, *shape, device=device)]


def _each(x: Tensor, cut: Cut) -> Road:
    """One resize per item."""
    boxes, flip = cut.boxes.long().tolist(), cut.flip.tolist()

    def road(source: Tensor, i: slice) -> Tensor:
        first = i.start % len(x)
        source, made = x[first : first + i.stop - i.start], []
        source = source if x.dtype == torch.uint8 else source.float()
        for picture, (top, left, height, width), turned in zip(source.split(1), boxes[i], flip[i], strict=True):
            piece = picture[:, :, top : top + height, left : left + width]
            piece = F.interpolate(piece, size=cut.size, mode="bilinear", antialias=True)
            made.append(piece.flip(-1) if turned else piece)
        return (made[0] if len(made) == 1 else torch.cat(made)).float()

    return road


def _filtered(x: Tensor, cut: Cut) -> Road:
    """Two matrix products."""
    down = _triangles(cut.boxes[:, 0::2], x.shape[2], cut.size[0])
    along = _triangles(cut.boxes[:, 1::2], x.shape[3], cut.size[1])
    along = torch.where(cut.flip[:, None, None], along.flip(1), along)
    return lambda source, i: torch.matmul(down[i, None], torch.matmul(source, along[i, None].transpose(2, 3)))


def _triangles(sides: Tensor, pixels: int, count: int) -> Tensor:
    """(b, count, pixels): for each of `count` equal pieces of the sides (start, length) its weights over the pixels; rows sum to one."""
    middle = (torch.arange(count, device=sides.device) + 0.5) / count
    centre = torch.arange(pixels, device=sides.device) + 0.5
    width = (sides[:, 1] / count).clamp(min=1.0)[:, None, None]
    weights = (1.0 - (torch.addcmul(sides[:, :1], sides[:, 1:], middle)[:, :, None] - centre).abs() / width).clamp_(min=0.0)
    inside = (centre > sides[:, :1]) & (centre < sides.sum(1, keepdim=True))
    weights = weights * inside[:, None, :]
    return weights / weights.sum(2, keepdim=True)


def _sampled(x: Tensor, cut: Cut) -> Road:
    """One sampling grid: its pairs (along, down) are the sums of (along, 0) of each column and (0, down) of each row."""
    height, width = cut.size
    first = torch.eye(2, device=x.device)
    mirror = torch.where(cut.flip, -1.0, 1.0)[:, None]
    columns = _places(cut.boxes[:, 1::2], x.shape[3], width, mirror)
    along = (columns[:, :, None] * first[0]).view(-1, 1, 2 * width)
    down = _places(cut.boxes[:, 0::2], x.shape[2], height)[:, :, None]
    second = first[1].repeat(width)

    def road(source: Tensor, i: slice) -> Tensor:
        grid = torch.addcmul(along[i], down[i], second).view(-1, height, width, 2)
        return F.grid_sample(source, grid, align_corners=False)  # no place is beyond the border

    return road


def _places(sides: Tensor, pixels: int, count: int, sign: Tensor | None = None) -> Tensor:
    """(b, count) in [−1, 1]: the centres of `count` equal pieces of each side (start, length), from the far end where `sign` is −1; nothing
    outside the side is looked at, so that a crop is a crop."""
    half = sides[:, 1:] * (1.0 / pixels)
    middle = torch.add(half, sides[:, :1], alpha=2.0 / pixels).sub_(1.0)
    steps = torch.linspace(1.0 / count - 1.0, 1.0 - 1.0 / count, count, device=sides.device)
    edge = half - 1.0 / pixels
    return ((half if sign is None else half * sign) * steps).clamp_(-edge, edge).add_(middle)
