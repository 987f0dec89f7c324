"""Protocols: (Subject, **options) -> {figure: number}. Each is the function of its module's name; there is no list to keep."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

from counterpoint.core import options as option
from counterpoint.core.errors import OptionError, nearest
from counterpoint.evaluation.subject import Subject

__all__ = ["get", "measure", "names"]


def names() -> list[str]:
    """The protocols there are."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__))


def get(name: str) -> Callable[..., dict[str, float]]:
    """A protocol by name."""
    if name not in names():
        raise OptionError(f"there is no protocol {name!r}{nearest(name, names())}; there are {', '.join(names())}")
    found: Callable[..., dict[str, float]] = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    return found


def measure(name: str, subject: Subject, options: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a subject under a protocol, its options checked against the signature."""
    made = option.use(get(name), **options)
    return dict(made(subject))
