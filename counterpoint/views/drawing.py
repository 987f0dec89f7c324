"""One item of each kind in a panel of a figure. Panels of a row share their scale, so that louder, larger and brighter can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.views import audio, colour
from counterpoint.views.graph_drawing import links

Words = Sequence[str] | Callable[[int], str] | None
Scale = tuple[float, ...] | None  # lowest and highest value; of places, those along both axes of the panel
LINKED = ("graph", "interactions")
COLUMNS, TOKENS, LINE, LINES = 64, 240, 32, 9  # numbers of a row, tokens of a text, letters of a line, lines: as many are shown
WIDE = {"text": 2.6, "series": 2.4, "audio": 2.4, "table": 2.4, "array": 2.4, "video": 3.0, "graph": 2.2, "interactions": 2.2}
NARROW = 1.5  # what has no entry, in both directions
HIGH = {"graph": 1.9, "interactions": 1.9, "video": 1.1}
NOTES = {
    "volume": "the slice in the middle", "video": "the first, the middle and the last frame", "audio": "time to the right, pitch upwards",
    "points": "from the side; colour is depth", "skeleton": "three moments, the last one darkest", "text": "… a rare word",
    "graph": "an item (orange) and what is around it; dotted links were left out, red ones added; below, the features of these nodes",
    "table": "red crosses: missing", "array": "red crosses: missing",
}  # fmt: skip
NOTES["interactions"] = NOTES["graph"]


def note(kind: str, x: Any, words: Words) -> str:
    """What has to be known to read the panels of a kind; "" where there is nothing, or it does not occur."""
    if kind in ("table", "array") and not bool(x.isnan().any()):
        return ""
    if kind == "text" and not (callable(words) and any(words(int(i)) == "…" for i in x.unique())):
        return ""
    if kind == "audio" and x.dim() == 4:
        return ""
    whole = kind in LINKED and x.parts.get("batch") is not None
    return NOTES.get(kind, "").replace("an item (orange) and what is around it", "a small graph") if whole else NOTES.get(kind, "")


def high(kind: str, item: Any, words: Words) -> float:
    """Height of a panel, in inches: of a text as it has lines."""
    return 0.2 + 0.145 * len(_lines(item, words)) if kind == "text" else HIGH.get(kind, NARROW)


def scale(kind: str, items: Sequence[Any]) -> Scale:
    """The scale of the panels of a row: of the item itself where values are brightness, of all where they are sizes or places."""
    if kind in (*LINKED, "text", "image", "video"):
        return None
    if kind in ("points", "skeleton"):
        both = (0, 2) if kind == "points" else (0, 1)
        ends = [_ends(torch.cat([x[axis].float().flatten() for x in items])) for axis in both]
        half = max(high_ - low for low, high_ in ends) / 2
        return tuple(end for low, high_ in ends for end in ((low + high_) / 2 - half, (low + high_) / 2 + half))
    if kind == "volume":
        return _ends(colour.floats(items[0]))
    if kind == "audio":
        return _ends(_bands(items[0]))
    return _ends(torch.cat([(x[:6] if kind == "series" else x).float().flatten() for x in items]))


def _ends(values: Tensor) -> tuple[float, float]:
    values = values[values.isfinite()]
    low, high_ = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    return (low, high_) if high_ > low else (low - 0.5, low + 0.5)


def draw(axis: Any, kind: str, item: Any, words: Words, between: Scale, own: Any) -> None:
    """One item. between: as `scale` gives it.   own: the item that a view was made of, for graphs."""
    if kind == "image":
        _pixels(axis, colour.floats(item[None])[0])
    elif kind == "volume":
        low, top = between or (0.0, 1.0)
        _pixels(axis, (colour.floats(item[None])[0, :, item.shape[1] // 2] - low) / (top - low))
    elif kind == "video":
        places = np.linspace(0, item.shape[1] - 1, min(3, item.shape[1])).round().astype(int)
        edge = torch.ones(item.shape[0], item.shape[2], 1)
        strips = [y for p in places for y in (colour.floats(item[None, :, int(p)])[0], edge)]
        _pixels(axis, torch.cat(strips[:-1], dim=2))
    elif kind == "audio":
        low, top = between or (0.0, 1.0)
        axis.imshow(_bands(item).numpy(), origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=top)
    elif kind == "series":
        axis.plot(item[:6].T.float().numpy(), linewidth=0.8)
        _between(axis, between, "y")
    elif kind == "text":
        _words(axis, item, words)
    elif kind in ("points", "skeleton"):
        _places(axis, kind, item.float(), between)
    elif kind in LINKED:
        links(axis, item, own)
    else:
        _numbers(axis, item, between)


def _between(axis: Any, between: Scale, which: str) -> None:
    ends = between or (0.0, 1.0)
    for place, name in enumerate(which):
        low, top = ends[2 * place : 2 * place + 2]
        getattr(axis, f"set_{name}lim")(low - 0.05 * (top - low), top + 0.05 * (top - low))


def _bands(item: Tensor) -> Tensor:
    """(bands, frames) of a wave or of a spectrogram, its first channel."""
    return (audio.spectrogram(item[None])[0, 0] if item.dim() == 2 else item[0]).float()


def _pixels(axis: Any, x: Tensor) -> None:
    """(c, h, w): three channels in colour, any other number as the mean over channels."""
    if len(x) == 3:
        axis.imshow(x.permute(1, 2, 0).clamp(0, 1).numpy())
    else:
        axis.imshow(x.mean(0).numpy(), cmap="gray", vmin=0.0, vmax=1.0)


def _places(axis: Any, kind: str, x: Tensor, between: Scale) -> None:
    """Points from the side, coloured by depth; a skeleton at three moments, the last darkest."""
    if kind == "points":
        axis.scatter(x[0].numpy(), x[2].numpy(), s=2, c=x[1].numpy(), cmap="viridis")
    else:
        known = (~x.isnan().any(0).any(1)).nonzero()[:, 0]
        for number, place in enumerate(known[np.linspace(0, len(known) - 1, 3).astype(int)] if len(known) else []):
            axis.scatter(x[0, place].numpy(), x[1, place].numpy(), s=6, color="tab:blue", alpha=(0.2, 0.45, 1.0)[number])
    _between(axis, between, "xy")
    axis.set_aspect("equal")


def _numbers(axis: Any, item: Tensor, between: Scale) -> None:
    """One bar per column; a gap is a cross."""
    values = item.flatten().float()[:COLUMNS]
    axis.bar(range(len(values)), values.nan_to_num(0.0).numpy(), width=0.8)
    gaps = values.isnan().nonzero()[:, 0].numpy()
    axis.plot(gaps, np.zeros(len(gaps)), "rx", markersize=4)
    low, top = between or (0.0, 1.0)
    _between(axis, (min(low, 0.0), max(top, 0.0)), "y")
    if item.numel() > COLUMNS:
        axis.set_xlabel(f"the first {COLUMNS} of {item.numel()}", fontsize=6)


def _words(axis: Any, item: Tensor, words: Words) -> None:
    # parse_math: a dollar sign would start a formula
    place = {"va": "center", "transform": axis.transAxes, "parse_math": False}
    axis.text(0.03, 0.5, "\n".join(_lines(item, words)), fontsize=7.5, **place)


def _lines(item: Tensor, words: Words) -> list[str]:
    def say(i: int) -> str:
        if callable(words):
            return words(i)
        return "" if i == 0 else words[i] if words is not None and i < len(words) else str(i)

    lines: list[str] = []
    line = ""
    for word in filter(None, (say(int(i)).strip()[:LINE] for i in item[:TOKENS])):
        if line and len(line) + len(word) > LINE:
            lines, line = [*lines, line], ""
        line += f"{word} "
    lines.append(line)
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]
