"""Functions with their options, as values: printable, comparable, in YAML, checked against the signature at once.

A `Part` is any function with some of its options chosen. Recipes are made of parts, and a dotted path through them is the only
way to change anything: in code, on the command line, over a stage, or to switch one change off.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import importlib
import inspect
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, Union

from counterpoint.core.errors import OptionError, nearest


@dataclass(frozen=True)
class Range:
    """The legal values of a number: `low ≤ x ≤ high`, an end excluded where `open_low` / `open_high`; infinity never is one."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high) and abs(value) != math.inf

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"{'>' if self.open_low else '>='} {self.low:g}"
        return f"in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"


Positive = Annotated[float, Range(0, open_low=True)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]


@dataclass(frozen=True)
class Part:
    """A function or class with options. Calling it calls the function: `part(*args, **more)`."""

    make: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *args: Any, **more: Any) -> Any:
        return self.make(*args, **{**self.options, **more})

    def __repr__(self) -> str:
        inner = "".join(f", {key}={value!r}" for key, value in self.options.items())
        return f"use({name_of(self.make)}{inner})"

    def effective(self) -> dict[str, Any]:
        """All options, defaults included."""
        return {**{k: p.default for k, p in parameters(self.make).items() if p.default is not p.empty}, **self.options}


def use(make: Callable[..., Any] | Part, **options: Any) -> Part:
    """A part: `make` with `options`. Names, types and ranges are checked against the signature here, not when it runs."""
    if isinstance(make, Part):
        return use(make.make, **{**make.options, **options})
    known = parameters(make)
    hints = hints_of(make)
    for name, value in options.items():
        if name not in known:
            raise OptionError(f"{name_of(make)} has no option {name!r}{nearest(name, known)}")
        check(value, hints.get(name, Any), f"{name_of(make)}: {name}")
    return Part(make, {name: _tuples(value) for name, value in options.items()})


def _tuples(value: Any) -> Any:
    """Lists as tuples, all the way down, so that a part equals itself after it went through YAML."""
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


@cache
def parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The options of a function: its keyword-only parameters (what it works on is positional)."""
    signature = inspect.signature(make)
    return {n: p for n, p in signature.parameters.items() if p.kind is p.KEYWORD_ONLY}


@cache
def hints_of(make: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotation of each option. Those of other parameters are left alone: they may name what only a type checker imports."""
    target = inspect.unwrap(make.__init__ if inspect.isclass(make) else make)  # type: ignore[misc]
    written = {n: a for n, a in getattr(target, "__annotations__", {}).items() if n in parameters(make)}
    shell = types.SimpleNamespace(__annotations__=written, __globals__=getattr(target, "__globals__", {}))
    return typing.get_type_hints(shell, include_extras=True)


def describe(make: Callable[..., Any]) -> list[tuple[str, str, Any, str]]:
    """(name, type and range, default, sentence) of each option; the sentence stands in the docstring as `name: sentence`."""
    hints, sentences = hints_of(make), _sentences(inspect.getdoc(make) or "", set(parameters(make)))
    return [(n, type_name(hints.get(n, Any)), p.default, sentences.get(n, "")) for n, p in parameters(make).items()]


def _sentences(doc: str, names: set[str]) -> dict[str, str]:
    """name → its sentence, from lines "name: sentence"; three spaces part two names on a line, and a line indented deeper goes on."""
    found: dict[str, str] = {}
    last, depth, written = "", 0, 0
    for line in doc.splitlines():
        indent = len(line) - len(line.lstrip())
        for number, piece in enumerate(re.split(r"\s{3,}(?=\w+:)", line.strip())):
            name, colon, rest = piece.partition(":")
            if colon and name in names and name not in found:
                found[name], last, depth, written = rest.strip(), name, indent, number
            elif last and piece and (indent > depth or number or (written and not colon)):
                found[last] = f"{found[last]} {piece}".strip()
            else:
                last = ""
    return found


def type_name(hint: Any) -> str:
    """A type as a reader would say it: `float > 0`, `'linear' | 'cosine'`, `part`."""
    if hint is None or hint is type(None):
        return "none"
    if typing.get_origin(hint) is Annotated:
        base, *marks = typing.get_args(hint)
        ranges = [str(mark) for mark in marks if isinstance(mark, Range)]
        return " ".join([type_name(base), *ranges])
    if typing.get_origin(hint) is Literal:
        return " | ".join(repr(arg) for arg in typing.get_args(hint))
    if typing.get_origin(hint) in (Union, types.UnionType):
        return " | ".join(type_name(arg) for arg in typing.get_args(hint))
    if hint is Part:
        return "part"
    if hint is Ellipsis:
        return "..."
    name = getattr(hint, "__name__", str(hint).replace("typing.", ""))
    inside = [f"[{', '.join(map(type_name, arg))}]" if isinstance(arg, list) else type_name(arg) for arg in typing.get_args(hint)]
    return f"{name}[{', '.join(inside)}]" if inside else name


