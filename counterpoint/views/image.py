"""Views of pictures, (b, c, h, w): any number of channels, uint8, uint16 or float in [0, 1] in; float32 in [0, 1] out.

Geometry is one sampling of the batch and colour one matrix per item (views/geometry.py, views/colour.py). Normalising by mean and
standard deviation is the encoder's, so that views of any encoder look the same.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, NotNegative, Positive, Range, Share
from counterpoint.views import colour, draw, geometry
from counterpoint.views.cutting import Cut
from counterpoint.views.looks import Keys, Look, looked

Size = Count | tuple[Count, Count] | None
Pair = tuple[NotNegative, NotNegative]
Area = tuple[Share, Share]
Ratio = tuple[Positive, Positive]
Hue = Annotated[float, Range(0, 0.5)]


def sized(x: Tensor, size: Size) -> tuple[int, int]:
    """(height, width) of a view: `size` for both, or the picture's own."""
    if x.dim() != 4:
        raise DataError(f"pictures of shape {tuple(x.shape)} were given; a batch is (items, channels, height, width)")
    if size is None:
        return x.shape[2], x.shape[3]
    return (size, size) if isinstance(size, int) else (size[0], size[1])


@looked
def simclr(
    x: Tensor,
    generator: Generator,
    *,
    size: Size = None,
    area: Area = (0.08, 1.0),
    ratio: Ratio = (0.75, 4 / 3),
    flip: Share = 0.5,
    upside: Share = 0.0,
    jitter: Share = 0.8,
    brightness: NotNegative = 0.4,
    contrast: NotNegative = 0.4,
    saturation: NotNegative = 0.4,
    hue: Hue = 0.1,
    space: colour.Space = "linear",
    grey: Share = 0.2,
    blur: Share = 0.0,
    sigma: Pair = (0.1, 2.0),
    solarise: Share = 0.0,
) -> Look:
    """Crop, flip, colour, grey, blur, solarise: the views of SimCLR (Chen et al. 2020, appendix A), colour strength 0.5 by default.

    size: side, or (height, width), of the view; the picture's own where none.
    area: share of the picture's area that a crop covers, uniform between the two.
    ratio: width over height of the crop before it is resized, log-uniform between the two.
    flip: share of items mirrored left to right.
    upside: share of items mirrored top to bottom (cells, tissue, satellites: where up means nothing).
    jitter: share of items whose brightness, contrast, saturation and hue change, in random order.
    brightness: factors are uniform in 1 ± this.
    contrast: factors are uniform in 1 ± this.
    saturation: factors are uniform in 1 ± this; without effect on one channel.
    hue: turn of the colour circle, ± this share; three channels only.
    space: of the hue: "linear" (YIQ, one matrix with all other changes) or "hsv" (exactly torchvision's and PIL's, half as fast).
    grey: share of items that lose their colour.
    blur: share of items that are blurred.
    sigma: standard deviation of the blur, in pixels of the view, uniform between the two.
    solarise: share of items whose bright half is turned to its negative.
    """
    out_size = sized(x, size)
    b, _, height, width = x.shape
    boxes = geometry.crop_boxes(x, generator, height, width, area, ratio)
    mirrored = draw.chance(x, generator, flip, b)
    keys = {"crop": geometry.shares(boxes, height, width), "flip": mirrored}
    brush = None
    if jitter > 0 or grey > 0:
        brush, done = colour.jitter(x, generator, (brightness, contrast, saturation, hue), jitter, grey, space)
        keys |= done
    if upside > 0:
        keys["upside"] = draw.chance(x, generator, upside, b)
    if blur > 0:
        keys["blur"] = colour.blur_widths(x, generator, blur, sigma)
    if solarise > 0:
        keys["solarise"] = draw.chance(x, generator, solarise, b)
    return Look(Cut(boxes, mirrored, out_size, brush), keys, *(keys.get(name) for name in ("upside", "blur", "solarise")))


