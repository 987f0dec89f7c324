"""The presets of what has pixels: pictures, volumes, clips."""

from __future__ import annotations

from typing import Any

from counterpoint.core.options import use
from counterpoint.core.recipe import Modality
from counterpoint.views import image, mixing, video, volume
from counterpoint.views.entry import Entry, twice

_COLOUR: dict[str, Any] = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
_BYOL: dict[str, Any] = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
_GLOBAL = use(image.simclr, area=(0.4, 1.0), **_COLOUR)
_LOCAL = use(image.simclr, area=(0.08, 0.4), **_COLOUR)
FRAMES = 4


def _short(modality: Modality) -> str:
    return f"they show {FRAMES} frames and these clips have {modality.shape[1]}" if modality.shape[1] < FRAMES else ""


PIXELS: dict[str, dict[str, Entry]] = {
    "image": {
        "default": twice(
            image.simclr,
            "Photographs of less than 96 pixels, and where nothing more is known: SimCLR's crops and half its colour strength, but no crop "
            "of less than a fifth, which on few pixels shows nothing. (`fit` looks at channels and size, and warps small grey drawings.)",
            area=(0.2, 1.0),
        ),
        "simclr": twice(
            image.simclr,
            "Photographs, small: crops are the view that matters, and colour changes keep crops of one picture from being told by "
            "their colour histogram (SimCLR, appendix B.9: strength 0.5, no blur on 32 × 32, where a blur leaves nothing).",
        ),
        "imagenet": twice(
            image.simclr,
            "Photographs of 96 pixels and more: SimCLR's full colour strength and blur on half of the views.",
            blur=0.5, **_COLOUR,
        ),
        "byol": Entry(
            (use(image.simclr, blur=1.0, **_BYOL), use(image.simclr, blur=0.1, solarise=0.2, **_BYOL)),
            "Photographs, for methods without negatives: the two views differ in law, one always blurred, one sometimes solarised.",
        ),
        "digits": twice(
            image.warp,
            "Digits, letters, drawings: a mirrored 2 is no 2 and a crop of an 8 is a 0, so no flip and no crop; what the hand varies "
            "is slant, size, place, thickness and bend, so these are the views. Colour does not exist.",
            thickness=0.5, fill=0.0,
        ),
        "grey": twice(
            image.warp,
            "Grey pictures in which left and right mean something (X-rays): large crops, small turns, exposure; no flip.",
            area=(0.3, 1.0), rotation=10.0, zoom=(1.0, 1.0), shear=5.0, shift=0.0, elastic=0.02, brightness=0.3, contrast=0.3,
        ),
        "no_up": twice(
            image.simclr,
            "Cells, tissue, satellites: no direction is up, so mirroring along both axes; colour is stain or season, changed mildly.",
            upside=0.5, area=(0.3, 1.0), brightness=0.3, contrast=0.3, saturation=0.2, hue=0.05, grey=0.0,
        ),
        "multi_crop": Entry(
            (_GLOBAL, _GLOBAL, _LOCAL, _LOCAL, _LOCAL, _LOCAL),
            "Two views of much and four of little of each picture, the latter 3/7 as wide and high (96 of 224 pixels, SwAV): more pairs "
            "per picture, and small views cost little.",
            small=4,
        ),
        "turn": twice(
            image.turn,
            "Slides, aerial pictures, crystals: quarter turns and mirroring are exact to the pixel and change nothing that is seen there.",
            whole=False,
        ),
        "erase": twice(
            image.erase, "Things half hidden behind others: a rectangle is gone, and the rest must do (Zhong et al. 2020).",
            share=1.0, whole=False,
        ),
        "frequency": twice(
            image.frequency,
            "Textures, pictures of different devices: style lies in the amplitudes of frequencies, shape in their phases, which stay.",
            whole=False,
        ),
        "noise": twice(
            image.noise, "Dim pictures (night, fluorescence, radar): grain differs from shot to shot and says nothing of what is shown.",
            scale=0.1, whole=False,
        ),
        "cut_mix": twice(
            mixing.cutmix,
            "Pictures with one thing in them: up to half of a view is another picture's, so no single place may decide. The key share says "
            "how much is the item's own, for losses that weigh by it (Yun et al. 2019).",
            whole=False,
        ),
        "mix_up": twice(
            mixing.mixup,
            "Any numbers: a view is a weighted mean with another picture, its own weighing more, so that rows between items lie between "
            "their rows (Zhang et al. 2018). The key share is the weight.",
            whole=False,
        ),
    },
    "volume": {
        "default": twice(
            volume.varied,
            "Objects, organs: a box, slightly turned and mirrored along any axis; exposure changes in the item's own units.",
        ),
        "anatomy": twice(
            volume.varied, "Scans in which left and right, head and foot mean something: no mirroring, small turns.", flip=(0.0, 0.0, 0.0),
        ),
        "voxels": twice(
            volume.varied, "Occupancy grids: values are 0 and 1, so only geometry changes.", brightness=0.0, contrast=0.0, noise=0.0,
            flip=(0.0, 0.5, 0.5), rotation=15.0,
        ),
        "elastic": twice(
            volume.elastic, "Soft tissue: organs bend from breath to breath and differ between bodies, but what touches what stays.",
            whole=False,
        ),
        "blur": twice(
            volume.blur, "Scans from different devices: sharpness tells the device, not what was scanned.", share=1.0, whole=False,
        ),
        "gamma": twice(
            volume.gamma, "Scans without fixed units (MR): how brightness grows differs from device to device, its order does not.",
            whole=False,
        ),
        "erase": twice(
            volume.erase, "Scans of whole bodies or rooms: a box is gone, and what surrounds it must tell what was there.", whole=False,
        ),
    },
    "video": {
        "default": twice(
            video.simclr,
            "The same crop and colours in all frames, or movement would be the change of views; half of the clip or more, more slowly, "
            "since an action is the same early or late, quick or slow.",
        ),
        "clip": twice(
            video.simclr,
            "Long clips of one action: a few frames from any moment, at any of four paces, since an action is the same early or late.",
            frames=FRAMES, strides=(1, 4), unfit=_short,
        ),
        "still": twice(
            video.simclr,
            "Where one frame tells what the clip is (scenes, objects): two frames of a clip are two views, and time itself is the change.",
            frames=1,
        ),
    },
}  # fmt: skip
