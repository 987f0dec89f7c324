"""One item of each kind in a panel of a figure. Panels of a row share their scale, so that louder, larger and brighter can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.views import audio, colour
from counterpoint.views.linked import links

Words = Sequence[str] | Callable[[int], str] | None
COLUMNS, TOKENS, LINE, LINES = 64, 60, 34, 9  # numbers of a row, tokens of a text, letters of a line, lines that are shown
WIDE = {"text": 2.6, "series": 2.4, "audio": 2.4, "table": 2.4, "array": 2.4, "video": 3.0, "graph": 2.2, "interactions": 2.2}
NARROW = 1.5


def scale(kind: str, items: Sequence[Any]) -> tuple[float, float] | None:
    """(lowest, highest) value of the panels of a row: of the item itself where values are brightness, of all where they are places."""
    if kind in ("graph", "interactions", "text", "image", "video"):
        return None
    if kind in ("volume", "audio"):
        first = audio.spectrogram(items[0][None]) if kind == "audio" and items[0].dim() == 2 else items[0]
        values = colour.floats(first) if kind == "volume" else first.float()
    else:
        rows = [x[:3] if kind == "points" else x[:6] if kind == "series" else x for x in items]
        values = torch.cat([x.float().flatten() for x in rows])
    values = values[values.isfinite()]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def draw(axis: Any, kind: str, item: Any, words: Words, between: tuple[float, float] | None, own: Any) -> None:
    """One item. between: as `scale` gives it.   own: the item that a view was made of, for graphs."""
    if kind == "image":
        _pixels(axis, colour.floats(item[None])[0])
    elif kind == "volume":
        low, high = between or (0.0, 1.0)
        _pixels(axis, (colour.floats(item[None])[0, :, item.shape[1] // 2] - low) / (high - low))
    elif kind == "video":
        places = np.linspace(0, item.shape[1] - 1, min(3, item.shape[1])).round().astype(int)
        edge = torch.ones(item.shape[0], item.shape[2], 1)
        strips = [y for p in places for y in (colour.floats(item[None, :, int(p)])[0], edge)]
        _pixels(axis, torch.cat(strips[:-1], dim=2))
    elif kind == "audio":
        bands = (audio.spectrogram(item[None])[0, 0] if item.dim() == 2 else item[0]).float()
        axis.imshow(bands.numpy(), origin="lower", aspect="auto", cmap="magma", vmin=between and between[0], vmax=between and between[1])
    elif kind == "series":
        axis.plot(item[:6].T.float().numpy(), linewidth=0.8)
        _between(axis, between, "y")
    elif kind == "text":
        _words(axis, item, words)
    elif kind in ("points", "skeleton"):
        _places(axis, kind, item.float(), between)
    elif kind in ("graph", "interactions"):
        links(axis, item, own)
    else:
        _numbers(axis, item, between)


def _between(axis: Any, between: tuple[float, float] | None, which: str) -> None:
    low, high = between or (0.0, 1.0)
    edge = 0.05 * (high - low)
    for name in which:
        getattr(axis, f"set_{name}lim")(low - edge, high + edge)


def _pixels(axis: Any, x: Tensor) -> None:
    """(c, h, w): three channels in colour, any other number as the mean over channels."""
    if len(x) == 3:
        axis.imshow(x.permute(1, 2, 0).clamp(0, 1).numpy())
    else:
        axis.imshow(x.mean(0).numpy(), cmap="gray", vmin=0.0, vmax=1.0)


def _places(axis: Any, kind: str, x: Tensor, between: tuple[float, float] | None) -> None:
    """Points from the side, coloured by depth; a skeleton at three moments, the last darkest."""
    if kind == "points":
        axis.scatter(x[0].numpy(), x[2].numpy(), s=2, c=x[1].numpy(), cmap="viridis")
    else:
        known = (~x.isnan().any(0).any(1)).nonzero()[:, 0]
        for number, place in enumerate(known[np.linspace(0, len(known) - 1, 3).astype(int)] if len(known) else []):
            axis.scatter(x[0, place].numpy(), x[1, place].numpy(), s=6, color="tab:blue", alpha=(0.2, 0.45, 1.0)[number])
    _between(axis, between, "xy")
    axis.set_aspect("equal")


def _numbers(axis: Any, item: Tensor, between: tuple[float, float] | None) -> None:
    """One bar per column; a gap is a cross."""
    values = item.flatten().float()[:COLUMNS]
    axis.bar(range(len(values)), values.nan_to_num(0.0).numpy(), width=0.8)
    gaps = values.isnan().nonzero()[:, 0].numpy()
    axis.plot(gaps, np.zeros(len(gaps)), "rx", markersize=4)
    low, high = between or (0.0, 1.0)
    _between(axis, (min(low, 0.0), max(high, 0.0)), "y")
    if item.numel() > COLUMNS:
        axis.set_xlabel(f"the first {COLUMNS} of {item.numel()}", fontsize=6)


def _words(axis: Any, item: Tensor, words: Words) -> None:
    def say(i: int) -> str:
        if callable(words):
            return words(i)
        return "" if i == 0 else words[i] if words is not None and i < len(words) else str(i)

    lines: list[str] = []
    line = ""
    for word in filter(None, (say(int(i)).strip()[:LINE] for i in item[: 4 * TOKENS])):
        if line and len(line) + len(word) > LINE:
            lines, line = [*lines, line], ""
        line += f"{word} "
    lines.append(line)
    text = "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"])
    # parse_math: a dollar sign would start a formula
    axis.text(0.03, 0.95, text, va="top", fontsize=6.5, transform=axis.transAxes, parse_math=False)
