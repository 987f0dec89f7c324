"""How a list of views becomes rows: equal shapes in one forward pass, rows view by view, keys beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from counterpoint.core.arrangement import below_each_other, mark_stacked
from counterpoint.core.errors import OptionError, RequirementError, nearest
from counterpoint.core.flow import Late, joined
from counterpoint.core.recipe import Graph, Modality, Rows, Spec, View


def encode(backbone: nn.Module, fields: Sequence[Mapping[str, Any]], modality: str) -> Tensor:
    """(rows of all views, width): views whose items have the same shape and type are one forward pass.

    Views of a graph are encoded one by one: the backbone takes a Graph and returns the rows of its items.
    """
    for given in fields:
        if modality not in given:
            raise RequirementError(f"the encoder reads {modality!r} and the view holds {', '.join(given)}{nearest(modality, given)}")
    if isinstance(fields[0][modality], Graph):
        return _nodes(backbone, [given[modality] for given in fields])
    groups: dict[tuple[Any, ...], list[int]] = {}
    for position, given in enumerate(fields):
        groups.setdefault((tuple(given[modality].shape[1:]), given[modality].dtype), []).append(position)
    pieces: dict[int, Tensor] = {}
    for members in groups.values():
        each = [fields[i][modality] for i in members]
        rows = backbone(below_each_other(each))
        if len(groups) == 1:
            return cast(Tensor, rows)
        pieces.update(zip(members, rows.split([len(x) for x in each]), strict=True))
    return torch.cat([pieces[i] for i in range(len(fields))])


SHORT = 16  # tokens; shorter sequences are not worth a group of their own


def by_length(x: Tensor, ends: Tensor, encoded: Callable[[Tensor], Tensor]) -> Tensor:
    """Sequences (b, t) of like length go through together, each group cut to its own longest: one long one would make all as dear.

    ends: (b,) how far each sequence reaches.   encoded: (g, t') → (g, width).
    """
    group = ends.clamp(min=SHORT).sub(1).log2().floor().long()  # up to 16, 32, 64 … tokens
    order = group.argsort(stable=True)
    pieces = order.split(group.bincount(minlength=1).tolist())
    rows = torch.cat([encoded(x[piece, : max(int(ends[piece].max()), 1)]) for piece in pieces if len(piece)])
    return rows[order.argsort()]


def _nodes(backbone: nn.Module, graphs: Sequence[Graph]) -> Tensor:
    """The items' rows of every graph, each graph encoded once, however many views look at other nodes of it."""
    groups: dict[int, list[int]] = {}
    for position, given in enumerate(graphs):
        groups.setdefault(id(given.parts), []).append(position)
    pieces: dict[int, Tensor] = {}
    for members in groups.values():
        rows = backbone(Graph(graphs[members[0]].parts, torch.cat([graphs[i].rows for i in members])))
        pieces.update(zip(members, rows.split([len(graphs[i]) for i in members]), strict=True))
    return torch.cat([pieces[i] for i in range(len(graphs))])


def frame(views: Sequence[View], positions: Sequence[int] | None = None) -> Rows:
    """Rows without vectors, (rows of all views, 0), with the keys of the views and "view", the position in the list of views.

    positions: the views to stack; all by default. Roles name all views, so that positions keep their meaning.
    """
    chosen = range(len(views)) if positions is None else positions
    if not chosen:
        raise RequirementError("there are no views to encode")
    each = [views[position].keys for position in chosen]
    items = each[0]["item"]
    sizes = tuple(len(keys["item"]) for keys in each)
    makers = {name: partial(joined, name, each, sizes) for keys in each for name in keys if name != "view"}
    kept = type(items) is Tensor and not torch.compiler.is_compiling()  # what stands for a tensor while a model is traced is not
    view = (_numbered if kept else _numbered.__wrapped__)(tuple(chosen), sizes, items.device)
    rows = Rows(torch.empty(len(view), 0, device=view.device), Late(makers, {"view": view}), False, tuple(view.name for view in views))
    if all(keys["item"] is items for keys in each):
        mark_stacked(rows, items, tuple(chosen))
    return rows


@lru_cache(maxsize=32)
def _numbered(positions: tuple[int, ...], sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """The key "view" (rows,) of views that are stacked: the same in every batch."""
    with torch.inference_mode(False):
        return torch.cat([torch.full((size,), position, device=device) for position, size in zip(positions, sizes, strict=True)])


def positions_of(views: Sequence[View], chosen: Sequence[str | int] | None) -> list[int]:
    """Positions of the views with these roles (or at these positions), all for None."""
    return [i for i, view in enumerate(views) if chosen is None or view.name in chosen or i in chosen]


def modality_of(spec: Spec, name: str | None) -> tuple[str, Modality]:
    """The modality of this name, or the only one, with its name."""
    if name is None:
        return next(name for name, found in spec.modalities.items() if found is spec.only), spec.only
    if name not in spec.modalities:
        raise OptionError(f"the data have no modality {name!r}{nearest(name, spec.modalities)}")
    return name, spec.modalities[name]


def expect(modality: Modality, kind: str, encoder: str) -> None:
    """Refuse a modality of another kind than the encoder's."""
    if modality.kind != kind:
        raise OptionError(f"{encoder} encodes {kind} data and these are {modality.kind}; see encoders.default")


def evaluating(model: nn.Module, compute: Callable[[], Any]) -> Any:
    """`compute()` without gradients and with every module in eval mode; the modes are put back afterwards, module by module."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            return compute()
    finally:
        for module, training in modes:
            module.training = training