def check(value: Any, hint: Any, where: str) -> None:
    """Raise OptionError unless `value` fits the annotation `hint`, ranges included."""
    if not _fits(value, hint):
        finite = "finite, " if isinstance(value, float) and abs(value) == math.inf else ""
        raise OptionError(f"{where} = {value!r} is not allowed; it must be {finite}{type_name(hint)}")


@cache
def _taken_apart(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """typing needs microseconds for this, and losses are checked at every step."""
    return typing.get_origin(hint), typing.get_args(hint)


def _fits(value: Any, hint: Any) -> bool:
    origin, args = _taken_apart(hint)
    if hint is Any or isinstance(hint, (str, typing.TypeVar)):
        return True
    if hint is None:
        return value is None
    if origin is Annotated:
        base, *marks = args
        if not _fits(value, base):
            return False
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        return not numeric or all(value in mark for mark in marks if isinstance(mark, Range))
    if origin in (Union, types.UnionType):
        return any(_fits(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin in (tuple, list, collections.abc.Sequence):
        if not isinstance(value, (tuple, list)):
            return False
        if origin is tuple and args and Ellipsis not in args:
            return len(value) == len(args) and all(map(_fits, value, args))
        return not args or all(_fits(item, args[0]) for item in value)
    if origin in (dict, Mapping, collections.abc.Mapping):
        return isinstance(value, Mapping) and (not args or all(_fits(item, args[1]) for item in value.values()))
    if origin is collections.abc.Callable or hint is Callable:
        return callable(value)
    return isinstance(value, hint) if isinstance(hint, type) and not getattr(hint, "_is_protocol", False) else True


_SOME_PART = Part(dict)


# ---- names: what stands in config.yaml -------------------------------------------------------------------------------

_trusted: set[str] = {"counterpoint"}


def trust(module: str) -> None:
    """Let parts of this module's package be named in configurations. Registering a method does this for its own package."""
    _trusted.add(module.split(".")[0])


def name_of(make: Callable[..., Any]) -> str:
    """Dotted name of a function, without the leading package name for our own: `losses.info_nce`, as it is written in code.

    A package above the function's file that offers it under its own name stands for the file, so that files may move.
    """
    pieces = make.__module__.split(".")
    offering = (".".join(pieces[:k]) for k in range(2, len(pieces)))
    found = (m for m in offering if vars(sys.modules.get(m, object)).get(make.__qualname__) is make)
    return f"{next(found, make.__module__).removeprefix('counterpoint.')}.{make.__qualname__}"


def resolve(name: str) -> Callable[..., Any]:
    """The function with this dotted name (`losses.decoupled`, `my_package.my_file.my_loss`).

    Only functions of this package and of packages that have registered a method are found, so that a configuration file from
    elsewhere cannot name an arbitrary function of the machine.
    """
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")):
        raise OptionError(f"{name!r} is not the dotted name of a function")
    root = name.split(".")[0]
    full = name if root in _trusted else f"counterpoint.{name}"
    pieces = full.split(".")
    for split in range(len(pieces) - 1, 0, -1):
        module_name = ".".join(pieces[:split])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name + ".").startswith(error.name + "."):
                raise
            continue
        for position, piece in enumerate(pieces[split:]):
            if not hasattr(found, piece):
                there = [n for n in dir(found) if not n.startswith("_")] if position == len(pieces) - split - 1 else []
                raise OptionError(f"there is no {name!r}{nearest(piece, there)}")
            found = getattr(found, piece)
        if not callable(found) or getattr(found, "__module__", "").split(".")[0] not in _trusted:
            raise OptionError(f"{name!r} is not a function of counterpoint or of a package with a registered method")
        return typing.cast(Callable[..., Any], found)
    raise OptionError(f"there is no {name!r}")


# ---- dotted paths --------------------------------------------------------------------------------------------------


def children(node: Any) -> dict[str, Any]:
    """What a dotted path may name inside `node`."""
    if isinstance(node, Part):
        return {k: node.options.get(k, p.default) for k, p in parameters(node.make).items()}
    if isinstance(node, Mapping):
        return dict(node)
    if isinstance(node, (tuple, list)):
        return {str(i): item for i, item in enumerate(node)}
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return {f.name: getattr(node, f.name) for f in dataclasses.fields(node)}
    return {}


def get_at(node: Any, path: str) -> Any:
    """The value at a dotted path."""
    for depth, key in enumerate(path.split(".")):
        inside = children(node)
        if key not in inside:
            done = ".".join(path.split(".")[:depth]) or "the recipe"
            raise OptionError(f"{done} has no {key!r}{nearest(key, inside)}")
        node = inside[key]
    return node


def set_at(node: Any, path: str, value: Any) -> Any:
    """A copy of `node` with the value at a dotted path replaced; a string where a part stands is taken as the part's name."""
    key, _, rest = path.partition(".")
    inside = children(node)
    fresh = isinstance(node, Mapping) and not rest and dataclasses.is_dataclass(value)
    if key not in inside and not fresh:
        what = f"{name_of(node.make)} has no option" if isinstance(node, Part) else "there is no"
        raise OptionError(f"{what} {key!r}{nearest(key, inside)}")
    old = inside.get(key)
    if rest:
        if old is None or not (children(old) or isinstance(old, (Part, Mapping))):
            raise OptionError(f"{key!r} is {old!r}: nothing inside it can be set")
        value = set_at(old, rest, value)
    elif isinstance(value, str) and (isinstance(old, Part) or _only_a_part(node, key)):
        value = use(resolve(value))
    elif isinstance(value, (Mapping, list)) and not isinstance(value, Part):
        value = from_plain(value)
    if isinstance(node, Part):
        return use(node.make, **{**node.options, key: value})
    if isinstance(node, Mapping):
        return {**node, key: value}
    if isinstance(node, (tuple, list)):
        return type(node)(value if str(i) == key else item for i, item in enumerate(node))
    hints = typing.get_type_hints(type(node), include_extras=True)
    check(value, hints.get(key, Any), key)
    return dataclasses.replace(node, **{key: value})


def _only_a_part(node: Any, key: str) -> bool:
    """Whether a name that is written here can only mean a part: the option takes parts and no words."""
    hint = (hints_of(node.make) if isinstance(node, Part) else {}).get(key, Any)
    return hint is not Any and _fits(_SOME_PART, hint) and not _fits("", hint)


def differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Dotted paths at which two trees of parts differ."""
    same_shape = type(first) is type(second) and (not isinstance(first, Part) or first.make is second.make)
    if same_shape and children(first) | children(second):
        one, two = children(first), children(second)
        for key in [*one, *(k for k in two if k not in one)]:
            inner = f"{path}.{key}" if path else key
            if key not in one or key not in two:
                yield inner
            else:
                yield from differences(one[key], two[key], inner)
    elif not same_shape or first != second:
        yield path


# ---- YAML ------------------------------------------------------------------------------------------------------------


def to_plain(node: Any) -> Any:
    """A tree of parts as dictionaries, lists and numbers."""
    if isinstance(node, Part):
        return {"use": name_of(node.make), **{k: to_plain(v) for k, v in node.options.items()}}
    if isinstance(node, Mapping):
        return {str(k): to_plain(v) for k, v in node.items()}
    if isinstance(node, (tuple, list)):
        return [to_plain(v) for v in node]
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        fields = {f.name: to_plain(getattr(node, f.name)) for f in dataclasses.fields(node)}
        return {"is": name_of(type(node)), **fields}
    if node is None or isinstance(node, bool):
        return node
    for plain in (int, float, str):  # NumPy's float64 is a float that YAML cannot write
        if isinstance(node, plain):
            return plain(node)
    raise OptionError(f"{node!r} cannot be written to config.yaml: use numbers, words, lists and parts")


def from_plain(node: Any) -> Any:
    """The inverse of `to_plain`. Lists come back as tuples. Only trusted packages can be named (see `resolve`)."""
    if isinstance(node, Mapping):
        inner = {k: from_plain(v) for k, v in node.items() if k not in ("use", "is")}
        if "use" in node:
            return use(resolve(node["use"]), **inner)
        if "is" in node:
            kind = resolve(node["is"])
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
                raise OptionError(f"{node['is']!r} is not a record of a recipe")
            return _record(kind, inner)
        return inner
    if isinstance(node, list):
        return tuple(from_plain(v) for v in node)
    return node


def _record(kind: type, values: Mapping[str, Any]) -> Any:
    """A dataclass of these values, checked like the options of a part."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind, include_extras=True)
    for name, value in values.items():
        if name not in fields:
            raise OptionError(f"{name_of(kind)} has no field {name!r}{nearest(name, fields)}")
        check(value, hints.get(name, Any), f"{name_of(kind)}: {name}")
    empty = dataclasses.MISSING
    missing = [n for n, f in fields.items() if n not in values and f.default is empty and f.default_factory is empty]
    if missing:
        raise OptionError(f"{name_of(kind)} lacks {', '.join(map(repr, missing))}")
    return kind(**values)
