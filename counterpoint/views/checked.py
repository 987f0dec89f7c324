"""What views are made of, looked through once: tensors and arrays (items, …) of each kind, and graphs in their usual forms.

One line says what was given, what is wrong with it, and what would be right. Whoever calls a transform itself goes without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.recipe import Graph

AXES = {
    "image": ("channels", "height", "width"), "volume": ("channels", "depth", "height", "width"),
    "video": ("channels", "frames", "height", "width"), "series": ("channels", "time"), "table": ("columns",), "array": ("columns",),
    "text": ("tokens",), "audio": ("channels", "samples"), "points": ("channels", "points"),
    "skeleton": ("coordinates", "frames", "joints"),
}  # fmt: skip
LINKED = ("graph", "interactions")
WHOLE = ("image", "volume", "video")  # NaN means nothing in them
SHORTEST = 4  # samples of a wave that has a spectrum
KEPT = ("x", "edge_index", "edge_weight", "batch")  # of a graph; what else belongs to links or nodes is not brought along


def drawn(generator: Any) -> Generator:
    """The generator, or a new one that is seeded by torch's own where none is given."""
    if generator is None:
        return Generator().manual_seed(int(torch.randint(2**62, ()).item()))
    if not isinstance(generator, Generator):
        right = f"torch.Generator().manual_seed({generator})" if isinstance(generator, int) else "torch.Generator().manual_seed(0)"
        raise OptionError(f"generator = {_named(generator)} was given; give a torch.Generator: {right}")
    return generator


def checked(batch: Any, kind: str) -> Any:
    """A tensor (items, …) or, of nodes, a mapping or a core Graph, as the transforms of this kind take it.

    Floats become float32; whole numbers float32 where they are measurements: those of volumes in their own units (Hounsfield), those of
    waves over their type's largest. Pictures and volumes of uint8 and uint16 stay, the transforms bring them to [0, 1].
    """
    if kind in LINKED:
        return graph(batch, kind)
    x = tensor(batch, kind)
    layout(x, kind)
    if not len(x):
        raise DataError("an empty batch was given; views need at least one item")
    for axis, size in zip(_axes(x, kind), x.shape[1:], strict=True):
        if size == 0:
            raise DataError(f"{kind} of shape {tuple(x.shape)} was given: it has no {axis}")
    if kind == "audio" and x.dim() == 3 and x.shape[2] < SHORTEST:
        raise DataError(f"audio of shape {tuple(x.shape)} was given; a wave has at least {SHORTEST} samples")
    return _words(x) if kind == "text" else _numbers(x, kind)


def tensor(value: Any, kind: str) -> Tensor:
    """A tensor of what is one, or a NumPy array; anything else is refused."""
    wanted = f"{kind} is given as one tensor or NumPy array {_form(kind)}"
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biuf":
            raise DataError(f"an array of {value.dtype} was given; {wanted}{_reading(kind)}")
        plain = np.ascontiguousarray(value, np.float64 if value.dtype.itemsize > 8 else value.dtype.newbyteorder("="))
        return torch.from_numpy(plain if plain.flags.writeable else plain.copy())
    if not isinstance(value, Tensor):
        if hasattr(value, "batch") and hasattr(value, "spec"):
            raise DataError("a data set was given; give a batch of it: data.batch(data.ids[:64]).fields[…]")
        raise DataError(f"{_named(value)} was given; {wanted}{_reading(kind)}")
    if value.layout is not torch.strided or value.is_complex() or value.is_quantized:
        raise DataError(f"a tensor of {value.dtype}, {value.layout} was given; {wanted} of real numbers".replace("torch.", ""))
    if value.requires_grad:
        raise DataError("a tensor that requires a gradient was given, and none passes through views; give batch.detach()")
    return value


def layout(x: Tensor, kind: str) -> None:
    """Refuse another number of axes than the kind has, and axes in another order as far as it shows."""
    shape = tuple(x.shape)
    if x.dim() != 1 + len(AXES[kind]) and not (kind == "audio" and x.dim() == 4):
        more = " or, as spectrograms, (items, channels, bands, frames)" if kind == "audio" else ""
        raise DataError(f"{kind} of shape {shape} was given; a batch is {_form(kind)}{more}")
    last = x.dim() - 1
    if kind in WHOLE and shape[last] in (1, 3, 4) and min(shape[1:last]) > 4:
        order = ", ".join(map(str, (0, last, *range(1, last))))
        raise DataError(f"{kind} of shape {shape} was given, channels last as it seems; a batch is {_form(kind)}: give x.permute({order})")
    if kind == "video" and shape[2] == 3 and shape[1] > 4:
        raise DataError(
            f"video of shape {shape} was given, frames before channels as it seems; a batch is {_form(kind)}: x.transpose(1, 2)"
        )
    if kind == "skeleton" and shape[1] > 4 and {2, 3} & set(shape[2:]):
        right = "x.transpose(1, 2)" if shape[2] in (2, 3) else "x.permute(0, 3, 1, 2)"
        raise DataError(f"skeleton of shape {shape} was given, coordinates not first as it seems; a batch is {_form(kind)}: give {right}")
    if kind == "points" and (shape[1] < 3 or (shape[1] > 12 and shape[2] == 3)):
        right = "give x.transpose(1, 2)" if shape[2] == 3 else "the first three channels are places"
        raise DataError(f"points of shape {shape} was given; a batch is {_form(kind)}: {right}")


