"""Sets made from others of the catalogue or by a seeded generator: pairs, overlays, parts with hidden classes.

Each is a function in the module of its name, marked by `made`; the catalogue finds it there.

    @made(kind="paired", items=5000, classes=10, parts=("mnist", "fsdd"))
    def digit_pairs(limit=None): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["made"]


def made(*, kind: str, items: int, parts: tuple[str, ...] = (), classes: int | None = None) -> Callable[..., Any]:
    """Mark (limit: int | None) -> Dataset as a made set; it may take `size` and `tokenizer` of `read` as well.

    kind: of the data, or "paired".   items: how many at most.   parts: sets of the catalogue that it is made from.   classes: of them.
    """

    def mark(make: Callable[..., Any]) -> Callable[..., Any]:
        make.__made__ = {"kind": kind, "items": items, "classes": classes, "parts": parts}  # type: ignore[attr-defined]
        return make

    return mark
