"""Counterpoint: contrastive representation learning for any kind of data.

    import counterpoint as cp

    run = cp.fit("./photos")             # images, a table, series, texts, arrays …
    vectors = run.embed("./new_photos")  # float32 (n, d)
    run.evaluate()                       # scores beside raw input, PCA and the untrained encoder
    run.search("./one_photo", k=5)       # nearest items

Importing this is light: torch is loaded when the first function is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterpoint.core.registry import cards as methods
    from counterpoint.data import read
    from counterpoint.run import Run, fit, load

__version__ = "0.1.0"

_FROM = {
    "Run": ("run", "Run"),
    "fit": ("run", "fit"),
    "load": ("run", "load"),
    "methods": ("core.registry", "cards"),
    "read": ("data", "read"),
}
__all__ = ["Run", "__version__", "fit", "load", "methods", "read"]


def __getattr__(name: str) -> Any:
    if name in _FROM:
        module, attribute = _FROM[name]
        return getattr(importlib.import_module(f"counterpoint.{module}"), attribute)
    try:
        return importlib.import_module(f"counterpoint.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"counterpoint.{name}":
            raise
    raise AttributeError(f"module 'counterpoint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
