"""Every error a user can cause, and how it reads.

    CounterpointError            the user's input is wrong: one line, exit code 2
    ├── OptionError              an option's name, type or range
    ├── MethodError              an unknown method, or one that cannot run here
    ├── RequirementError         the recipe needs something that the data do not have
    ├── DataError                the data cannot be read or used
    │   └── LabelError           labels, groups or other columns that do not fit the items
    ├── MissingExtra             an optional dependency that is not installed
    ├── RunError                 a run folder that is missing, broken or of another shape
    └── OutputError              the result cannot be written (disk full, no permission)

Anything else that is raised is a fault of ours (exit code 1).
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType


class CounterpointError(Exception):
    """Wrong input. The message is one line: what was given, what is wrong with it, what would be right."""


class OptionError(CounterpointError):
    """An option's name, type or range is wrong."""


class MethodError(CounterpointError):
    """No such method, or a method that cannot run on this kind of data."""


class RequirementError(CounterpointError):
    """The recipe needs a column, table or modality that the data do not have."""


class DataError(CounterpointError):
    """The data cannot be read or used."""


class LabelError(DataError):
    """Labels, groups or another column do not fit the items."""


class MissingExtra(CounterpointError):
    """An optional dependency is not installed."""


class RunError(CounterpointError):
    """A run folder is missing, broken or not what was asked for."""


class OutputError(CounterpointError):
    """The result cannot be written."""


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the name most like `name`, or the names there are when none is near and they are few."""
    names = sorted(set(names))
    lower = {known.lower(): known for known in reversed(names)}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]!r}?"
    return f"; there are: {', '.join(names)}" if 0 < len(names) <= 16 else ""


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it. Call this inside the function that needs the module."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module.split('.')[0]} is not installed ({error}); it comes with: pip install 'counterpoint[{extra}]'"
        ) from None