def crop(
    x: Tensor, generator: Generator, *, size: Size = None, area: Area = (0.08, 1.0), ratio: Ratio = (0.75, 4 / 3), flip: Share = 0.5
) -> tuple[Tensor, Keys]:
    """A random crop, resized, mirrored on a share of the items.

    size: side, or (height, width), of the view; the picture's own where none.
    area: share of the picture's area that a crop covers, uniform between the two.
    ratio: width over height of the crop before it is resized, log-uniform between the two.
    flip: share of items mirrored left to right.
    """
    return simclr(x, generator, size=size, area=area, ratio=ratio, flip=flip, jitter=0.0, grey=0.0)


def warp(
    x: Tensor,
    generator: Generator,
    *,
    size: Size = None,
    area: Area = (1.0, 1.0),
    ratio: Ratio = (0.75, 4 / 3),
    flip: Share = 0.0,
    rotation: Annotated[float, Range(0, 180)] = 15.0,
    zoom: Ratio = (0.85, 1.15),
    shear: Annotated[float, Range(0, 80)] = 12.0,
    shift: Share = 0.08,
    elastic: NotNegative = 0.06,
    cells: Count = 4,
    thickness: Share = 0.0,
    brightness: NotNegative = 0.0,
    contrast: NotNegative = 0.0,
    fill: Share | None = None,
) -> tuple[Tensor, Keys]:
    """Crop, flip, turn, zoom, shear, shift and bend in one sampling of the batch; for drawings, digits, medical slices.

    size: side, or (height, width), of the view; the picture's own where none.
    area: share of the picture's area that a crop covers; (1, 1) crops nothing.
    ratio: width over height of the crop before it is resized.
    flip: share of items mirrored left to right.
    rotation: degrees, ± this.
    zoom: factor of enlargement, uniform in its logarithm between the two.
    shear: degrees, ± this.
    shift: ± this share of the side, along both axes.
    elastic: standard deviation of the bending field, in half sides.
    cells: the bending field has this many cells along each axis; more bend finer.
    thickness: share of items whose bright strokes are made one pixel thicker or thinner, half each.
    brightness: factors are uniform in 1 ± this.
    contrast: factors are uniform in 1 ± this.
    fill: value beyond the border; the border's own where none.
    """
    out_size = sized(x, size)
    geometry.fit(area, ratio)
    geometry.data_only(x)
    x = colour.floats(x)
    b, _, height, width = x.shape
    keys: Keys = {}
    if thickness > 0:
        x, keys["thickness"] = geometry.thicken(x, generator, thickness)
    shape = (height, width)
    if height > 2 * out_size[0] or width > 2 * out_size[1]:  # fine detail is averaged first, or the sparse grid would alias
        shape = (min(height, 2 * out_size[0]), min(width, 2 * out_size[1]))
        x = torch.nn.functional.interpolate(x, size=shape, mode="bilinear", antialias=True)
    cropped = area != (1.0, 1.0)
    boxes = geometry.crop_boxes(x, generator, *shape, area, ratio) if cropped else geometry.whole_boxes(x, *shape)
    mirrored = draw.chance(x, generator, flip, b)
    angle = draw.uniform(x, generator, -rotation, rotation, b) * (math.pi / 180)
    lean = draw.uniform(x, generator, -shear, shear, b) * (math.pi / 180)
    larger = draw.uniform(x, generator, math.log(zoom[0]), math.log(zoom[1]), b).exp_()
    moved = draw.uniform(x, generator, -2.0 * shift, 2.0 * shift, b, 2)
    maps = geometry.affine(angle, larger, lean, moved, width / height)
    maps = torch.cat([torch.where(mirrored[:, None, None], -maps[:, :, :1], maps[:, :, :1]), maps[:, :, 1:]], 2)
    grid = geometry.grid_of(maps, out_size, boxes, shape)
    if elastic > 0:
        grid = grid + geometry.bend(x, generator, out_size, elastic, cells)
    view = geometry.sample(x, grid, fill)
    keys |= {"crop": geometry.shares(boxes, *shape), "flip": mirrored, "angle": angle, "zoom": larger, "shear": lean, "shift": moved}
    if brightness > 0 or contrast > 0:
        brush, done = colour.jitter(view, generator, (brightness, contrast, 0.0, 0.0), 1.0, 0.0)
        view = colour.painted(view, brush)
        keys |= {name: done[name] for name in ("brightness", "contrast")}
    return view.clamp_(0.0, 1.0), keys


