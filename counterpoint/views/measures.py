"""Do views keep what matters, and do they join what belongs together? Measured on a small sample, before any training.

Too weak views are told apart by accident, too strong ones are no longer the item. A measure looks at views with `features` (simple
numbers per kind, or an encoder of yours) and says how recognisable they are, whether they keep the label, and whether the views of
different items overlap, so that a path of overlapping views leads from item to item (the augmentation graph).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, LabelError
from counterpoint.core.options import Part
from counterpoint.core.recipe import Modality
from counterpoint.views import graph, ready
from counterpoint.views.features import describe

Features = Callable[[Tensor], Tensor]
UNNAMED = {4: "image", 5: "volume", 3: "series"}


@dataclass(frozen=True)
class Choice:
    """The views chosen for some data. transform: the part; name: what it is called; why: a sentence; table: what was measured."""

    transform: Part
    name: str
    why: str
    table: tuple[dict[str, Any], ...]


def sample(data: Any, labels: Any, items: int, generator: Generator) -> tuple[Tensor, Tensor | None, Modality | None]:
    """At most `items` items of a tensor, an array or a data set, drawn at random; their labels as codes (−1 unknown); their modality."""
    modality = None
    if hasattr(data, "batch") and hasattr(data, "spec"):
        modality = data.spec.only
        most = _affordable(modality.shape, items)
        chosen = torch.randperm(len(data.ids), generator=generator)[:most].sort().values
        x = data.batch(data.ids[chosen]).fields[next(iter(data.spec.modalities))]
        if labels is None and "label" in data.columns and not data.columns["label"].is_floating_point():
            labels = data.columns["label"]
        count = len(data.ids)
    else:
        whole = torch.from_numpy(data) if isinstance(data, np.ndarray) else data
        if not isinstance(whole, Tensor) or whole.dim() < 2:
            raise DataError(f"{type(data).__name__} was given; views are measured on a data set or on a batch (items, …)")
        count = len(whole)
        chosen = torch.randperm(count, generator=generator)[: _affordable(whole.shape[1:], items)].sort().values
        x = whole[chosen]
    if len(x) < 8:
        raise DataError(f"{len(x)} items were given; measuring views needs at least 8")
    if labels is None:
        return x, None, modality
    codes = np.asarray(labels)
    if len(codes) != count:
        raise LabelError(f"{len(codes)} labels were given for {count} items; there must be one for each")
    if codes.dtype.kind not in "iu":
        codes = np.unique(codes.astype(str), return_inverse=True)[1]
    known = torch.from_numpy(codes.astype(np.int64))[chosen]
    return x, known if int((known >= 0).sum()) >= 8 else None, modality


def some(data: Any, items: int, generator: Generator) -> tuple[Tensor, Modality | None]:
    """Some items of a data set or of a batch, drawn at random, and their modality where the data say it."""
    if hasattr(data, "batch") and hasattr(data, "spec"):
        chosen = torch.randperm(len(data.ids), generator=generator)[:items].sort().values
        return data.batch(data.ids[chosen]).fields[next(iter(data.spec.modalities))], data.spec.only
    whole = torch.from_numpy(data) if isinstance(data, np.ndarray) else data
    if not isinstance(whole, Tensor) or whole.dim() < 2 or len(whole) == 0:
        raise DataError(f"{type(data).__name__} was given; views are shown of a data set or of a batch (items, …)")
    return whole[torch.randperm(len(whole), generator=generator)[:items].sort().values], None


def _affordable(shape: Sequence[int], items: int) -> int:
    """Fewer items where they are large: about six million numbers, but no fewer than 100 items."""
    return min(items, max(100, 6_000_000 // max(math.prod(shape), 1)))


def measure(
    data: Any,
    preset: ready.Preset | Part,
    labels: Any = None,
    *,
    kind: str | None = None,
    items: int = 1000,
    neighbours: int = 5,
    features: Features | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """How recognisable views are, whether they keep the label, and whether they join the items.

    data: a data set, or a batch (items, …).   preset: a preset, or one transform, which then makes two views.
    labels: one per item; −1 unknown; a data set's own column "label" where none is given.   kind: of the data, where neither the
    data set nor the preset says it.   items: size of the sample.   neighbours: k of the nearest neighbours.
    features: a function of a batch, for example a trained encoder; simple numbers of the kind where none.   seed: of the sample.

    Returns (all between 0 and 1 but the counts):
    similarity:           mean cosine of a view and its original, less that of a view and another item's original, over 1 − the latter.
    between_views:        the same between two views of an item.
    recognised:           share of views whose nearest original is their own.
    label_preservation:   share of views whose k nearest originals, its own left out, vote for the item's label; none without labels.
    label_reference:      the same for the originals themselves: what the features allow.
    overlap:              share of views that are nearer to a view of another item than to their own item's other view.
    connectivity:         share of the items in the largest part of the graph that these overlaps make.
    parts:                number of parts of that graph.
    links_within_label:   share of its links between items of one label; label_chance is that of pairs at random.
    """
    generator = Generator().manual_seed(seed)
    x, codes, modality = sample(data, labels, items, generator)
    kind = kind or (preset.kind if isinstance(preset, ready.Preset) else None) or (modality.kind if modality else UNNAMED.get(x.dim()))
    if kind is None:
        raise DataError(f'the kind of data of shape {tuple(x.shape)} is not known; give kind="table", "text", "array" …')
    transforms = preset.transforms if isinstance(preset, ready.Preset) else (preset, preset)
    padding = int(modality.info.get("padding", 0)) if modality else 0
    look = features or (lambda batch: describe(batch, kind, padding))
    original = torch.nn.functional.normalize(look(x).float(), dim=1)
    views = [torch.nn.functional.normalize(look(graph.applied(part, x, generator)[0]).float(), dim=1) for part in transforms[:4]]
    views = views if len(views) > 1 else views * 2
    return _figures(original, views, codes, neighbours)


def _figures(original: Tensor, views: list[Tensor], codes: Tensor | None, k: int) -> dict[str, Any]:
    n = len(original)
    other = torch.arange(n).roll(n // 2)
    own = torch.stack([(v * original).sum(1).mean() for v in views]).mean()
    stranger = torch.stack([(v * original[other]).sum(1).mean() for v in views]).mean()
    pair = (views[0] * views[1]).sum(1).mean()
    apart = (1.0 - stranger).clamp(min=1e-6)
    nearest = [nearest_rows(v, original, k + 1) for v in views]
    places = torch.arange(n)
    found: dict[str, Any] = {
        "items": n,
        "similarity": float((own - stranger) / apart),
        "between_views": float((pair - stranger) / apart),
        "recognised": float(torch.stack([(near[:, 0] == places).float().mean() for near in nearest]).mean()),
        "label_preservation": None,
        "label_reference": None,
    }
    if codes is not None:
        known = codes >= 0
        votes = [_vote(near, codes, k) for near in nearest]
        reference = _vote(nearest_rows(original, original, k + 1), codes, k)
        found["label_preservation"] = float(torch.stack([(v == codes)[known].float().mean() for v in votes]).mean())
        found["label_reference"] = float((reference == codes)[known].float().mean())
    return found | _graph(views, codes, k)


def nearest_rows(rows: Tensor, others: Tensor, k: int) -> Tensor:
    """(n, k) positions of the k most similar rows of `others`, in pieces of 256 rows."""
    k = min(k, len(others))
    return torch.cat([(piece @ others.T).topk(k, dim=1).indices for piece in rows.split(256)])


def _vote(near: Tensor, codes: Tensor, k: int) -> Tensor:
    """(n,) the most frequent label among the k nearest that are not the item itself; ties go to the nearest."""
    places = torch.arange(len(near))[:, None]
    classes = int(codes.max()) + 1
    mine = near == places
    usable = ~mine & ((~mine).cumsum(1) <= k) & (codes[near] >= 0)
    weight = usable.float() * (1.0 - 1e-3 * torch.arange(near.shape[1]))
    return torch.zeros(len(near), classes).scatter_add_(1, codes[near].clamp(min=0), weight).argmax(1)


def _graph(views: list[Tensor], codes: Tensor | None, k: int) -> dict[str, Any]:
    """Overlaps of views: an item is joined with another if a view of it is nearer to a view of the other than to its own sibling."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(views[0])
    places = torch.arange(n)
    stack = torch.cat(views)
    item = places.repeat(len(views))
    left, right, crossed = [], [], []
    for number, rows in enumerate(views):
        sibling = (rows * views[(number + 1) % len(views)]).sum(1)
        for start in range(0, n, 256):
            scores = rows[start : start + 256] @ stack.T
            scores[item == places[start : start + 256, None]] = -2.0
            best = scores.topk(min(k, len(stack) - len(views)), dim=1)
            hit = best.values > sibling[start : start + 256, None]
            crossed.append(hit[:, 0])
            row, column = hit.nonzero(as_tuple=True)
            left.append(row + start)
            right.append(item[best.indices[row, column]])
    a, b = torch.cat(left), torch.cat(right)
    parts, part = connected_components(coo_array((np.ones(len(a)), (a.numpy(), b.numpy())), shape=(n, n)), directed=False)
    found: dict[str, Any] = {
        "overlap": float(torch.cat(crossed).float().mean()),
        "connectivity": float(np.bincount(part).max() / n),
        "parts": int(parts),
        "links_within_label": None,
        "label_chance": None,
    }
    if codes is not None:
        both = (codes[a] >= 0) & (codes[b] >= 0)
        known = codes[codes >= 0]
        if bool(both.any()):
            found["links_within_label"] = float((codes[a] == codes[b])[both].float().mean())
        found["label_chance"] = float(known.bincount().div(len(known)).square().sum())
    return found


