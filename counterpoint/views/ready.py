"""Ready transforms by kind and name, each with its reason; and the one that fits data of a given shape.

`preset("image", "simclr", size=32)` is called with a whole batch: `made = preset(batch)`; `made[0]`, `made[1]` are the views.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core import options
from counterpoint.core.errors import DataError, OptionError, nearest
from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Modality, Spec
from counterpoint.views import array, audio, graph, image, points, series, skeleton, table, text, video, volume
from counterpoint.views.listed import PRESETS

Strength = Literal["weak", "default", "strong"]


@dataclass(frozen=True)
class Preset:
    """Transforms that make the views of a batch, one each. kind, name: where it is listed; why: the reason."""

    kind: str
    name: str
    transforms: tuple[Part, ...]
    why: str = ""

    def __call__(self, batch: Any, generator: Generator | None = None) -> list[Any]:
        """The views of a whole batch, a tensor (b, …) each; without a generator a new one, seeded by torch's own."""
        if generator is None:
            generator = Generator().manual_seed(int(torch.randint(2**62, ()).item()))
        x = torch.from_numpy(batch) if isinstance(batch, np.ndarray) else batch
        if isinstance(x, Tensor):
            if len(x) == 0:
                raise DataError("an empty batch was given; views need at least one item")
            if self.kind == "image" and x.is_floating_point() and not (x.min() >= -1e-3 and x.max() <= 1 + 1e-3):
                low, high = float(x.min()), float(x.max())
                raise DataError(f"float pictures with values from {low:g} to {high:g} were given; scale them to [0, 1], or give uint8")
        return [transform(x, generator)[0] for transform in self.transforms]


def presets(kind: str | None = None) -> dict[str, dict[str, str]]:
    """{kind: {name: the reason}} of all presets, or of one kind."""
    if kind is not None and kind not in PRESETS:
        raise OptionError(f"there are no views for the kind {kind!r}{nearest(kind, PRESETS)}")
    return {k: {name: entry.why for name, entry in named.items()} for k, named in PRESETS.items() if kind in (None, k)}


def preset(kind: str, name: str = "default", **chosen: Any) -> Preset:
    """The views of this kind and name. Options go to every transform of the preset that has them; each must be known to one."""
    presets(kind)
    named = PRESETS[kind]
    if name not in named:
        raise OptionError(f"there are no {kind} views called {name!r}{nearest(name, named)}")
    entry = named[name]
    known = {option for part in entry.transforms for option in options.parameters(part.make)}
    for option in chosen:
        if option not in known:
            raise OptionError(f"the {kind} views {name!r} have no option {option!r}{nearest(option, known)}")
    made = tuple(use(part, **{k: v for k, v in chosen.items() if k in options.parameters(part.make)}) for part in entry.transforms)
    return Preset(kind, name, made, entry.why)


# ---- the transform that fits -------------------------------------------------------------------------------------------


def default(data: Spec | Modality, *, strength: Strength = "default") -> Part:
    """The transform for a modality (the only one of a spec), sized to its shape, with its options written out.

    strength: how far views go from the item.
    """
    return of_modality(data.only if isinstance(data, Spec) else data, strength)


def named(data: Spec | Modality, *, name: str) -> Part:
    """The transform called `name`, sized to the data.

    name: "weak", "default", "strong", or a preset of the kind whose views all follow one law.
    """
    modality = data.only if isinstance(data, Spec) else data
    found = candidates(modality)
    if name not in found:
        raise OptionError(f"there are no {modality.kind} views called {name!r}{nearest(name, [*found, 'auto'])}")
    return found[name]


def candidates(modality: Modality) -> dict[str, Part]:
    """All transforms that make both views of this kind of data, by name, sized to it; the default's three strengths first."""
    found = {strength: of_modality(modality, strength) for strength in get_args(Strength)}
    own = found["default"].options
    for name, entry in PRESETS.get(modality.kind, {}).items():
        part = entry.transforms[0]
        if part.make is audio.bands and len(modality.shape) != 3:  # for spectrograms, not for waves
            continue
        if name != "default" and all(other == part for other in entry.transforms):
            fitting = options.parameters(part.make).keys() & {"size", "numeric", "head", "padding", "rate", "frames", "strides"}
            found[name] = use(part, **{k: own[k] for k in fitting if k in own})
    return found


def of_modality(modality: Modality, strength: Strength | str = "default") -> Part:
    """The transform for one modality; see `default`."""
    if strength not in get_args(Strength):
        raise OptionError(f"there is no strength {strength!r}{nearest(str(strength), get_args(Strength))}")
    if modality.kind not in _DEFAULTS:
        raise DataError(f"there are no views for data of the kind {modality.kind!r}{nearest(modality.kind, _DEFAULTS)}")
    part = _DEFAULTS[modality.kind](modality, {"weak": 0.5, "default": 1.0, "strong": 1.5}[strength])
    return use(part.make, **{k: _tidy(v) for k, v in part.options.items()})


def _tidy(value: Any) -> Any:
    """0.30000000000000004 reads as 0.3 in a configuration."""
    if isinstance(value, tuple):
        return tuple(_tidy(v) for v in value)
    return round(value, 6) if isinstance(value, float) else value