def graph(value: Any, kind: str = "graph") -> Any:
    """A core Graph as it is, its parts checked; a mapping, or what has to_dict (PyTorch Geometric's Data), as a mapping of KEPT."""
    form = '{"x": (nodes, features), "edge_index": (2, edges)}'
    if isinstance(value, Graph):
        return replace(value, parts={**value.parts, **_graph(value.parts, form)})
    if isinstance(value, (list, tuple)):
        raise DataError(f'{_named(value)} was given; lay graphs side by side in one mapping {form[:-1]}, "batch": (nodes,)}}')
    parts = value.to_dict() if hasattr(value, "edge_index") and hasattr(value, "to_dict") else value
    if not isinstance(parts, Mapping):
        raise DataError(f"{_named(value)} was given; a {kind} is {form}, or an object that has x and edge_index")
    return _graph(parts, form)


def _graph(given: Mapping[str, Any], form: str) -> dict[str, Any]:
    parts = {name: tensor(given[name], f"{name} of a graph") for name in KEPT if given.get(name) is not None}
    if "x" not in parts or "edge_index" not in parts:
        raise DataError(f"a mapping of {', '.join(map(repr, given)) or 'nothing'} was given; a graph is {form}")
    x, edges = parts["x"], parts["edge_index"]
    if x.dim() != 2 or 0 in x.shape:
        raise DataError(f'"x" of shape {tuple(x.shape)} was given; it is (nodes, features), at least one of each')
    if edges.dim() != 2 or len(edges) != 2 or edges.is_floating_point() or edges.dtype is torch.bool:
        raise DataError(f'"edge_index" of shape {tuple(edges.shape)} and type {_type(edges)} was given; it is (2, edges) whole numbers')
    parts["x"], parts["edge_index"] = _numbers(x, "x of a graph"), edges.long()
    edges = parts["edge_index"]
    odd = edges[(edges < 0) | (edges >= len(x))]
    if len(odd):
        raise DataError(f'"edge_index" names node {int(odd[0])} and there are {len(x)} nodes (0 … {len(x) - 1})')
    for name, length in (("edge_weight", edges.shape[1]), ("batch", len(x))):
        if name in parts and parts[name].shape != (length,):
            raise DataError(f'"{name}" of shape {tuple(parts[name].shape)} was given; it is ({length},)')
    if "edge_weight" in parts:
        parts["edge_weight"] = _numbers(parts["edge_weight"], "edge_weight of a graph")
    if "batch" in parts:
        batch = parts["batch"]
        if batch.is_floating_point() or batch.dtype is torch.bool or int(batch.long().min()) < 0:
            raise DataError(f'"batch" of type {_type(batch)} was given; it is the number of each node\'s graph, 0 and above')
        parts["batch"] = batch.long()
    return parts


def _words(x: Tensor) -> Tensor:
    if x.is_floating_point() or x.dtype is torch.bool:
        raise DataError(f"text of type {_type(x)} was given; a batch is {_form('text')} of whole numbers, the tokens' ids")
    x = x if x.dtype in (torch.int32, torch.int64) else x.long()
    if int(x.min()) < 0:
        raise DataError(f"text with the id {int(x.min())} was given; no token has an id below 0")
    return x


def _numbers(x: Tensor, kind: str) -> Tensor:
    if not x.is_floating_point():
        bytes_ = x.dtype in (torch.uint8, torch.uint16, torch.bool)
        if kind in WHOLE and (bytes_ or kind != "volume"):
            if not bytes_:
                raise DataError(f"{kind} of type {_type(x)} was given; it must be uint8, uint16, or float in [0, 1]")
            return x
        if kind == "audio" and x.dtype is not torch.bool:
            return _wave(x)
        return x.float()
    x = x.float()
    low, high = (float(end) for end in x.aminmax())
    gap = low != low
    if gap and (kind in WHOLE or kind not in AXES):
        raise DataError(f"{kind} with NaN was given; fill or leave out what is missing")
    if bool(x.isinf().any()) if gap else float("inf") in (-low, high):
        raise DataError(f"{kind} with inf was given; numbers must be finite" + ("" if kind in WHOLE else ", missing ones NaN"))
    if kind in ("image", "video") and not (low >= -1e-3 and high <= 1 + 1e-3):
        raise DataError(f"float {kind}s with values from {low:g} to {high:g} were given; scale them to [0, 1], or give uint8")
    return x.clamp(0.0, 1.0) if kind in ("image", "video") and not 0.0 <= low <= high <= 1.0 else x


def _wave(x: Tensor) -> Tensor:
    """Whole numbers in [−1, 1] by the largest of their type; silence is half of it where there are none below 0."""
    full = torch.iinfo(x.dtype).max
    return x.float() / full if torch.iinfo(x.dtype).min else x.float() / (full / 2) - 1.0


def _axes(x: Tensor, kind: str) -> tuple[str, ...]:
    return ("channels", "bands", "frames") if kind == "audio" and x.dim() == 4 else AXES[kind]


def _form(kind: str) -> str:
    return f"(items, {', '.join(AXES[kind])})" if kind in AXES else "of numbers"


def _reading(kind: str) -> str:
    return " of token ids; counterpoint.data.read(texts) makes them of texts" if kind == "text" else ""


def _type(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _named(value: Any) -> str:
    """What a value is, in a word or two."""
    if value is None or isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)) and value:
        return f"a {type(value).__name__} of {type(value[0]).__name__}"
    return f"a {type(value).__name__}"
