"""The methods there are: found in their files, imported only when asked for. There is no list to keep."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from counterpoint.core import options
from counterpoint.core.errors import MethodError, OptionError, nearest
from counterpoint.core.recipe import Claim, Modality, Recipe, Spec

_PACKAGES = ("counterpoint.recipes", "counterpoint.methods")
_outside: dict[str, Method] = {}


@dataclass(frozen=True)
class Method:
    """A registered method: `build(spec, **options) -> Recipe` and what its file says of it."""

    slug: str
    build: Callable[..., Recipe]
    paper: int | None = None
    baseline: str | None = None
    kinds: tuple[str, ...] = ("any",)

    def __call__(self, spec: Spec, **chosen: Any) -> Recipe:
        """The recipe for data of this spec. Options are checked against the signature."""
        if not self.runs_on(spec.kind):
            raise MethodError(f"{self.slug} runs on {', '.join(self.kinds)} data and these are {spec.kind}; see: counterpoint methods list")
        return self.build(spec, **options.use(self.build, **chosen).options)

    def runs_on(self, kind: str) -> bool:
        return kind in self.kinds or ("any" in self.kinds and kind != "paired")

    @property
    def family(self) -> str:
        pieces = self.build.__module__.split(".")
        return pieces[2] if pieces[:2] == ["counterpoint", "methods"] else "general" if pieces[0] == "counterpoint" else pieces[0]

    @property
    def doc(self) -> str:
        """The docstring of the method's file."""
        return inspect.getdoc(inspect.getmodule(self.build)) or ""

    @property
    def title(self) -> str:
        return self.doc.split("\n")[0]

    @property
    def claim(self) -> Claim | None:
        return getattr(inspect.getmodule(self.build), "CLAIM", None)

    @property
    def example(self) -> Spec:
        """A small specification that the method accepts, to look at its recipe without data."""
        kind = next((k for k in self.kinds if k != "any"), "image")
        names = sorted(options.parameters(self.build).keys() & {"label"})
        columns = {"label": (10, 1.0)} | dict.fromkeys(names, (10, 1.0))
        return example_spec(kind, columns)

    def changes(self) -> list[str]:
        """Where the recipe differs from its baseline's, computed."""
        if self.baseline is None:
            return []
        spec = self.example
        return sorted(get(self.baseline)(spec).diff(self(spec)))

    def needs(self) -> list[str]:
        """What the data must have, as "column label", "table edges" …"""
        needed = self(self.example).requires()
        paired = ["several modalities"] if self.kinds == ("paired",) else []
        return paired + [f"{kind} {name}" for kind, names in needed.items() for name in names]

    def card(self) -> dict[str, Any]:
        return {
            "slug": self.slug,
            "paper": self.paper,
            "family": self.family,
            "kinds": list(self.kinds),
            "changes": self.changes(),
            "needs": self.needs(),
        }


@dataclass(frozen=True)
class Tool:
    """What trains no encoder and belongs here all the same: a function and what its file says of it. Calling it calls the function."""

    slug: str
    call: Callable[..., Any]
    paper: int | None = None
    baseline: None = None

    def __call__(self, *args: Any, **chosen: Any) -> Any:
        """What the function gives; its options are checked against its signature."""
        return options.use(self.call, **chosen)(*args)

    @property
    def doc(self) -> str:
        """The docstring of the tool's file."""
        return inspect.getdoc(inspect.getmodule(self.call)) or ""

    @property
    def title(self) -> str:
        return self.doc.split("\n")[0]

    @property
    def claim(self) -> Claim | None:
        return getattr(inspect.getmodule(self.call), "CLAIM", None)


def tool(*, paper: int | None = None) -> Callable[[Callable[..., Any]], Tool]:
    """Register a function of counterpoint.tools under its name, which is also the name of its file.

    paper: number of the paper.
    """
    return lambda call: Tool(call.__name__, call, paper)


def tools() -> dict[str, Tool]:
    """name → tool, of all there are."""
    root = importlib.import_module("counterpoint.tools")
    names = sorted(info.name for info in pkgutil.iter_modules(root.__path__))
    each = {name: getattr(importlib.import_module(f"counterpoint.tools.{name}"), name, None) for name in names}
    return {name: found for name, found in each.items() if isinstance(found, Tool)}


def find(slug: str) -> Method | Tool:
    """The method or the tool of this name."""
    return tools().get(slug) or get(slug)


