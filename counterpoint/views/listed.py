"""The presets there are: by kind and name, the transform of each view and the reason why these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from counterpoint.core.options import Part, use
from counterpoint.views import array, audio, graph, image, points, series, skeleton, table, text, video, volume


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
    "volume": {
        "default": _twice(
            volume.varied,
            "Objects, organs: a box, slightly turned and mirrored along any axis; exposure changes in the item's own units.",
        ),
        "anatomy": _twice(
            volume.varied, "Scans in which left and right, head and foot mean something: no mirroring, small turns.", flip=(0.0, 0.0, 0.0),
        ),
        "voxels": _twice(
            volume.varied, "Occupancy grids: values are 0 and 1, so only geometry changes.", brightness=0.0, contrast=0.0, noise=0.0,
            flip=(0.0, 0.5, 0.5), rotation=15.0,
        ),
    },
    "video": {
        "default": _twice(
            video.simclr,
            "The same crop and colours in all frames, or movement would be the change of views; another moment would be a second clue.",
        ),
    },
    "audio": {
        "default": _twice(audio.varied, "Sounds: level, room, noise and a little speed say nothing of what sounds."),
        "speech": _twice(audio.varied, "Voices: pitch tells the speaker, so the speed stays.", factor=(1.0, 1.0)),
        "spectrogram": _twice(audio.bands, "Spectrograms, standardised: bands and stretches hidden (SpecAugment)."),
    },
    "points": {
        "default": _twice(points.varied, "Objects that stand upright: any turn about the vertical, a part of the surface, noise."),
        "any": _twice(points.varied, "Objects without an up: any turn about any axis.", axis="any"),
    },
    "skeleton": {
        "default": _twice(skeleton.varied, "Movement: seen from elsewhere, at another pace, with joints that were not tracked."),
    },
    "graph": {
        "default": _twice(graph.varied, "Edges and features left out: neighbours tell what is missing (GRACE)."),
        "subgraph": _twice(graph.subgraph, "Many small graphs, molecules: a connected part says what the whole is (GraphCL)."),
        "diffusion": Entry(
            (use(graph.mask_features), use(graph.diffuse)), "The near and the far neighbourhood of a node as two views (MVGRL)."
        ),
        "low_rank": Entry((use(graph.varied), use(graph.low_rank)), "The graph beside its own global structure (LightGCL)."),
    },
}  # fmt: skip
