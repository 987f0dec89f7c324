"""The views that fit data of a given shape: the default of each kind in three strengths, and the listed presets sized to the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from counterpoint.core import options
from counterpoint.core.errors import DataError, OptionError, nearest
from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Modality, Spec
from counterpoint.views import array, audio, graph, image, points, series, skeleton, table, text, video, volume
from counterpoint.views.entry import Entry
from counterpoint.views.listed import PRESETS
from counterpoint.views.ready import Preset, preset, small_sized

Strength = Literal["weak", "default", "strong"]
WORDS = {"weak": ", at half the strength of the default", "default": "", "strong": ", at one and a half times the strength of the default"}
SIZED = ("size", "numeric", "head", "padding", "rate", "frames", "strides")  # what the data say of a transform


def default(data: Spec | Modality, *, strength: Strength = "default") -> Part:
    """The transform for a modality (the only one of a spec), sized to its shape, with its options written out.

    strength: how far views go from the item.
    """
    return of_modality(_modality(data), strength)


def named(data: Spec | Modality, *, name: str) -> Preset:
    """The views called `name`, sized to the data. Raises OptionError where there are none, or where they do not fit, saying why.

    name: "weak", "default", "strong", or a preset of the kind.
    """
    modality = _modality(data)
    listed = PRESETS.get(modality.kind, {})
    if name in get_args(Strength):
        return _strength(modality, name)
    if name not in listed:
        more = f"; {name!r} is what `views.choose` finds" if name == "auto" else nearest(str(name), [*get_args(Strength), *listed])
        raise OptionError(f"there are no {modality.kind} views called {name!r}{more}")
    reason = listed[name].unfit(modality)
    if reason:
        raise OptionError(f"the {modality.kind} views {name!r} do not fit: {reason}")
    return _fitted(modality, name, listed[name])


def candidates(modality: Modality) -> dict[str, Preset]:
    """All views that may be the only ones of this kind of data, by name, sized to it; the default's three strengths first."""
    found = {strength: _strength(modality, strength) for strength in get_args(Strength)}
    for name, entry in PRESETS.get(modality.kind, {}).items():
        if name not in found and entry.whole and not entry.small and not entry.unfit(modality):
            found[name] = _fitted(modality, name, entry)
    return found


def of_modality(modality: Modality, strength: Strength | str = "default") -> Part:
    """The transform for one modality; see `default`."""
    if strength not in get_args(Strength):
        raise OptionError(f"there is no strength {strength!r}{nearest(str(strength), get_args(Strength))}")
    if modality.kind not in _DEFAULTS:
        raise DataError(f"there are no views for data of the kind {modality.kind!r}{nearest(modality.kind, _DEFAULTS)}")
    part = _DEFAULTS[modality.kind](modality, {"weak": 0.5, "default": 1.0, "strong": 1.5}[strength])
    return use(part.make, **{k: _tidy(v) for k, v in part.options.items()})


def _modality(data: Spec | Modality) -> Modality:
    return data.only if isinstance(data, Spec) else data


def _strength(modality: Modality, strength: str) -> Preset:
    part = of_modality(modality, strength)
    return Preset(modality.kind, strength, (part, part), f"What fits {modality.kind} data of this shape{WORDS[strength]}.")


def _fitted(modality: Modality, name: str, entry: Entry) -> Preset:
    """A listed preset with what the data say, as far as it does not say it itself."""
    own = of_modality(modality).options
    made = []
    for part in entry.transforms:
        open_ = options.parameters(part.make).keys() & {*SIZED} - part.options.keys()
        made.append(use(part, **{k: own[k] for k in open_ if k in own}))
    if entry.small:
        little = (use(part, size=None) for part in made[-entry.small :])
        made = [*small_sized((*made[: -entry.small], *little), entry.small, modality.shape[1:3])]  # type: ignore[arg-type]
    return Preset(modality.kind, name, tuple(made), entry.why, entry.small)


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
    if len(modality.shape) == 3:  # a spectrogram
        return use(audio.bands, frequencies=0.2 * force, times=0.2 * force)
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
    return crop_transforms(modality, of_modality(modality, strength), of_modality(modality, "strong"))


def crop_transforms(modality: Modality, part: Part, otherwise: Part) -> tuple[Part, Part]:
    """(global, local): the transform of much and of little of an item; it and `otherwise` where it does not cut."""
    if part.make is image.warp and "area" not in part.options:  # digits: the local view is half of the drawing
        return part, use(part, area=(0.4, 0.7), size=_half(modality))
    if part.make in (image.simclr, image.warp, image.crop):
        return use(part, area=(0.4, 1.0)), use(part, area=(0.1, 0.4), size=_half(modality))
    if part.make is video.simclr:
        return use(part, area=(0.4, 1.0)), use(part, area=(0.1, 0.4))
    if part.make is text.twin:
        return part, use(text.crop, share=(0.3, 0.6), head=1, padding=int(modality.info.get("padding", 0)))
    cut = "span" if part.make is text.varied else "share"
    cutting = (series.varied, text.varied, volume.varied, points.varied, skeleton.varied)
    if part.make in cutting and part.effective()[cut] != (1.0, 1.0):
        return use(part, **{cut: (0.6, 1.0)}), use(part, **{cut: (0.3, 0.6)})
    return part, otherwise


def _half(modality: Modality) -> int | tuple[int, int]:
    _, height, width = modality.shape
    small = (max(8, (height + 1) // 2), max(8, (width + 1) // 2))
    return small[0] if small[0] == small[1] else small
