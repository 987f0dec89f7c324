"""The default network of each kind of data."""

from __future__ import annotations

import importlib
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