def erase(
    x: Tensor,
    generator: Generator,
    *,
    share: Share = 0.5,
    area: Area = (0.02, 0.33),
    ratio: Ratio = (0.3, 3.3),
    fill: Literal["zero", "mean", "noise"] = "zero",
) -> tuple[Tensor, Keys]:
    """One rectangle of a share of the items is overwritten (Zhong et al. 2020, "Random erasing").

    share: share of items with a rectangle.
    area: share of the picture that the rectangle covers.
    ratio: its width over height, log-uniform.
    fill: what stands there afterwards: 0, the item's mean, or uniform noise.
    """
    height, width = sized(x, None)
    x = colour.floats(x)
    boxes = geometry.crop_boxes(x, generator, height, width, area, ratio)
    used = draw.chance(x, generator, share, len(x))
    inside = geometry.inside(boxes, height, width) & used[:, None, None]
    if fill == "noise":
        value = draw.uniform(x, generator, 0.0, 1.0, *x.shape)
    else:
        value = x.mean((2, 3), keepdim=True) if fill == "mean" else x.new_zeros(())
    return torch.where(inside[:, None], value, x), {"erased": geometry.shares(boxes, height, width) * used[:, None]}


def frequency(
    x: Tensor, generator: Generator, *, amplitude: NotNegative = 0.3, phase: NotNegative = 0.0, lost: Share = 0.0
) -> tuple[Tensor, Keys]:
    """Change the spectrum: amplitudes times a random factor, phases moved, some frequencies set to zero; the mean value stays.

    Keys: "lost", the share of the frequencies that is gone, and "change", the root mean square of the complex factors less 1.

    amplitude: factors exp(normal × this), one per frequency, the same for all channels.
    phase: standard deviation of the change of phase, in radians.
    lost: probability of a frequency to be removed.
    """
    height, width = sized(x, None)
    spectrum = torch.fft.rfft2(colour.floats(x))
    b, _, rows, columns = spectrum.shape
    gone = draw.chance(x, generator, lost, b, rows, columns)
    gain = (draw.normal(x, generator, b, rows, columns) * amplitude).exp_() * ~gone
    factor = torch.polar(gain, draw.normal(x, generator, b, rows, columns) * phase)
    factor[:, 0, 0], gone[:, 0, 0], others = 1.0, False, max(rows * columns - 1, 1)
    view = torch.fft.irfft2(spectrum * factor[:, None], s=(height, width))
    change = ((factor - 1).abs().square().sum((1, 2)) / others).sqrt()
    return view.clamp(0.0, 1.0), {"lost": gone.sum((1, 2)) / others, "change": change}


def noise(x: Tensor, generator: Generator, *, scale: Positive = 0.05) -> tuple[Tensor, Keys]:
    """Normal noise on every value; each item's standard deviation is uniform between 0 and `scale`.

    scale: largest standard deviation, in units of the full range.
    """
    x = colour.floats(x)
    width = draw.uniform(x, generator, 0.0, scale, len(x))
    return (x + draw.normal(x, generator, *x.shape) * width[:, None, None, None]).clamp_(0.0, 1.0), {"noise": width}


def turn(x: Tensor, generator: Generator, *, flip: Share = 0.5) -> tuple[Tensor, Keys]:
    """Quarter turns, exact to the pixel, each equally likely, and mirroring; for pictures where no direction is up.

    flip: share of items mirrored left to right.
    """
    height, width = sized(x, None)
    x = colour.floats(x)
    step = 1 if height == width else 2  # an oblong picture can only be put on its head
    quarters = draw.integers(x, generator, 0, 4 // step, len(x)) * step
    mirrored = draw.chance(x, generator, flip, len(x))
    view = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    for count in range(step, 4, step):
        view = torch.where((quarters == count)[:, None, None, None], torch.rot90(view, count, (2, 3)), view)
    return view, {"flip": mirrored, "quarters": quarters}
