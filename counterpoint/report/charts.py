"""Small charts as SVG text. Colours are CSS classes, so that light, dark and print need no second drawing.

A chart is drawn 380 units wide, about as wide as the card it stands in, so that its letters keep their size on a phone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from counterpoint.report import words

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 30
TINY = 1e-100
MOST_POINTS = 240  # of a line: more than one every 1.5 units cannot be told apart


@dataclass(frozen=True)
class Line:
    """One line: a name, its values (NaN = nothing known), and its look: "main", "second" or "chance" (dashed)."""

    name: str
    values: Sequence[Any]
    look: str = "main"


@dataclass(frozen=True)
class Chart:
    """title, a sentence that says what is to be seen, the SVG, legend (look, name), and what the pointer shows at each place."""

    title: str
    sentence: str
    svg: Markup
    legend: list[tuple[str, str]] = field(default_factory=list)
    hover: dict[str, Any] = field(default_factory=dict)
    note: str = ""


def nice(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers from at most `low` to at least `high`, about `about` of them; a range around `low` where both are the same."""
    size = max(abs(low), abs(high))
    if high - low <= max(1e-9 * size, TINY):
        low, high = (low - size / 2, low + size / 2) if size > TINY else (0.0, 1.0)
    span = high - low
    raw = span / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    digits = 2 - math.floor(math.log10(step))
    return [round(i * step, digits) for i in range(first, max(last, first + 1) + 1)]


def _finite(values: Sequence[Any]) -> np.ndarray:
    """Values as floats; what cannot be drawn is NaN, what is too small to differ from 0 is 0."""
    found = np.array([math.nan if (x := words.real(v)) is None or abs(x) > 1 / TINY else x for v in values], np.float64)
    return np.where(np.abs(found) < TINY, 0.0, found)


