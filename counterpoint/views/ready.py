"""Ready transforms by kind and name, each with its reason. (Those that fit data of a given shape: views/fitting.py.)

`preset("image", "simclr", size=32)` is called with a whole batch: `made = preset(batch)`; `made[0]`, `made[1]` are the views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from counterpoint.core import options
from counterpoint.core.errors import OptionError, nearest
from counterpoint.core.options import Count, Part, use
from counterpoint.views.checked import checked, drawn
from counterpoint.views.entry import Entry, small_side
from counterpoint.views.listed import PRESETS
from counterpoint.views.looks import together

Side = Count | tuple[Count, Count]


@dataclass(frozen=True, repr=False)
class Preset:
    """Transforms that make the views of a batch, one each. Its repr says all their options.

    kind, name: where it is listed.   why: the reason.
    small: so many of the last views are of little of the item, and 3/7 as wide and high as it where their size is not said.
    """

    kind: str
    name: str
    transforms: tuple[Part, ...]
    why: str = ""
    small: int = 0

    def __call__(self, batch: Any, generator: Generator | None = None) -> list[Any]:
        """The views of a whole batch, one each, in float32 (text: ids as they came).

        batch: a tensor or NumPy array (items, …); see `views.checked`. Of nodes a mapping {"x": (n, f), "edge_index": (2, e)} or PyTorch
        Geometric's Data, whose views are such mappings, or a core Graph, whose views are Graphs.
        generator: a new one, seeded by torch's own, where none is given.

        Raises DataError for what is no such batch, OptionError for another generator.
        """
        generator, x = drawn(generator), checked(batch, self.kind)
        usual = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            return [view for view, _ in together(self.sized(x), x, generator)]
        finally:
            torch.set_default_dtype(usual)

    def sized(self, x: Any) -> tuple[Part, ...]:
        """The transforms, the small ones with their size for pictures like x (items, channels, height, width)."""
        if not self.small or not isinstance(x, Tensor):
            return self.transforms
        return small_sized(self.transforms, self.small, (x.shape[2], x.shape[3]))

    def __repr__(self) -> str:
        times = Counter(map(_said, self.transforms))
        said = ", ".join(f"{n} × {part}" if n > 1 else part for part, n in times.items())
        open_ = self.small and not self.transforms[-1].options.get("size")
        return f"Preset({self.kind!r}, {self.name!r}: {said}{f'; the last {self.small} at 3/7 of the size' if open_ else ''})"


def small_sized(transforms: tuple[Part, ...], small: int, own: tuple[int, int]) -> tuple[Part, ...]:
    """The last `small` transforms with a size where they have none: 3/7 of that of the first, or of the item's `own` (height, width)."""
    given = transforms[0].options.get("size")
    height, width = (given, given) if isinstance(given, int) else given or own
    size = small_side(height) if height == width else (small_side(height), small_side(width))
    large = len(transforms) - small
    return transforms[:large] + tuple(part if part.options.get("size") else use(part, size=size) for part in transforms[large:])


def _said(value: Any) -> str:
    """A value with all its options, those inside it too."""
    if isinstance(value, Part):
        inner = ", ".join(f"{name}={_said(chosen)}" for name, chosen in value.effective().items())
        return f"{options.name_of(value.make)}({inner})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_said, value))}{',' * (len(value) == 1)})"
    return repr(value)


def presets(kind: str | None = None) -> dict[str, dict[str, str]]:
    """{kind: {name: the reason}} of all presets, or of one kind."""
    kinds = PRESETS if kind is None else {kind: listed(kind)}
    return {k: {name: entry.why for name, entry in named.items()} for k, named in kinds.items()}


def listed(kind: str) -> Mapping[str, Entry]:
    """The presets of a kind."""
    if not isinstance(kind, str):
        raise OptionError(f"kind = {kind!r} is not a word; give the name of a kind of data: {', '.join(sorted(PRESETS))}")
    if kind not in PRESETS:
        raise OptionError(f"there are no views for the kind {kind!r}{nearest(kind, PRESETS)}")
    return PRESETS[kind]


def preset(kind: str, name: str = "default", **chosen: Any) -> Preset:
    """The views of this kind and name. Options go to every transform of the preset that has them; each must be known to one.

    Where some views are small (multi_crop), `size` is that of the others and `local_size` theirs: 3/7 of the former where not given.
    """
    known = listed(kind)
    if not isinstance(name, str):
        raise OptionError(f"name = {name!r} is not a word; give the name of {kind} views: {', '.join(sorted(known))}")
    if name not in known:
        raise OptionError(f"there are no {kind} views called {name!r}{nearest(name, known)}")
    entry = known[name]
    here = {option for part in entry.transforms for option in options.parameters(part.make)} | ({"local_size"} if entry.small else set())
    for option in chosen:
        if option not in here:
            raise OptionError(f"the {kind} views {name!r} have no option {option!r}{nearest(option, here)}")
    local = chosen.pop("local_size", None)
    if local is not None:
        options.check(local, Side, f"the {kind} views {name!r}: local_size")
    made = Preset(kind, name, tuple(_with(part, chosen) for part in entry.transforms), entry.why, entry.small)
    if not entry.small:
        return made
    large, little = made.transforms[: -entry.small], made.transforms[-entry.small :]
    made = replace(made, transforms=large + tuple(use(part, size=local) for part in little))
    return replace(made, transforms=small_sized(made.transforms, made.small, (0, 0))) if chosen.get("size") else made


def _with(part: Part, chosen: Mapping[str, Any]) -> Part:
    return use(part, **{k: v for k, v in chosen.items() if k in options.parameters(part.make)})
