"""Each package says what it offers: `__all__` is sorted, names nothing twice, nothing that is not there, and leaves nothing out."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import counterpoint

PACKAGES = ["counterpoint", *(i.name for i in pkgutil.walk_packages(counterpoint.__path__, "counterpoint.") if i.ispkg)]


def offered(package: ModuleType) -> set[str]:
    """Public functions and classes that are defined in the package's own file. (What it only imports, ruff's F401 watches.)"""
    return {n for n, v in vars(package).items() if not n.startswith("_") and getattr(v, "__module__", None) == package.__name__}


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_exact(name: str) -> None:
    package = importlib.import_module(name)
    listed = getattr(package, "__all__", None)
    if listed is None:
        assert not offered(package), f"{name} offers names and has no __all__"
        assert not hasattr(package, "__getattr__"), f"{name} is lazy and has no __all__"
        return
    assert len(set(listed)) == len(listed)
    missing = [member for member in listed if getattr(package, member, None) is None]
    assert not missing, f"{name} lists what it does not have"
    left_out = offered(package) - set(listed)
    assert not left_out, f"{name} has what it does not list"
    if hasattr(package, "__getattr__"):
        assert set(listed) <= set(dir(package)), f"{name} is lazy: dir() must show what it offers"


@pytest.mark.parametrize("name", PACKAGES)
def test_all_is_sorted(name: str) -> None:
    """In the order of `ruff` (RUF022): CONSTANTS, Classes, functions."""
    listed = list(getattr(importlib.import_module(name), "__all__", []))

    def rank(member: str) -> tuple[int, str]:
        return (0 if member.isupper() else 1 if member[:1].isupper() else 2, member)

    assert listed == sorted(listed, key=rank)


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_offered_is_described(name: str) -> None:
    package = importlib.import_module(name)
    assert inspect.getdoc(package) or not (getattr(package, "__all__", None)), f"{name} has no docstring"
    for member in getattr(package, "__all__", []):
        value = getattr(package, member)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert inspect.getdoc(value), f"{name}.{member} has no docstring"
