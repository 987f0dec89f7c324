"""Views, batches and specifications of every kind for the tests of encoders."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from counterpoint.core.recipe import Batch, Graph, Modality, View
from counterpoint.core.registry import example_spec


def items_of(modality: Modality, count: int) -> Tensor:
    """Items as the data give them, some values missing where the kind allows it."""
    x = torch.rand(count, *modality.shape)
    if modality.kind == "text":
        x = torch.randint(1, modality.info["vocabulary"], (count, *modality.shape))
        x[:, -4:] = 0
    elif modality.kind == "table":
        sizes = torch.tensor(modality.info["categories"])
        x[:, modality.info["numeric"] :] = (x[:, modality.info["numeric"] :] * sizes).floor()
        x[0, :] = float("nan")
    elif modality.kind == "series":
        x[0, :, 40:] = float("nan")
    return x


def fields_of(modality: Modality, count: int, name: str = "x") -> dict[str, Tensor | Graph]:
    x = items_of(modality, count)
    if modality.kind != "graph":
        return {name: x}
    return {name: Graph({"x": x, "edge_index": torch.randint(0, count, (2, 3 * count))}, torch.arange(count))}


@pytest.fixture
def modality_of() -> Callable[[str], Modality]:
    return lambda kind: example_spec(kind).only


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    return lambda modality, count: Batch(fields_of(modality, count), {"item": torch.arange(count)})


@pytest.fixture
def view_of() -> Callable[..., View]:
    def make(modality: Modality, count: int, role: str = "global", start: int = 0, **keys: Tensor) -> View:
        return View(role, fields_of(modality, count), {"item": torch.arange(start, start + count), **keys})

    return make
