"""Do views keep what matters, and do they join what belongs together? Measured on a small sample, before any training.

Too weak views are told apart by accident, too strong ones are no longer the item. A measure looks at views with `features` (simple
numbers per kind, or an encoder of yours) and says how recognisable they are, whether they keep the label, and whether the views of
different items overlap, so that a path of overlapping views leads from item to item (the augmentation graph).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Part, check
from counterpoint.core.recipe import Graph
from counterpoint.views import graph
from counterpoint.views.features import describe
from counterpoint.views.ready import Preset
from counterpoint.views.sampling import codes, part_of, sample, seeded

Features = Callable[[Any], Tensor]
LEAST, MOST = 8, 4  # items; views of a preset that are looked at
OTHERS = 100  # items that a view is told apart from, so that the share does not depend on how many there are


def measure(
    data: Any,
    preset: Preset | Part,
    labels: Any = None,
    *,
    kind: str | None = None,
    items: int = 1000,
    neighbours: int = 5,
    features: Features | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """How recognisable views are, whether they keep the label, and whether they join the items.

    data: a data set, a batch (items, …), or a graph as a mapping {"x", "edge_index"}, PyTorch Geometric's Data or a core Graph, whose
    items are the nodes, or the small graphs where it has "batch".   preset: a preset, or one transform, which then makes two views.
    labels: one per item; −1 unknown; a data set's own column "label" where none is given.   kind: of the data, where neither the
    data set nor the preset says it.   items: size of the sample.   neighbours: k of the nearest neighbours.
    features: a function of a batch, for example a trained encoder; simple numbers of the kind where none.   seed: of the sample.

    Returns (shares, but for the counts and the first two, which are at most 1 and around 0 where a view is as far as another item):
    similarity:           mean cosine of a view and its original, less that of views and all other items' originals, over 1 − the latter.
    between_views:        the same between two views of an item.
    recognised:           share of views that are nearer to their own original than to any of 100 others (of all, where there are fewer).
    least_recognised:     that of the view, of those that the preset makes, which is recognised least.
    label_preservation:   share of views whose k nearest originals, its own left out, vote for the item's label; none without labels.
    least_label_preservation: that of the view, of those that the preset makes, which keeps it least.
    label_reference:      the same for the originals themselves: what the features allow.
    label_majority:       share of the commonest label: what a vote reaches that sees nothing.
    overlap:              share of views that are nearer to a view of another item than to their own item's other view.
    connectivity:         share of the items in the largest part of the graph that these overlaps make.
    parts:                number of parts of that graph.
    links_within_label:   share of its links between items of one label; label_chance is that of pairs at random.
    """
    preset, generator = part_of(preset), seeded(seed)
    check(neighbours, Count, "neighbours")
    found = sample(data, preset, kind, items, generator, afford=True)
    if len(found) < LEAST:
        raise DataError(f"{len(found)} items were given; measuring views needs at least {LEAST}")
    labels = found.labels if labels is None else labels
    known = None if labels is None else codes(labels, found)
    transforms = preset.sized(found.x) if isinstance(preset, Preset) else (preset, preset)
    padding = int(transforms[0].effective().get("padding", 0))

    def rows(x: Any) -> Tensor:
        numbers = features(x) if features else described(x, found.kind, padding)
        numbers = torch.from_numpy(numbers) if isinstance(numbers, np.ndarray) else numbers
        if not isinstance(numbers, Tensor) or numbers.dim() != 2 or len(numbers) != len(found) or not bool(numbers.isfinite().all()):
            shape = f" of shape {tuple(numbers.shape)}" if isinstance(numbers, Tensor) else ""
            raise DataError(
                f"features gave a {type(numbers).__name__}{shape}; it is ({len(found)}, width) finite numbers, a row for each item"
            )
        return torch.nn.functional.normalize(numbers.detach().float().cpu(), dim=1)  # so that labels and places need not move

    if features is not None and not callable(features):
        raise DataError(f"features = {features!r} was given; it is a function of a batch")
    views = [rows(graph.applied(part, found.x, generator)[0]) for part in transforms[:MOST]]
    return _figures(rows(found.x), views if len(views) > 1 else views * 2, known, neighbours)


def described(x: Any, kind: str, padding: int = 0) -> Tensor:
    """(b, d) simple numbers of items; a small graph's are the mean of its nodes'."""
    each = describe(x, kind, padding)
    if not isinstance(x, Graph) or x.parts.get("batch") is None:
        return each
    place = x.parts["batch"][x.rows].unique(return_inverse=True)[1]
    total = each.new_zeros(int(place.max()) + 1, each.shape[1]).index_add_(0, place, each)
    return total / torch.bincount(place)[:, None]


def _figures(original: Tensor, views: list[Tensor], codes: Tensor | None, k: int) -> dict[str, Any]:
    n = len(original)
    own = torch.stack([(v * original).sum(1).mean() for v in views]).mean()
    every = torch.stack([v.double().sum(0) @ original.double().sum(0) for v in views]).mean() / n
    stranger = ((every - own) / (n - 1)).float()  # the mean over all pairs of a view and another item
    pair = (views[0] * views[1]).sum(1).mean()
    apart = (1.0 - stranger).clamp(min=1e-6)
    told = [_told_apart(v, original) for v in views]
    found: dict[str, Any] = {
        "items": n,
        "similarity": float((own - stranger) / apart),
        "between_views": float((pair - stranger) / apart),
        "recognised": sum(told) / len(told),
        "least_recognised": min(told),
        **dict.fromkeys(("label_preservation", "least_label_preservation", "label_reference", "label_majority")),
    }
    if codes is not None:
        known = codes >= 0

        def right(rows: Tensor) -> float:
            return float((_vote(nearest_rows(rows, original, k + 1), codes, k) == codes)[known].float().mean())

        kept = [right(v) for v in views]
        found["label_preservation"], found["least_label_preservation"] = sum(kept) / len(kept), min(kept)
        found["label_reference"], found["label_majority"] = right(original), float(codes[known].bincount().max() / known.sum())
    return found | _graph(views, codes, k)


def _told_apart(views: Tensor, original: Tensor) -> float:
    """Chance that a view's own original is the nearest among itself and OTHERS of the n − 1 others, drawn without replacement: where r of
    them are nearer, C(n − 1 − r, m) / C(n − 1, m)."""
    others, places = len(original) - 1, torch.arange(len(original))
    drawn = min(OTHERS, others)
    nearer = torch.cat([
        (scores > scores.gather(1, place[:, None])).sum(1)
        for scores, place in ((views[place] @ original.T, place) for place in places.split(256))
    ]).double()  # fmt: skip
    rest = others - nearer
    chance = (
        torch.lgamma(rest + 1) - torch.lgamma((rest - drawn).clamp(min=0) + 1) - math.lgamma(others + 1) + math.lgamma(others - drawn + 1)
    )
    return float(torch.where(rest >= drawn, chance.exp(), 0.0).mean())


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