def method(
    *, paper: int | None = None, baseline: str | None = None, kinds: tuple[str, ...] | str = "any"
) -> Callable[[Callable[..., Recipe]], Method]:
    """Register `build(spec, *, …) -> Recipe` under the name of the function, which is also the name of its file.

    paper: number of the paper.   baseline: slug of the recipe it starts from.   kinds: kinds of data, "any", or "paired".
    """

    def register(build: Callable[..., Recipe]) -> Method:
        found = Method(build.__name__, build, paper, baseline, (kinds,) if isinstance(kinds, str) else tuple(kinds))
        if not build.__module__.startswith("counterpoint."):
            options.trust(build.__module__)
            _outside[found.slug] = found
        return found

    return register


@lru_cache(maxsize=1)
def _files() -> Mapping[str, str]:
    """slug → module, of all methods in the package, by walking folders; nothing is imported."""
    found: dict[str, str] = {}
    for package in _PACKAGES:
        root = importlib.import_module(package)
        for info in pkgutil.walk_packages(root.__path__, f"{package}."):
            slug = info.name.rsplit(".", 1)[1]
            if info.ispkg or slug.startswith("_"):
                continue
            if slug in found:
                raise RuntimeError(f"two methods are called {slug!r}: {found[slug]} and {info.name}")
            found[slug] = info.name
    return found


def slugs() -> list[str]:
    """The names of all methods; entry points of the group `counterpoint.methods` included."""
    outside = {point.name for point in entry_points(group="counterpoint.methods")}
    return sorted({*_files(), *_outside, *outside})


def get(slug: str) -> Method:
    """The method of this name; a dotted name "package.file.function" finds one that is not installed as an entry point."""
    slug = slug.strip()
    name = re.sub(r"[-\s]", "_", slug)
    if name in _outside:
        return _outside[name]
    if name in _files():
        return _checked(getattr(importlib.import_module(_files()[name]), name, None), slug)
    for point in entry_points(group="counterpoint.methods"):
        if point.name == name:
            return _checked(point.load(), slug)
    if "." in slug and all(piece.isidentifier() for piece in slug.split(".")):
        module, _, attribute = slug.rpartition(".")
        try:
            return _checked(getattr(importlib.import_module(module), attribute, None), slug)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise  # the file is there; what it imports is not
    raise MethodError(f"there is no method {slug!r}{nearest(name, slugs())}; see: counterpoint methods list")


def _checked(found: Any, slug: str) -> Method:
    if not isinstance(found, Method):
        raise MethodError(f"{slug!r} is not a method: its file has no function of that name under @method")
    return found


def methods(kind: str | None = None) -> list[Method]:
    """All methods, sorted by name; only those that run on `kind` where it is given."""
    every = [get(slug) for slug in slugs()]
    return [m for m in every if kind is None or m.runs_on(kind)]


def cards(kind: str | None = None) -> list[dict[str, Any]]:
    """The card of every method: slug, paper, family, kinds, changes, needs."""
    return [found.card() for found in methods(kind)]


def example_spec(kind: str, columns: Mapping[str, tuple[int, float]] | None = None) -> Spec:
    """A small specification of one kind ("paired": an image and a series), for listings and tests."""
    shapes: dict[str, Modality] = {
        "image": Modality("image", (3, 32, 32), {"mean": (0.5,) * 3, "std": (0.25,) * 3}),
        "volume": Modality("volume", (1, 16, 16, 16)),
        "video": Modality("video", (3, 8, 16, 16)),
        "audio": Modality("audio", (1, 8000), {"rate": 8000}),
        "series": Modality("series", (3, 64), {"ragged": False}),
        "table": Modality("table", (6,), {"numeric": 4, "categories": (3, 5)}),
        "text": Modality("text", (24,), {"vocabulary": 1000}),
        "array": Modality("array", (16,)),
        "points": Modality("points", (3, 128)),
        "skeleton": Modality("skeleton", (3, 32, 20)),
        "graph": Modality("graph", (16,)),
        "interactions": Modality("interactions", (8,), {"users": 100, "products": 156}),
    }
    if kind == "paired":
        chosen = {"image": shapes["image"], "series": shapes["series"]}
    elif kind in shapes:
        chosen = {"x": shapes[kind]}
    else:
        raise OptionError(f"there is no kind {kind!r}{nearest(kind, shapes)}")
    return Spec(256, chosen, dict(columns or {}))
