"""Words in and out: name=value, tables of methods and sets, vectors to a file."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from counterpoint.core.errors import OptionError, OutputError


def assignments(pairs: Sequence[str]) -> dict[str, Any]:
    """["lr=1e-3", "views.transform.size=32"] as {"lr": 0.001, …}; values are read as YAML."""
    import yaml

    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"--set {pair!r} is not of the form name=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise OptionError(f"--set {pair!r}: {text!r} is not a number, a word, true, false, or a list [a, b]") from None
        if isinstance(value, str):
            with contextlib.suppress(ValueError):  # YAML takes 1e-3 for a word
                value = float(value)
        found[name.strip()] = value
    return found


def names(pairs: Sequence[str], flag: str) -> dict[str, str]:
    """["group=patient"] as {"group": "patient"}; "patient" alone keeps its name."""
    found = {}
    for pair in pairs:
        name, equals, column = pair.partition("=")
        if not name or (equals and not column):
            raise OptionError(f"{flag} {pair!r} is not of the form name=column")
        found[name] = column if equals else name
    return found


def write_vectors(path: Path, vectors: np.ndarray, ids: np.ndarray) -> None:
    """(n, d) float32 and ids to .parquet (columns id, vector), .npy or .npz; whole or not at all."""
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".npy", ".npz"):
        raise OptionError(f"--out {str(path)!r} ends in {suffix!r}; it must end in .parquet, .npy or .npz")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
    try:
        if not path.parent.is_dir():
            raise OutputError(f"{path} cannot be written: there is no folder {path.parent}")
        if suffix == ".parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
            pq.write_table(pa.table({"id": ids, "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])}), temporary)
        elif suffix == ".npy":
            np.save(temporary, vectors)
        else:
            np.savez(temporary, id=ids, vector=vectors)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None


def print_methods(cards: Sequence[dict[str, Any]]) -> None:
    """A line each: of what a method changes the slots, which `methods show` spells out."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("method", "paper", "family", "changes", "data"):
        table.add_column(heading, no_wrap=heading == "method")
    for card in cards:
        paper = "" if card["paper"] is None else f"{card['paper']:03d}"
        slots = dict.fromkeys(path.split(".")[0] for path in card["changes"])
        table.add_row(card["slug"], paper, card["family"], ", ".join(slots), "; ".join([", ".join(card["kinds"]), *card["needs"]]))
    Console().print(table)


def print_method(found: Any) -> None:
    """The file's docstring, options with type, default and sentence, and the recipe as a tree of settable paths."""
    from counterpoint.core import options

    console = Console(highlight=False)
    console.print(found.doc, markup=False)
    rows = options.describe(found.build)
    if rows:
        console.print("\nOptions (--set name=value)", style="bold")
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, kind, default, sentence in rows:
            table.add_row(f"  {name}", str(default), kind, sentence)
        console.print(table)
    console.print("\nRecipe on small example data (each path can be set)", style="bold")
    recipe = found(found.example)
    for path, value in settable(recipe):
        console.print(f"  {path} = {value}", markup=False, soft_wrap=True)
    if found.baseline:
        console.print(f"\nDiffers from {found.baseline} in: {', '.join(found.changes()) or 'nothing'}", markup=False)


def print_claim(result: Mapping[str, Any]) -> None:
    """The arms of a claim with the figure that decides, the difference of method and baseline, and the verdict."""
    metric = result["metric"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("arm", metric, "spread", "seconds"):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    rows = {name: (arm["figures"], sum(arm["seconds"]) / len(arm["seconds"])) for name, arm in result["arms"].items()}
    for name, (figures, seconds) in {**rows, **{name: (given, None) for name, given in result["references"].items()}}.items():
        if metric in figures:
            spread = figures[metric]["spread"]
            cost = "" if seconds is None else f"{seconds:.0f}"
            table.add_row(name, f"{figures[metric]['mean']:.4f}", "" if spread is None else f"{spread:.4f}", cost)
    console = Console(highlight=False)
    console.print(table)
    gap = result["difference"]
    error = "" if gap["error"] is None else f" ± {gap['error']:.4f} (standard error)"
    console.print(f"{result['slug']}: {result['verdict']}; method − baseline {gap['mean']:+.4f}{error}")


def settable(recipe: Any) -> list[tuple[str, str]]:
    """Every dotted path of a recipe with its value: parts by name, then their options, defaults included."""
    from counterpoint.core import options

    found: list[tuple[str, str]] = []

    def walk(node: Any, path: str) -> None:
        inside = options.children(node)
        if isinstance(node, tuple) and not any(options.children(item) for item in node):
            inside = {}  # (0.2, 1.0) is one value, not two
        if isinstance(node, options.Part):
            found.append((path, options.name_of(node.make)))
        elif not inside and node is not inspect.Parameter.empty:  # empty: the loop gives it
            found.append((path, repr(node)))
        for key, value in inside.items():
            walk(value, f"{path}.{key}" if path else key)

    walk(recipe, "")
    return found


def print_sets(found: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "kind", "items", "classes", "here", "licence"):
        table.add_column(heading, no_wrap=heading == "name")
    for entry in found:
        table.add_row(
            *(str(entry.get(k) if entry.get(k) is not None else "") for k in ("name", "kind", "items", "classes", "here", "licence"))
        )
    Console().print(table)


def print_neighbours(run: Any, cosines: np.ndarray, ids: np.ndarray, source: Any) -> None:
    """The neighbours of each query, with their text or label where there is one."""
    import torch

    try:
        given = run.data if source is None else run.read(source)
        words = {int(i): w for i, w in zip(np.unique(ids), given.preview(torch.from_numpy(np.unique(ids))), strict=True)}
    except Exception:  # the search has its answer; what stands beside it is decoration
        words = {}
    for number, (row, neighbours) in enumerate(zip(cosines, ids, strict=True)):
        if len(ids) > 1:
            print(f"query {number}")
        for cosine, item in zip(row, neighbours, strict=True):
            word = words.get(int(item))
            print(f"  {cosine:6.3f}  {item}" + (f"  {word[:100]}" if isinstance(word, str) else ""))
