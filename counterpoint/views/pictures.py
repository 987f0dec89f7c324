"""A picture of items and their views, for every kind: one row per item, the item itself first."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from counterpoint.core.errors import DataError, OptionError, need
from counterpoint.core.options import Part
from counterpoint.core.recipe import Graph
from counterpoint.views import drawing, graph
from counterpoint.views.ready import Preset
from counterpoint.views.sampling import part_of, sample, seeded


class Picture(bytes):
    """A PNG; notebooks show it."""

    def _repr_png_(self) -> bytes:
        return bytes(self)


@dataclass(frozen=True)
class Column:
    """A column of a picture. title: above it.   kind: of data.   x: (b, …) or a core Graph, an item a row.

    own: what the view was made of; itself where none.   words: what the ids of a text say, see `show`.
    """

    title: str
    kind: str
    x: Any
    own: Any = None
    words: drawing.Words = None


def show(
    data: Any,
    preset: Preset | Part,
    *,
    kind: str | None = None,
    items: int = 6,
    words: drawing.Words = None,
    seed: int = 0,
) -> Picture:
    """A PNG of some items and their views, drawn by matplotlib (the extra "report").

    data: a data set, a batch (items, …), or a graph as a mapping {"x", "edge_index"}, PyTorch Geometric's Data or a core Graph, whose
    items are nodes with what is around them, or the small graphs where it has "batch".
    preset: a preset, or one transform, which then makes two views.
    kind: of the data, where neither the data set nor the preset says it.   items: rows of the picture.
    words: what the ids of a text say: a list by id, or a function of an id, "" for the padding; a data set's own where none, of a batch the
        ids themselves.
    seed: of items and views.
    """
    preset, generator = part_of(preset), seeded(seed)
    if words is not None and not callable(words) and not isinstance(words, Sequence):
        raise OptionError(f"words = {words!r} was given; it is a list of words by id, or a function of an id")
    need("matplotlib.figure", "report")
    found = sample(data, preset, kind, items, generator)
    transforms = preset.sized(found.x) if isinstance(preset, Preset) else (preset, preset)
    small = preset.small if isinstance(preset, Preset) else 0
    words = words or found.words
    columns = [Column("item", found.kind, found.x, words=words)]
    for number, part in enumerate(transforms, 1):
        title = f"view {number}" + (", small" if number > len(transforms) - small else "")
        columns.append(Column(title, found.kind, graph.applied(part, found.x, generator)[0], found.x, words))
    return picture(columns)


def picture(columns: Sequence[Column]) -> Picture:
    """The PNG of columns that lie beside each other."""
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # signs that no font here has are drawn as boxes
        figure(columns).savefig(target, format="png")
    return Picture(target.getvalue())


def figure(columns: Sequence[Column]) -> Any:
    """The matplotlib figure: a panel for each item of each column, titles above."""
    made = [_items(column.x) for column in columns]
    rows = min(map(len, made))
    wide = [drawing.WIDE.get(column.kind, drawing.NARROW) for column in columns]
    high = [max(drawing.high(c.kind, items[row], c.words) for c, items in zip(columns, made)) for row in range(rows)]
    drawn = need("matplotlib.figure", "report").Figure(figsize=(sum(wide), 0.45 + sum(high)), dpi=100, layout="constrained")
    axes = drawn.subplots(rows, len(columns), squeeze=False, width_ratios=wide, height_ratios=high)
    notes = dict.fromkeys(drawing.note(column.kind, column.x, column.words) for column in columns)
    if any(notes):
        drawn.supxlabel(textwrap.fill(" · ".join(filter(None, notes)), round(17 * sum(wide))), fontsize=7, color="0.35")
    for row in range(rows):
        for place, column in enumerate(columns):
            axis = axes[row][place]
            axis.set_xticks([])
            axis.set_yticks([])
            if row == 0:
                axis.set_title(column.title, fontsize=9)
            # the scale of a row is that of all panels with items of this kind that show the same thing
            same = [made[k][row] for k, other in enumerate(columns) if (other.x if other.own is None else other.own) is _own(column)]
            drawing.draw(axis, column.kind, made[place][row], column.words, drawing.scale(column.kind, same), _items(_own(column))[row])
    return drawn


def _own(column: Column) -> Any:
    return column.x if column.own is None else column.own


def _items(x: Any) -> list[Any]:
    """The items of a column, one by one; (parts, which) of a graph's."""
    if isinstance(x, Tensor):
        return list(x.detach().cpu())
    if not isinstance(x, Graph):
        raise DataError(f"{type(x).__name__} cannot be drawn; a column is a tensor (items, …) or nodes in their graph")
    at = x.to("cpu", non_blocking=False)
    which = at.rows if at.parts.get("batch") is None else at.parts["batch"][at.rows].unique()
    return [(at.parts, int(item)) for item in which]
