"""Some items of whatever is at hand: a data set, a tensor, an array, a graph in any form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, LabelError, OptionError
from counterpoint.core.options import Count, Part, check, use
from counterpoint.core.recipe import Graph, Modality
from counterpoint.views import checked
from counterpoint.views.ready import Preset

UNNAMED = {4: "image", 5: "volume", 3: "series"}  # what a tensor with so many axes is taken for


@dataclass(frozen=True)
class Sample:
    """Some items. x: (b, …) tensor, or a core Graph of b nodes, or of b small graphs where its parts have "batch".   chosen: (b,) which.

    count: how many items there are.   kind: of data.   modality: where a data set says it.   labels: a data set's own, one per item.
    words: what the ids of a text stand for, where a data set says it.
    """

    x: Any
    chosen: Tensor
    count: int
    kind: str
    modality: Modality | None = None
    labels: Any = None
    words: Callable[[int], str] | None = None

    def __len__(self) -> int:
        return len(self.chosen)


def part_of(preset: Any) -> Preset | Part:
    """A preset or a part, or a transform, as a part."""
    if isinstance(preset, (Preset, Part)):
        return preset
    if callable(preset):
        return use(preset)
    raise OptionError(f"preset = {preset!r} was given; give views.preset(kind, name), or one transform, such as views.image.simclr")


def seeded(seed: Any) -> Generator:
    check(seed, int, "seed")
    return Generator().manual_seed(seed % (1 << 63))


def sample(data: Any, preset: Preset | Part, kind: str | None, items: int, generator: Generator, *, afford: bool = False) -> Sample:
    """At most `items` items, drawn at random, looked through as `views.checked` does.

    data: a data set of one modality, a batch (items, …), or a graph as a mapping, PyTorch Geometric's Data or a core Graph.
    preset: says the kind where neither `kind` nor the data set does.   afford: fewer items where they are large.
    """
    check(items, Count, "items")
    asked = kind or (preset.kind if isinstance(preset, Preset) else None)
    if isinstance(preset, Preset) and asked != preset.kind:
        raise DataError(f'kind = "{asked}" was given with {preset.kind} views; they must be of one kind')
    if hasattr(data, "batch") and hasattr(data, "spec"):
        return _of_set(data, asked, items, generator, afford)
    if isinstance(data, (Graph, Mapping)) or hasattr(data, "edge_index"):
        if asked not in (None, *checked.LINKED):
            raise DataError(f"a graph was given with {asked} views; {asked} is one tensor or NumPy array")
        return _of_graph(checked.graph(data, asked or "graph"), asked or "graph", items, generator)
    if asked in checked.LINKED:
        checked.graph(data, asked)  # says what a graph is
    x = checked.tensor(data, asked or "a batch")
    asked = asked or UNNAMED.get(x.dim())
    if asked is None:
        raise DataError(f'the kind of data of shape {tuple(x.shape)} is not known; give kind="table", "text", "array" …')
    if asked not in checked.AXES:
        raise DataError(f"views of {asked} are neither measured nor shown; the kinds are {', '.join([*checked.AXES, *checked.LINKED])}")
    checked.layout(x, asked)
    chosen = _chosen(len(x), _affordable(x.shape[1:], items) if afford else items, generator)
    return Sample(checked.checked(x[chosen], asked), chosen, len(x), asked)


def _of_set(data: Any, asked: str | None, items: int, generator: Generator, afford: bool) -> Sample:
    modality = data.spec.only
    if asked not in (None, modality.kind):
        raise DataError(f"the views are for {asked} and the data are {modality.kind}")
    chosen = _chosen(len(data.ids), _affordable(modality.shape, items) if afford else items, generator)
    x = data.batch(data.ids[chosen]).fields[next(iter(data.spec.modalities))]
    column = data.columns.get("label")
    labels = column if column is not None and not column.is_floating_point() else None
    return Sample(x, chosen, len(data.ids), modality.kind, modality, labels, next(iter(data.fields.values())).word_of)


def _of_graph(parts: Any, kind: str, items: int, generator: Generator) -> Sample:
    rows = parts.rows if isinstance(parts, Graph) else torch.arange(len(parts["x"]), device=parts["x"].device)
    parts = parts.parts if isinstance(parts, Graph) else parts
    owner = parts.get("batch")
    if owner is None:
        chosen = _chosen(len(rows), items, generator)
        return Sample(Graph(parts, rows[chosen.to(rows.device)]), chosen, len(rows), kind)
    there, count = owner.unique().cpu(), int(owner.max()) + 1  # a graph without nodes cannot be looked at
    chosen = there[_chosen(len(there), items, generator)]
    return Sample(Graph(parts, torch.isin(owner, chosen.to(owner.device)).nonzero()[:, 0]), chosen, count, kind)


def codes(labels: Any, found: Sample) -> Tensor | None:
    """(b,) int64 labels of the sample (−1 unknown), from words or numbers, one per item of the whole; None where fewer than 8 are known."""
    given = (
        labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels, None if hasattr(labels, "dtype") else object)
    )
    if given.ndim != 1 or any(isinstance(one, (list, tuple, np.ndarray)) for one in given[:1]):
        raise LabelError(f"labels of shape {given.shape} were given; they are (items,), one for each")
    if len(given) != found.count:
        raise LabelError(f"{len(given)} labels were given for {found.count} items; there must be one for each")
    said = np.array([_said(label) for label in given[found.chosen].tolist()])
    known = np.full(len(said), -1)
    known[said != ""] = np.unique(said[said != ""], return_inverse=True)[1]
    return torch.from_numpy(known) if int((known >= 0).sum()) >= 8 else None


def _said(label: Any) -> str:
    """A label in words, none where it is unknown: −1, None, NaN, NA, an empty word."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    unknown = (
        label is None or label == -1 or (isinstance(label, float) and math.isnan(label)) or type(label).__name__ in ("NAType", "NaTType")
    )
    return "" if unknown else str(label).strip()


def _chosen(count: int, items: int, generator: Generator) -> Tensor:
    if count == 0:
        raise DataError("an empty batch was given; views need at least one item")
    return torch.randperm(count, generator=generator)[:items].sort().values


def _affordable(shape: Any, items: int) -> int:
    """Fewer items where they are large: about six million numbers, but no fewer than 100 items."""
    return min(items, max(100, 6_000_000 // max(math.prod(shape), 1)))
