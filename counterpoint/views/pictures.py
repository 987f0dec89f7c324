"""A picture of items and their views, for every kind: one row per item, the item itself first."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, need
from counterpoint.core.options import Part
from counterpoint.core.recipe import Graph
from counterpoint.views import audio, colour, measures, ready


class Picture(bytes):
    """A PNG; notebooks show it."""

    def _repr_png_(self) -> bytes:
        return bytes(self)


def show(
    data: Any,
    preset: ready.Preset | Part,
    *,
    kind: str | None = None,
    items: int = 6,
    words: Sequence[str] | Callable[[int], str] | None = None,
    seed: int = 0,
) -> Picture:
    """A PNG of some items and their views, drawn by matplotlib (the extra "report").

    data: a data set, a batch (items, …), or a graph as a mapping.   preset: a preset, or one transform, which then makes two views.
    kind: of the data, where neither the data set nor the preset says it.   items: rows of the picture.
    words: what the ids of a text say: a list by id, or a function of an id; the ids themselves where none.   seed: of items and views.
    """
    if items < 1:
        raise DataError(f"items = {items} was given; a picture shows at least one")
    figures = need("matplotlib.figure", "report")
    generator = Generator().manual_seed(seed)
    transforms = preset.transforms if isinstance(preset, ready.Preset) else (preset, preset)
    kind = kind or (preset.kind if isinstance(preset, ready.Preset) else None)
    x: Any
    if isinstance(data, dict):
        kind, x, rows = "graph", data, 1
    else:
        x, modality = measures.some(data, items, generator)
        if isinstance(x, Graph):
            kind, x, rows = "graph", dict(x.parts), 1
        else:
            kind, rows = kind or (modality.kind if modality else measures.UNNAMED.get(x.dim())), len(x)
    if kind is None:
        raise DataError(f'the kind of data of shape {tuple(x.shape)} is not known; give kind="table", "text", "array" …')
    columns = [x] + [part(x, generator)[0] for part in transforms]
    wide = 3.0 if kind in ("text", "series", "audio", "table", "array") else 1.5
    figure = figures.Figure(figsize=(wide * len(columns), 0.3 + 1.5 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, made in enumerate(columns):
        axes[0][column].set_title("item" if column == 0 else f"view {column}", fontsize=9)
        for row in range(rows):
            axis = axes[row][column]
            axis.set_xticks([])
            axis.set_yticks([])
            if isinstance(made, dict) or kind != "graph":
                _draw(axis, kind, made if isinstance(made, dict) else made[row].detach().cpu(), words)
            else:
                _numbers(axis, made[row])
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return Picture(target.getvalue())


def _draw(axis: Any, kind: str, item: Any, words: Any) -> None:
    if kind == "image":
        _pixels(axis, item)
    elif kind == "volume":
        _pixels(axis, item[:, item.shape[1] // 2], stretch=True)
    elif kind == "video":
        places = np.linspace(0, item.shape[1] - 1, min(3, item.shape[1])).round().astype(int)
        _pixels(axis, torch.cat([item[:, int(p)] for p in places], dim=2))
    elif kind == "audio" and item.dim() == 2:
        axis.imshow(audio.spectrogram(item[None])[0, 0].numpy(), origin="lower", aspect="auto", cmap="magma")
    elif kind == "audio":
        axis.imshow(item[0].numpy(), origin="lower", aspect="auto", cmap="magma")
    elif kind == "series":
        axis.plot(item[:6].T.numpy(), linewidth=0.8)
    elif kind == "text":
        _words(axis, item, words)
    elif kind == "points":
        axis.scatter(item[0].numpy(), item[min(2, len(item) - 1)].numpy(), s=2, c=item[1].numpy(), cmap="viridis")
        axis.set_aspect("equal")
    elif kind == "skeleton":
        known = ~item.isnan().any(0).any(1)
        middle = item[:, known][:, int(known.sum()) // 2] if bool(known.any()) else item[:, 0]
        axis.scatter(middle[0].numpy(), middle[1].numpy(), s=8)
        axis.set_aspect("equal")
    elif kind == "graph":
        _links(axis, item)
    else:
        _numbers(axis, item)


def _pixels(axis: Any, item: Tensor, stretch: bool = False) -> None:
    """(c, h, w): three channels in colour, any other number as the mean over channels."""
    x = colour.floats(item[None])[0]
    if stretch:
        x = (x - x.min()) / (x.max() - x.min()).clamp(min=1e-9)
    if len(x) == 3:
        axis.imshow(x.permute(1, 2, 0).clamp(0, 1).numpy())
    else:
        axis.imshow(x.mean(0).numpy(), cmap="gray", vmin=0.0, vmax=1.0)


def _numbers(axis: Any, item: Tensor) -> None:
    """One bar per column; a gap is a cross."""
    values = item.flatten().float()[:64]
    axis.bar(range(len(values)), values.nan_to_num(0.0).numpy(), width=0.8)
    gaps = values.isnan().nonzero()[:, 0].numpy()
    axis.plot(gaps, np.zeros(len(gaps)), "rx", markersize=4)


def _words(axis: Any, item: Tensor, words: Any) -> None:
    ids = [int(i) for i in item if int(i) != 0][:40]
    say = words if callable(words) else (lambda i: words[i] if words is not None and i < len(words) else str(i))
    lines: list[str] = []
    line = ""
    for word in map(say, ids):
        if line and len(line) + len(word) > 38:
            lines, line = [*lines, line], ""
        line += f"{word} "
    # a dollar sign would start a formula
    axis.text(0.02, 0.95, "\n".join([*lines, line][:7]).replace("$", r"\$"), va="top", fontsize=7, transform=axis.transAxes)


def _links(axis: Any, graph: dict[str, Any]) -> None:
    """The first hundred nodes on a circle, and the links between them; nodes without a link are pale."""
    edges = graph["edge_index"].cpu().numpy()
    nodes = len(graph["x"]) if "x" in graph else int(edges.max(initial=-1)) + 1
    shown = min(nodes, 100)
    angle = np.arange(shown) * (2 * np.pi / max(shown, 1))
    inner = edges[:, (edges < shown).all(0)]
    axis.plot(np.cos(angle)[inner], np.sin(angle)[inner], color="0.5", linewidth=0.4)
    axis.scatter(np.cos(angle), np.sin(angle), s=5, c=np.where(np.isin(np.arange(shown), inner), "tab:blue", "0.85"))
    axis.set_aspect("equal")
