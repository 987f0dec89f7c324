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
from counterpoint.views import array, image, series, table, text

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


@dataclass(frozen=True)
class Entry:
    """A listed preset: the transforms of its views and the reason."""

    transforms: tuple[Part, ...]
    why: str


def _twice(make: Callable[..., Any], why: str, **chosen: Any) -> Entry:
    part = use(make, **chosen)
    return Entry((part, part), why)


_COLOUR = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
_BYOL = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
_GLOBAL = use(image.simclr, area=(0.4, 1.0), **_COLOUR)
_LOCAL = use(image.simclr, area=(0.08, 0.4), **_COLOUR)

PRESETS: dict[str, dict[str, Entry]] = {
    "image": {
        "simclr": _twice(
            image.simclr,
            "Photographs, small: crops are the view that matters, and colour changes keep crops of one picture from being told by "
            "their colour histogram (SimCLR, appendix B.9: strength 0.5, no blur on 32 × 32, where a blur leaves nothing).",
        ),
        "imagenet": _twice(
            image.simclr,
            "Photographs of 96 pixels and more: SimCLR's full colour strength and blur on half of the views.",
            blur=0.5, **_COLOUR,
        ),
        "byol": Entry(
            (use(image.simclr, blur=1.0, **_BYOL), use(image.simclr, blur=0.1, solarise=0.2, **_BYOL)),
            "Photographs, for methods without negatives: the two views differ in law, one always blurred, one sometimes solarised.",
        ),
        "digits": _twice(
            image.warp,
            "Digits, letters, drawings: a mirrored 2 is no 2 and a crop of an 8 is a 0, so no flip and no crop; what the hand varies "
            "is slant, size, place, thickness and bend, so these are the views. Colour does not exist.",
            thickness=0.5, fill=0.0,
        ),
        "grey": _twice(
            image.warp,
            "Grey pictures in which left and right mean something (X-rays): large crops, small turns, exposure; no flip.",
            area=(0.3, 1.0), rotation=10.0, zoom=(1.0, 1.0), shear=5.0, shift=0.0, elastic=0.02, brightness=0.3, contrast=0.3,
        ),
        "no_up": _twice(
            image.simclr,
            "Cells, tissue, satellites: no direction is up, so mirroring along both axes; colour is stain or season, changed mildly.",
            upside=0.5, area=(0.3, 1.0), brightness=0.3, contrast=0.3, saturation=0.2, hue=0.05, grey=0.0,
        ),
        "multi_crop": Entry(
            (_GLOBAL, _GLOBAL, _LOCAL, _LOCAL, _LOCAL, _LOCAL),
            "Two views of much and four of little of each picture (SwAV): more pairs per picture.",
        ),
    },
    "series": {
        "default": _twice(
            series.varied,
            "A window of the series at its own pace, with other amplitude and noise: what sensors, start times and subjects vary.",
        ),
        "amplitude": _twice(
            series.varied, "Where the whole course of time counts (one heart beat): no window, no warp; only amplitude, noise and gaps.",
            share=(1.0, 1.0), warping=0.0,
        ),
        "order": Entry(
            (use(series.varied, warping=0.0, hidden=0.0), use(series.permutation, pieces=4)),
            "Where local shape counts and order does not: one view has its pieces in another order (Um et al. 2017).",
        ),
        "spectrum": _twice(series.frequency, "Vibration, sound-like and rhythmic series: amplitudes and phases of frequencies change."),
    },
    "table": {
        "default": _twice(
            table.corrupt,
            "Replacing some values by those of other rows keeps each value legal and makes the row's other values tell what is missing.",
            noise=0.05,
        ),
        "scarf": Entry(
            (use(table.corrupt, share=0.0), use(table.corrupt, share=0.6)),
            "As in the paper: one view is the row, the other has 60% of its values replaced; for wide tables.",
        ),
        "missing": _twice(table.hide, "Tables with many gaps: the views are rows with more gaps."),
        "noise": _twice(table.noise, "Measured numbers with skewed laws: small moves in rank.", quantile=True),
    },
    "array": {
        "default": _twice(array.corrupt, "Nothing is known but the columns' marginals: entries of other items, and noise.", noise=0.1),
        "noise": _twice(array.noise, "Embeddings and measurements: small normal noise.", scale=0.2),
        "drop": _twice(array.drop, "Counts and bags of features: entries left out."),
    },
    "text": {
        "default": _twice(text.varied, "Encoders that start from nothing: a span, with words left out, still says what the text is about."),
        "twin": _twice(text.twin, "Pre-trained encoders: the text twice; the encoder's dropout is the view, any edit harms more (SimCSE)."),
        "repeat": _twice(text.repeat, "As twin, but length does not give the pair away (ESimCSE)."),
        "dna": Entry((use(text.mutate), use(text.strand)), "Sequences: a few letters changed; the other strand reads the same molecule."),
    },
}  # fmt: skip


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


def default(spec: Spec, *, strength: Strength = "default") -> Part:
    """The transform for the only modality of `spec`, sized to its shape, with its options written out.

    strength: how far views go from the item.
    """
    return of_modality(spec.only, strength)


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
        series.varied, share=(1 - 0.4 * force, 1.0), warping=0.2 * force, spread=0.2 * force, noise=0.1 * force, hidden=0.1 * force,
    )  # fmt: skip


def _table(modality: Modality, force: float) -> Part:
    return use(table.corrupt, share=0.3 * force, noise=0.05 * force, numeric=int(modality.info.get("numeric", modality.shape[0])))


def _array(modality: Modality, force: float) -> Part:
    return use(array.corrupt, share=0.3 * force, noise=0.1 * force)


def _text(modality: Modality, force: float) -> Part:
    return use(text.varied, span=(1 - 0.4 * force, 1.0), dropped=0.15 * force, head=int(modality.info.get("head", 0)))


_DEFAULTS: dict[str, Callable[[Modality, float], Part]] = {
    "image": _image, "series": _series, "table": _table, "array": _array, "text": _text,
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
    cuts = {"series": "share", "text": "span"}
    if modality.kind in cuts:
        return use(part, **{cuts[modality.kind]: (0.6, 1.0)}), use(part, **{cuts[modality.kind]: (0.3, 0.6)})
    return part, of_modality(modality, "strong")
