"""Views: related observations of the same items, made for a whole batch at once on the batch's device.

A transform is a function `transform(x, generator, *, options) -> (x', keys)`: x (b, …) and the random parameters of each item from the
explicit generator; what was done comes back as keys, (b,) or (b, k). Of a graph x is a mapping, see `views.graph`. The modules are
the kinds of data; recipes hold
`use(views.two, transform=use(views.image.simclr, size=32))`. Transforms act on data and hold no parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Generator, Tensor

from counterpoint.core.errors import DataError, nearest
from counterpoint.core.options import Part, Whole
from counterpoint.core.recipe import Batch, Progress, View
from counterpoint.views import (
    array,
    audio,
    centrality,
    colour,
    graph,
    grid,
    image,
    interactions,
    masking,
    mixing,
    points,
    sequences,
    series,
    skeleton,
    table,
    text,
    video,
    volume,
)
from counterpoint.views.choosing import Choice, choose
from counterpoint.views.fitting import candidates, crop_transforms, default, default_crop_transforms, named
from counterpoint.views.looks import together
from counterpoint.views.measures import measure
from counterpoint.views.pictures import Column, Picture, picture, show
from counterpoint.views.ready import Preset, preset, presets

if TYPE_CHECKING:
    from counterpoint.core.recipe import Spec


def _field(batch: Batch, modality: str) -> Any:
    if modality not in batch.fields:
        raise DataError(f"the data have no modality {modality!r}{nearest(modality, batch.fields)}")
    return batch.fields[modality]


def _views(batch: Batch, modality: str, plan: Sequence[tuple[str, Part]], generator: Generator) -> list[View]:
    """A view of a field by each (name, transform)."""
    made = together([transform for _, transform in plan], _field(batch, modality), generator)
    # a column of the data is never overwritten by what a transform says of itself
    return [View(name, {modality: x}, {**done, **batch.keys}) for (name, _), (x, done) in zip(plan, made, strict=True)]


def two(
    batch: Batch,
    generator: Generator,
    now: Progress,
    *,
    transform: Part,
    second: Part | None = None,
    names: tuple[str, str] = ("global", "global"),
    modality: str = "x",
) -> list[View]:
    """Two views of every item.

    transform: what makes the first view, and the second too where `second` is none.
    second: what makes the second view where it differs (BYOL's asymmetric colours).
    names: roles of the two views.
    modality: which field of the batch is looked at.
    """
    return _views(batch, modality, [(names[0], transform), (names[1], second or transform)], generator)


def multi_crop(
    batch: Batch,
    generator: Generator,
    now: Progress,
    *,
    global_transform: Part,
    local_transform: Part,
    globals: Whole = 2,
    locals: Whole = 4,
    modality: str = "x",
) -> list[View]:
    """A few views of much of each item, named "global", and several of little, named "local" (SwAV, Caron et al. 2020).

    global_transform: what makes a global view.
    local_transform: what makes a local view; often smaller, then cheaper to encode.
    globals: how many global views.
    locals: how many local views.
    modality: which field of the batch is looked at.
    """
    plan = [("global", global_transform)] * globals + [("local", local_transform)] * locals
    return _views(batch, modality, plan, generator)


def modalities(batch: Batch, generator: Generator, now: Progress, *, transforms: Mapping[str, Part] | None = None) -> list[View]:
    """One view per modality, named after it: what belongs together in the data is what is related.

    transforms: modality → transform; modalities that are not named are left as they are.
    """
    chosen = dict(transforms or {})
    for name in chosen:
        _field(batch, name)
    made = []
    for name, x in batch.fields.items():
        known = name in chosen
        made += _views(batch, name, [(name, chosen[name])], generator) if known else [View(name, {name: x}, dict(batch.keys))]
    return made


def chain(x: Tensor, generator: Generator, *, steps: Sequence[Part]) -> tuple[Tensor, dict[str, Tensor]]:
    """Transforms one after the other; the keys of all, a later one's where two say the same.

    steps: the transforms, first to last.
    """
    keys: dict[str, Tensor] = {}
    for step in steps:
        x, done = step(x, generator)
        keys |= done
    return x, keys


def plain(x: Tensor, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """The item itself; pictures of whole numbers become float32 in [0, 1]."""
    whole_numbers = isinstance(x, Tensor) and not x.is_floating_point() and x.dim() >= 4
    return (colour.floats(x) if whole_numbers else x), {}


def default_crops(spec: Spec, *, strength: str = "default", locals: int = 4) -> Part:
    """`multi_crop` with transforms that fit the data: global and local views of the only modality.

    strength: the preset of the views, see `default`.
    locals: how many local views.
    """
    large, small = default_crop_transforms(spec.only, strength)
    return Part(multi_crop, {"global_transform": large, "local_transform": small, "locals": locals})


__all__ = [
    "Choice", "Column", "Picture", "Preset", "array", "audio", "candidates", "centrality", "chain", "choose", "colour", "crop_transforms",
    "default", "default_crop_transforms", "default_crops", "graph", "grid", "image", "interactions", "masking", "measure", "mixing",
    "modalities", "multi_crop", "named", "picture", "plain", "points", "preset", "presets", "sequences", "series", "show", "skeleton",
    "table", "text", "two", "video", "volume",
]  # fmt: skip
