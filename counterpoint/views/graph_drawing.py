"""A picture of a node and what is around it, or of a small graph: the links that a view kept, left out and added, and its features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

NODES, FEATURES = 30, 40  # nodes and columns of features that are drawn at most
ROUNDS = 80  # of pushing and pulling


def links(axis: Any, view: tuple[dict[str, Any], int], own: tuple[dict[str, Any], int]) -> None:
    """Draw an item of a graph. view, own: (parts, item) of the view and of the graph it was made of, which gives the places of nodes.

    item: a node, drawn darker, with its neighbours and theirs; the number of a small graph where the parts have "batch".
    Grey: links that are there; dotted: those left out; red: added ones. Below: the nodes' features, a row each.
    """
    before, (after, item) = own[0], view
    shown = _around(before, item)
    place = _layout(before["edge_index"], shown)
    kept, old = _pairs(after["edge_index"], shown), _pairs(before["edge_index"], shown)
    axis.set_axis_off()
    above, below = axis.inset_axes((0.0, 0.3, 1.0, 0.7)), axis.inset_axes((0.0, 0.0, 1.0, 0.26))
    for inset in (above, below):
        inset.set_xticks([])
        inset.set_yticks([])
    above.set_axis_off()
    for pairs, style in (
        (old - kept, {"color": "0.6", "linestyle": ":", "linewidth": 0.9}),
        (old & kept, {"color": "0.45", "linewidth": 0.8}),
        (kept - old, {"color": "tab:red", "linewidth": 0.8, "alpha": 0.7}),
    ):
        ends = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
        above.plot(place[ends, 0], place[ends, 1], zorder=1, **style)
    main = shown.numpy() == item if before.get("batch") is None else np.zeros(len(shown), bool)
    above.scatter(*place.T, s=np.where(main, 40, 14), c=np.where(main, "tab:orange", "tab:blue"), zorder=2)
    above.set_aspect("equal", adjustable="datalim")
    busy = before["x"][shown].abs().sum(0).argsort(descending=True, stable=True)[:FEATURES].sort().values
    most = float(before["x"][shown][:, busy].abs().max().clamp(min=1e-9))
    strip = after["x"][shown][:, busy].float().numpy()
    below.imshow(strip, aspect="auto", cmap="PuOr", vmin=-most, vmax=most, interpolation="nearest")


def _around(parts: dict[str, Any], item: int) -> Tensor:
    """The nodes of a small graph, or a node, its neighbours and theirs; the first NODES of them."""
    if parts.get("batch") is not None:
        return (parts["batch"] == item).nonzero()[:NODES, 0]
    source, target = parts["edge_index"]
    found = [torch.tensor([item])]
    for _ in range(2):
        reached = target[torch.isin(source, found[-1])].unique()
        found.append(reached[~torch.isin(reached, torch.cat(found))])
    return torch.cat(found)[:NODES]


def _pairs(edges: Tensor, shown: Tensor) -> set[tuple[int, int]]:
    """Links among the shown nodes, by their places there, each once."""
    inner = edges[:, torch.isin(edges, shown).all(0)]
    place = {int(node): i for i, node in enumerate(shown)}
    return {(min(a, b), max(a, b)) for a, b in ((place[int(s)], place[int(t)]) for s, t in inner.T) if a != b}


def _layout(edges: Tensor, shown: Tensor) -> np.ndarray:
    """(n, 2) places: linked nodes pull, all nodes push (Fruchterman and Reingold 1991), from a circle."""
    n = len(shown)
    angle = np.arange(n) * (2 * np.pi / max(n, 1))
    place = np.stack([np.cos(angle), np.sin(angle)], 1)
    ends = np.array(sorted(_pairs(edges, shown)), dtype=np.int64).reshape(-1, 2)
    near = 1.0 / np.sqrt(max(n, 1))
    for step in np.linspace(0.15, 0.01, ROUNDS):
        apart = place[:, None] - place[None]
        far = np.maximum(np.linalg.norm(apart, axis=2), 1e-3)
        force = (apart * (near**2 / far**2)[:, :, None]).sum(1)
        pull = (place[ends[:, 0]] - place[ends[:, 1]]) * (np.linalg.norm(place[ends[:, 0]] - place[ends[:, 1]], axis=1) / near)[:, None]
        np.add.at(force, ends[:, 0], -pull)
        np.add.at(force, ends[:, 1], pull)
        length = np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 1e-9)
        place = place + force / length * np.minimum(length, step)
    return place
