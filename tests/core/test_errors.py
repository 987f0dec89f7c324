"""One tree of errors, and messages that teach."""

from __future__ import annotations

import inspect
import sys

import pytest

from counterpoint.core import errors
from counterpoint.core.errors import CounterpointError, MissingExtra, nearest, need


def test_the_drawn_tree_is_the_real_one() -> None:
    """The picture in the docstring names every class, below its parent, and no other."""
    classes = {n: c for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, Exception)}
    parents: list[tuple[int, str]] = []
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        name = next((word for word in line.split() if word in classes), None)
        if name is None:
            continue
        depth = line.index(name)
        parents = [p for p in parents if p[0] < depth]
        drawn[name] = parents[-1][1] if parents else "Exception"
        parents.append((depth, name))
    assert drawn == {name: c.__bases__[0].__name__ for name, c in classes.items()}


def test_every_error_is_a_counterpoint_error_with_a_docstring() -> None:
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, Exception):
            assert issubclass(kind, CounterpointError), name
            assert inspect.getdoc(kind), name


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("simclrr", ["simclr", "byol"], "; did you mean 'simclr'?"),
        ("zzz", ["b", "a"], "; there are: a, b"),
        ("zzz", [], ""),
        ("zzz", [f"name{i}" for i in range(17)], ""),
        ("SIMCLRr", ["SimCLR", "byol"], "; did you mean 'SimCLR'?"),
    ],
)
def test_nearest(name: str, names: list[str], expected: str) -> None:
    assert nearest(name, names) == expected


def test_nearest_says_each_name_once() -> None:
    assert nearest("zzz", ["default", "weak", "default"]) == "; there are: default, weak"


def test_need_returns_the_module() -> None:
    assert need("json", extra="data") is sys.modules["json"]
    assert need("os.path", extra="data") is sys.modules["os.path"]


def test_need_names_the_extra() -> None:
    with pytest.raises(MissingExtra, match=r"no_such_module is not installed .*pip install 'counterpoint\[graph\]'") as caught:
        need("no_such_module.inside", extra="graph")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__  # a user does not read two tracebacks


def test_need_says_why_an_installed_module_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ImportError("libsomething.so: cannot open shared object file")

    monkeypatch.setattr(errors.importlib, "import_module", broken)
    with pytest.raises(MissingExtra, match="libsomething"):
        need("soundfile", extra="audio")
