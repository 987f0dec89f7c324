"""What a view looks like to something that has learned nothing: simple numbers per item, in which near means alike.

Used to measure views before an encoder exists: (b, …) of one kind → (b, d) float32 of length one. Views of another size than
their originals give the same d.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Graph
from counterpoint.views import audio, colour, series

CELLS, ANGLES, STEPS, WORDS = 4, 8, 32, 2048


def describe(x: Tensor | Graph, kind: str, padding: int = 0) -> Tensor:
    """(b, d) rows of length one for items (b, …) of this kind."""
    makers = {"image": _image, "series": _series, "volume": _volume, "video": _video, "audio": _audio, "points": _points}
    if isinstance(x, Graph):
        rows = _graph(x)
    elif kind == "text":
        rows = _text(x, padding)
    elif kind == "skeleton":
        rows = _series(x.transpose(2, 3).flatten(1, 2))
    elif kind in ("table", "array"):
        rows = x.float().nan_to_num(0.0)
    elif kind in makers:
        rows = makers[kind](x)
    else:
        raise DataError(f"views of {kind} cannot be measured without an encoder; give features=, a function of a batch")
    return F.normalize(rows.float().flatten(1), dim=1)


def _image(x: Tensor) -> Tensor:
    """Histograms of edge directions in 4 × 4 cells (after Dalal and Triggs 2005), and the mean colours of 2 × 2 cells, weighed less."""
    x = colour.floats(x)
    if max(x.shape[2:]) > 32:
        x = F.interpolate(x, size=(32, 32), mode="bilinear", antialias=True, align_corners=False)
    elif min(x.shape[2:]) < 16:
        x = F.interpolate(x, size=(16, 16), mode="bilinear", align_corners=False)
    light = (x * colour.grey_weights(x.shape[1], x).view(1, -1, 1, 1)).sum(1, keepdim=True)
    padded = F.pad(light, (1, 1, 1, 1), mode="replicate")
    right, down = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2], padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    angle = torch.atan2(down, right) / math.pi * (ANGLES / 2)  # −4 … 4
    bins = torch.arange(ANGLES, device=x.device).view(1, -1, 1, 1)
    near = ((angle - bins + ANGLES / 2) % ANGLES - ANGLES / 2).abs()
    votes = (1.0 - near).clamp(min=0.0) * (right.square() + down.square()).sqrt()
    cells = F.adaptive_avg_pool2d(votes, CELLS)
    edges = F.normalize(F.normalize(cells, dim=1, eps=0.02).flatten(1), dim=1)
    colours = F.adaptive_avg_pool2d(x - 0.5, 2).flatten(1)
    return torch.cat([edges, 0.5 * colours], 1)


def _series(x: Tensor) -> Tensor:
    """The course at 32 places of each item's own length, and the spectrum, each half of the length."""
    ends = series.lengths(x)
    pace = (ends - 1).clamp(min=0)[:, None] / (STEPS - 1)
    course = series.at(x, torch.arange(STEPS, device=x.device) * pace).nan_to_num(0.0)
    tones = torch.fft.rfft(course - course.mean(2, keepdim=True)).abs()
    return torch.cat([F.normalize(course.flatten(1), dim=1), F.normalize(tones.flatten(1), dim=1)], 1)


def _volume(x: Tensor) -> Tensor:
    pooled = F.adaptive_avg_pool3d(colour.floats(x), 8).flatten(1)
    return pooled - pooled.mean(1, keepdim=True)


def _video(x: Tensor) -> Tensor:
    """The pictures' numbers, averaged over four moments."""
    places = torch.linspace(0, x.shape[2] - 1, min(4, x.shape[2])).round().long()
    return torch.stack([_image(x[:, :, int(p)]) for p in places]).mean(0)


def _audio(x: Tensor) -> Tensor:
    """Logarithm of the energy in 24 bands and 16 stretches of time; spectrograms are averaged in the same cells."""
    if x.dim() == 3:
        x = audio.spectrogram(x.nan_to_num(0.0))
    bands = F.adaptive_avg_pool2d(x.mean(1, keepdim=True), (24, 16)).flatten(1)
    return bands - bands.mean(1, keepdim=True)


def _points(x: Tensor) -> Tensor:
    """How many points lie in each of 16 shells about the middle, and the three spreads, largest first: turning changes neither."""
    there = ~x[:, :3].isnan().any(1, keepdim=True)
    places = x[:, :3].nan_to_num(0.0)
    count = there.sum(2, keepdim=True).clamp(min=1)
    places = (places - (places * there).sum(2, keepdim=True) / count) * there
    spread = torch.linalg.eigvalsh(places @ places.transpose(1, 2) / count).clamp(min=1e-12).sqrt().flip(1)
    radius = places.square().sum(1).sqrt() / spread.sum(1, keepdim=True)
    shells = (radius[:, :, None] * 8).long().clamp(max=15) == torch.arange(16, device=x.device)
    return torch.cat([(shells & there.transpose(1, 2)).float().mean(1) * 2, spread / spread.sum(1, keepdim=True)], 1)


def _text(x: Tensor, padding: int) -> Tensor:
    """How often each token stands there, by its id modulo 2,048, under a logarithm; frequent tokens weigh less."""
    there = (x != padding).float()
    counts = torch.zeros(len(x), WORDS, device=x.device).scatter_add_(1, x.long() % WORDS, there)
    common = (counts > 0).float().mean(0)
    return counts.log1p() * (1.0 / (common + 1.0 / len(x))).log().clamp(min=0.0).add(0.1)


def _graph(nodes: Graph) -> Tensor:
    """The features of a node and the mean of its neighbours', each half of the length."""
    x, (source, target) = nodes.parts["x"].float(), nodes.parts["edge_index"]
    degree = torch.bincount(target, minlength=len(x)).clamp(min=1)
    around = torch.zeros_like(x).index_add_(0, target, x[source]) / degree[:, None]
    return torch.cat([F.normalize(nodes.x.float(), dim=1), F.normalize(around[nodes.rows], dim=1)], 1)
