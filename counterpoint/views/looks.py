"""Views of pictures in two halves: what is drawn for each item, and what is then done with the pixels, for all views of a batch at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ParamSpec

import torch
from torch import Generator, Tensor

from counterpoint.core.options import Part
from counterpoint.views import colour, graph
from counterpoint.views.cutting import Cut, cut_out

Keys = dict[str, Tensor]
P = ParamSpec("P")


@dataclass(frozen=True)
class Look:
    """All that was drawn for k views of b pictures, in rows as of a `Cut`.

    cut: what is cut out.   keys: what will be said of it.   upside, solarise: (k·b,) whether.
    blur: (k·b,) σ in pixels of the view, 0 = none.
    """

    cut: Cut
    keys: Keys
    upside: Tensor | None = None
    blur: Tensor | None = None
    solarise: Tensor | None = None


_DRAWN: dict[Callable[..., Any], Callable[..., Look]] = {}


def looked(draw: Callable[P, Look]) -> Callable[P, tuple[Tensor, Keys]]:
    """The transform of what `draw(x, generator, *, options)` draws; it reads the shape of x alone."""

    @functools.wraps(draw)
    def transform(*args: P.args, **options: P.kwargs) -> tuple[Tensor, Keys]:
        x: Any = args[0]
        return shown(x, [draw(*args, **options)])[0]

    transform.__annotations__ = {**draw.__annotations__, "return": "tuple[Tensor, Keys]"}
    _DRAWN[transform] = draw
    return transform


def shown(x: Tensor, looks: Sequence[Look]) -> list[tuple[Tensor, Keys]]:
    """The views of x (b, c, h, w), each with its keys."""
    made = []
    for look, views in zip(looks, cut_out(x, [look.cut for look in looks]), strict=True):
        for k, view in enumerate(views):
            rows = slice(k * len(x), (k + 1) * len(x))
            made.append((_finished(view, look, rows), {name: key[rows] for name, key in look.keys.items()}))
    return made


def _finished(view: Tensor, look: Look, rows: slice) -> Tensor:
    if look.upside is not None:
        view = torch.where(look.upside[rows, None, None, None], view.flip(2), view)
    if look.blur is not None:
        view = colour.blur_some(view, look.blur[rows])
    return view if look.solarise is None else colour.solarise(view, look.solarise[rows], 0.5)


def together(transforms: Sequence[Part], x: Any, generator: Generator) -> list[tuple[Any, Keys]]:
    """(view, keys) of a field of a batch by each of these transforms.

    Of pictures, each is read once for all its views, and neighbours of one law are drawn at once.
    """
    if not isinstance(x, Tensor) or any(part.make not in _DRAWN for part in transforms):
        return [graph.applied(transform, x, generator) for transform in transforms]
    looks = []
    for part, same in groupby(transforms):
        shape = x[:1].expand(len(x) * len(list(same)), *x.shape[1:])
        looks.append(_DRAWN[part.make](shape, generator, **part.options))
    return shown(x, looks)