def _image(modality: Modality, force: float) -> Part:
    channels, height, width = modality.shape
    size = height if height == width else (height, width)
    if channels == 1 and max(height, width) <= 64:
        return use(
            image.warp, size=size, rotation=15.0 * force, zoom=(1 - 0.15 * force, 1 + 0.15 * force), shear=12.0 * force, shift=0.08 * force,
            elastic=0.06 * force, thickness=0.5, fill=0.0,
        )  # fmt: skip
    if channels == 1:
        return use(preset("image", "grey").transforms[0], size=size, area=(max(0.1, 1 - 0.7 * force), 1.0))
    large = min(height, width) >= 96
    s = (0.8 if large else 0.4) * force
    return use(
        image.simclr, size=size, area=(max(0.08, 1 - 0.8 * force), 1.0), brightness=s, contrast=s, saturation=s, hue=s / 4,
        grey=0.2, blur=0.5 if large else 0.0,
    )  # fmt: skip


def _series(modality: Modality, force: float) -> Part:
    return use(
        series.varied, share=(1 - 0.2 * force, 1.0), warping=0.1 * force, spread=0.2 * force, noise=0.1 * force, hidden=0.1 * force,
    )  # fmt: skip


def _table(modality: Modality, force: float) -> Part:
    return use(table.corrupt, share=0.3 * force, noise=0.05 * force, numeric=int(modality.info.get("numeric", modality.shape[0])))


def _array(modality: Modality, force: float) -> Part:
    return use(array.corrupt, share=0.3 * force, noise=0.1 * force)


def _text(modality: Modality, force: float) -> Part:
    padding, tokenizer = int(modality.info.get("padding", 0)), modality.info.get("tokenizer", "words")
    if tokenizer not in ("words", "characters"):  # a pre-trained encoder is at home in whole texts, and its dropout is the view
        return use(text.twin) if force <= 1.0 else use(text.repeat, share=0.2, head=1, padding=padding)
    dropped = 0.15 if tokenizer == "words" else 0.05
    return use(text.varied, span=(1 - 0.4 * force, 1.0), dropped=dropped * force, padding=padding)


def _volume(modality: Modality, force: float) -> Part:
    sides = modality.shape[1:]
    size = sides[0] if len(set(sides)) == 1 else sides
    return use(
        volume.varied, size=size, share=(1 - 0.3 * force, 1.0), rotation=10.0 * force, brightness=0.2 * force, contrast=0.2 * force,
        noise=0.05 * force,
    )  # fmt: skip


def _video(modality: Modality, force: float) -> Part:
    _, frames, height, width = modality.shape
    s = 0.4 * force
    return use(
        video.simclr, frames=max(1, (frames * 3 + 3) // 4), strides=(1, 1), size=height if height == width else (height, width),
        area=(max(0.08, 1 - 0.8 * force), 1.0), brightness=s, contrast=s, saturation=s, hue=s / 4,
    )  # fmt: skip


def _audio(modality: Modality, force: float) -> Part:
    rate = int(modality.info.get("rate", 16000))
    return use(
        audio.varied, decibel=(-6.0 * force, 6.0 * force), ratio=(20.0 - 10.0 * force, 40.0), share=0.1 * force,
        factor=(1 - 0.05 * force, 1 + 0.05 * force), rate=rate, wet=0.3 * force,
    )  # fmt: skip


def _points(modality: Modality, force: float) -> Part:
    return use(points.varied, angle=min(180.0, 120.0 * force), share=(1 - 0.4 * force, 1.0), noise=0.01 * force)


def _skeleton(modality: Modality, force: float) -> Part:
    return use(skeleton.varied, share=(1 - 0.4 * force, 1.0), angle=30.0 * force, strength=0.3 * force, hidden=0.1 * force)


def _interactions(modality: Modality, force: float) -> Part:
    return use(graph.drop_edges, share=min(0.2 * force, 0.9))


def _graph(modality: Modality, force: float) -> Part:
    return use(graph.varied, edges=0.3 * force, features=0.3 * force)


_DEFAULTS: dict[str, Callable[[Modality, float], Part]] = {
    "image": _image, "series": _series, "table": _table, "array": _array, "text": _text, "volume": _volume, "video": _video,
    "audio": _audio, "points": _points, "skeleton": _skeleton, "graph": _graph, "interactions": _interactions,
}  # fmt: skip


def default_crop_transforms(modality: Modality, strength: Strength | str = "default") -> tuple[Part, Part]:
    """(global, local): the default transform twice, the local one of less of the item, or stronger where nothing can be cut."""
    part = of_modality(modality, strength)
    if modality.kind == "image":
        _, height, width = modality.shape
        small = (max(8, (height + 1) // 2), max(8, (width + 1) // 2))
        size = small[0] if small[0] == small[1] else small
        if "area" not in part.options:  # digits: the local view is half of the drawing
            return part, use(part, area=(0.4, 0.7), size=size)
        return use(part, area=(0.4, 1.0)), use(part, area=(0.1, 0.4), size=size)
    if modality.kind == "video":
        return use(part, area=(0.4, 1.0)), use(part, area=(0.1, 0.4))
    if part.make is text.twin:
        return part, use(text.crop, share=(0.3, 0.6), head=1, padding=int(modality.info.get("padding", 0)))
    cuts = {"series": "share", "text": "span", "volume": "share", "points": "share", "skeleton": "share"}
    if modality.kind in cuts and cuts[modality.kind] in part.options:
        return use(part, **{cuts[modality.kind]: (0.6, 1.0)}), use(part, **{cuts[modality.kind]: (0.3, 0.6)})
    return part, of_modality(modality, "strong")