def _thin(values: np.ndarray, groups: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, lowest and highest of each group of places; NaN where a group has no finite value."""
    rows = [values[g][np.isfinite(values[g])] for g in groups]
    pick = [(r.mean(), r.min(), r.max()) if len(r) else (math.nan,) * 3 for r in rows]
    mean, low, high = np.array(pick, np.float64).reshape(-1, 3).T
    return mean, low, high


def _path(xs: np.ndarray, ys: np.ndarray) -> str:
    """Path data with a gap wherever y is not finite."""
    pieces, pen = [], "M"
    for x, y in zip(xs, ys):
        if math.isfinite(y):
            pieces.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(pieces)


def _frame(xticks: list[tuple[float, str]], yticks: list[tuple[float, str]], xlabel: str) -> Markup:
    """Grid lines and numbers; places are in units of the drawing."""
    parts = []
    for y, text in yticks:
        parts.append(Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(LEFT, WIDTH - RIGHT, y, y))
        parts.append(Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 6, y + 4, text))
    for i, (x, text) in enumerate(xticks):
        anchor = "end" if i and i == len(xticks) - 1 and x > WIDTH - 30 else "middle"
        parts.append(Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(x, HEIGHT - 13, anchor, text))
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 1, xlabel)
    )
    return Markup("").join(parts)


def _svg(inside: Markup, sentence: str) -> Markup:
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" tabindex="0" aria-label="{}">').format(WIDTH, HEIGHT, sentence)
    return head + inside + Markup('<g class="cursor"></g></svg>')


def _ticks_text(ticks: list[float]) -> list[str]:
    step = abs(ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0
    top = max(abs(t) for t in ticks)
    if top and (top < 0.01 or top >= 1e6):
        return ["0" if t == 0 else f"{t:.1e}".replace(".0e", "e").replace("e-0", "e−").replace("e+0", "e").replace("-", "−") for t in ticks]
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    if places and any(abs(t * 10**places - round(t * 10**places)) > 1e-6 for t in ticks):
        places += 1
    return [f"{t:,.{places}f}".replace("-", "−") for t in ticks]


def lines(
    title: str,
    x: Sequence[Any],
    series: Sequence[Line],
    *,
    zero: bool = False,
    xlabel: str = "step",
    note: str = "",
    limits: tuple[float, float] | None = None,
) -> Chart | None:
    """Lines over steps; None where no line has a finite value.

    Long runs are drawn as means over neighbouring steps, with a pale band from the lowest to the highest.
    zero: the axis starts at 0.   limits: the axis holds at least this range.
    """
    places = _finite(x)
    there = np.isfinite(places)
    places = places[there]
    known = [(s, v) for s in series if np.isfinite(v := _finite(s.values)[there]).any()]
    if not known:
        return None
    groups = np.array_split(np.arange(len(places)), min(MOST_POINTS, len(places)))
    middle = np.array([places[g].mean() for g in groups])
    thinned = [(s, *_thin(v, groups)) for s, v in known]
    seen = np.concatenate([np.concatenate([low, high]) for _, _, low, high in thinned])
    seen = np.concatenate([seen[np.isfinite(seen)], limits or (), (0.0,) if zero else ()])
    yt = nice(float(seen.min()), float(seen.max()))
    x_low, x_high = float(middle.min()), float(places.max())
    if 0 < x_low < 0.1 * x_high:
        x_low = 0.0

    def across(v: np.ndarray | float) -> Any:
        return (
            LEFT + (np.asarray(v) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
            if x_high > x_low
            else np.asarray(v) * 0 + (LEFT + WIDTH) / 2
        )

    def up(v: np.ndarray | float) -> Any:
        return HEIGHT - BOTTOM - (np.asarray(v) - yt[0]) / (yt[-1] - yt[0]) * (HEIGHT - TOP - BOTTOM)

    xt = [t for t in nice(x_low, x_high) if x_low <= t <= x_high] if x_high > x_low else [x_low]
    parts = [
        _frame(list(zip(across(np.array(xt)).tolist(), _ticks_text(xt))), list(zip(up(np.array(yt)).tolist(), _ticks_text(yt))), xlabel)
    ]
    px = across(middle)
    for s, mean, low, high in thinned:
        if len(places) > len(groups) and s.look != "chance":
            ok = np.isfinite(low)
            band = _path(px[ok], up(high[ok])) + "L" + _path(px[ok][::-1], up(low[ok])[::-1])[1:] + "Z"
            parts.append(Markup('<path class="band {}" d="{}"/>').format(s.look, band))
        parts.append(Markup('<path class="line {}" d="{}"/>').format(s.look, _path(px, up(mean))))
        alone = [
            i
            for i in range(len(mean))
            if math.isfinite(mean[i]) and not np.isfinite(mean[[j for j in (i - 1, i + 1) if 0 <= j < len(mean)]]).any()
        ]
        parts += [Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(s.look, px[i], up(mean[i])) for i in alone]
    bad = sum(int((~np.isfinite(v)).sum()) for s, v in known if s.look == "main")
    if bad:
        note = f"{words.count(bad, 'value')} not finite or not written down." + (f" {note}" if note else "")
    hover = {
        "x": [round(float(p), 1) for p in px],
        "y": [[round(float(p), 1) if math.isfinite(p) else None for p in up(mean)] for _, mean, _, _ in thinned],
        "look": [s.look for s, *_ in thinned],
        "head": [f"{xlabel} {words.number(round(float(m)))}" for m in middle],
        "rows": [[s.name, [words.number(m, 4) for m in mean.tolist()]] for s, mean, _, _ in thinned],
    }
    sentence = f"{title}. " + " ".join(_told(s, v, places, xlabel) for s, v in known)
    return Chart(
        title, sentence, _svg(Markup("").join(parts), sentence), [(s.look, s.name) for s, _ in known] if len(known) > 1 else [], hover, note
    )


def _told(line: Line, values: np.ndarray, places: np.ndarray, xlabel: str) -> str:
    """One line in words, for who cannot see it."""
    good = np.flatnonzero(np.isfinite(values))
    first, last = values[good[0]], values[good[-1]]
    if line.look == "chance" or len(good) == 1 or first == last:
        return f"{line.name}: {words.number(last)}."
    return f"{line.name}: {words.number(first)} at first, {words.number(last)} at {xlabel} {words.number(places[good[-1]])}."


def histogram(title: str, edges: Sequence[float], series: Sequence[Line]) -> Chart | None:
    """Two or more distributions over the same bins, each as a filled outline; the heights are shares of each one's own items."""
    sides = _finite(edges)
    known = [(s, v / v.sum()) for s in series if len(v := np.nan_to_num(_finite(s.values))) == len(sides) - 1 and v.sum() > 0]
    if not known or not np.isfinite(sides).all():
        return None
    top = max(float(v.max()) for _, v in known)

    def across(v: Any) -> Any:
        return LEFT + (np.asarray(v) - sides[0]) / (sides[-1] - sides[0]) * (WIDTH - LEFT - RIGHT)

    def up(v: Any) -> Any:
        return HEIGHT - BOTTOM - np.asarray(v) / top * (HEIGHT - TOP - BOTTOM)

    xt = [t for t in nice(float(sides[0]), float(sides[-1])) if sides[0] <= t <= sides[-1]]
    parts = [_frame(list(zip(across(np.array(xt)).tolist(), _ticks_text(xt))), [(float(up(0)), "")], "cosine similarity")]
    for s, v in known:
        steps_x, steps_y = np.repeat(across(sides), 2)[1:-1], np.repeat(up(v), 2)
        outline = _path(steps_x, steps_y)
        closed = f"M{steps_x[0]:.1f} {up(0):.1f}L{outline[1:]}L{steps_x[-1]:.1f} {up(0):.1f}Z"
        parts.append(Markup('<path class="fill {}" d="{}"/><path class="line {}" d="{}"/>').format(s.look, closed, s.look, outline))
    centres = (sides[:-1] + sides[1:]) / 2
    mean = {s.name: float((v * centres).sum()) for s, v in known}
    hover = {
        "x": [round(float(p), 1) for p in across(centres)],
        "y": [[round(float(p), 1) for p in up(v)] for _, v in known],
        "look": [s.look for s, _ in known],
        "head": [f"{a:.2f} to {b:.2f}".replace("-", "−") for a, b in itertools.pairwise(sides.tolist())],
        "rows": [[s.name, [f"{100 * share:.1f}%" for share in v.tolist()]] for s, v in known],
    }
    sentence = f"{title}. " + " ".join(f"{name}: around {value:.2f}.".replace("-", "−") for name, value in mean.items())
    return Chart(title, sentence, _svg(Markup("").join(parts), sentence), [(s.look, s.name) for s, _ in known], hover)


def spectrum(title: str, values: Sequence[float], sentence: str) -> Chart | None:
    """Singular values on a logarithmic axis, as shares of the largest."""
    shares = _finite(values)
    shares = shares[np.isfinite(shares) & (shares > 0)]
    if len(shares) == 0:
        return None
    shares = shares / shares.max()
    low = max(math.floor(math.log10(shares.min())), -6)
    height = np.where(shares >= 10.0**low, np.log10(shares), np.nan)
    span = max(-low, 1)

    def up(v: Any) -> Any:
        return TOP - np.asarray(v) / span * (HEIGHT - TOP - BOTTOM)

    def across(v: Any) -> Any:
        return LEFT + (np.asarray(v) - 1) / max(len(shares) - 1, 1) * (WIDTH - LEFT - RIGHT)

    xt = [1.0] + [t for t in nice(1, len(shares)) if 1 < t <= len(shares) and t == int(t)]
    yt = [(float(up(-p)), "1" if p == 0 else f"{10.0**-p:.{p}f}".rstrip("0") if p <= 3 else f"1e−{p}") for p in range(span + 1)]
    line = Markup('<path class="line main" d="{}"/>').format(_path(across(np.arange(1, len(shares) + 1)), up(height)))
    if len(shares) == 1:
        line = Markup('<circle class="dot main" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(across(1), up(0))
    inside = _frame(list(zip(across(np.array(xt)).tolist(), _ticks_text(xt))), yt, "direction") + line
    hover = {
        "x": [round(float(p), 1) for p in across(np.arange(1, len(shares) + 1))],
        "y": [[round(float(p), 1) if math.isfinite(p) else None for p in up(height)]],
        "look": ["main"],
        "head": [f"direction {i}" for i in range(1, len(shares) + 1)],
        "rows": [["share of the largest", [words.number(s) for s in shares.tolist()]]],
    }
    return Chart(title, sentence, _svg(inside, f"{title}. {sentence}"), [], hover)