def choose(
    data: Any,
    labels: Any = None,
    *,
    modality: Modality | None = None,
    items: int = 600,
    keep: float = 0.7,
    recognise: float = 0.25,
    seed: int = 0,
) -> Choice:
    """The strongest views that leave the item what it is, among the defaults of three strengths and the presets of the kind.

    data: a data set, or a batch.   labels: as in `measure`.   modality: what a batch is, which a data set says itself.
    items: size of the sample.   seed: of the sample.
    keep: with labels, share of the originals' label accuracy above chance that views must keep.
    recognise: without labels (or where the features do not show them), share of views whose nearest original must be their own.
    """
    generator = Generator().manual_seed(seed)
    x, codes, found = sample(data, labels, items, generator)
    modality = modality or found
    if modality is None:
        raise DataError("a batch alone does not say what it is; give modality=, or a data set")
    parts = ready.candidates(modality)
    rows = [{"name": name, **measure(x, part, codes, kind=modality.kind, items=len(x), seed=seed)} for name, part in parts.items()]
    reference, chance = rows[0]["label_reference"], rows[0]["label_chance"]
    shown = codes is not None and reference - chance > 0.05
    for row in rows:
        row["kept"] = (row["label_preservation"] - chance) / (reference - chance) if shown else row["recognised"]
    bar = keep if shown else recognise
    good = [r for r in rows if r["kept"] >= bar] or [max(rows, key=lambda r: r["kept"])]
    best = min(good, key=lambda r: r["between_views"])
    if shown:
        kept = f"keep {best['kept']:.0%} of what the items themselves tell of the label above chance"
    else:
        kept = f"leave {best['kept']:.0%} of the views nearest to their own item"
    why = f"views {best['name']!r}: on a sample of {len(x)} items they {kept} (asked: {bar:.0%}), and of the views that do they differ most"
    refused = [r["name"] for r in rows if r not in good]
    why += f"; {', '.join(refused)} change too much" if refused else ""
    return Choice(parts[best["name"]], best["name"], why, tuple(rows))
