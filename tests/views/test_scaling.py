"""What a view makes on its way grows with the items and not with their square (benchmarks/views.py measures up to 10⁶ items)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from counterpoint import views
from counterpoint.core.options import use


class Made(TorchDispatchMode):
    """Counts the numbers that all operations have written, and those of the largest tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.all, self.largest = 0, 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, Tensor) and one.layout == torch.strided:
                self.all += one.numel()
                self.largest = max(self.largest, one.numel())
        return out


def table(n: int) -> Tensor:
    return torch.rand(n, 6, generator=Generator().manual_seed(0))


def series(n: int) -> Tensor:
    return torch.rand(n, 2, 24, generator=Generator().manual_seed(0))


def graph(n: int) -> dict[str, Tensor]:
    edges = torch.randint(0, n, (2, 4 * n), generator=Generator().manual_seed(0))
    return {"x": torch.rand(n, 5, generator=Generator().manual_seed(1)), "edge_index": torch.cat([edges, edges.flip(0)], 1)}


CASES: dict[str, tuple[Callable[[int], Any], Callable[[], Any]]] = {
    "table: corrupt": (table, lambda: use(views.table.corrupt, noise=0.05, numeric=4)),
    "table: quantile noise": (table, lambda: use(views.table.noise, quantile=True)),
    "table: hide": (table, lambda: use(views.table.hide)),
    "series: varied": (series, lambda: use(views.series.varied)),
    "series: window": (series, lambda: use(views.series.window)),
    "series: permutation": (series, lambda: use(views.series.permutation)),
    "series: warp": (series, lambda: use(views.series.warp)),
    "graph: varied": (graph, lambda: use(views.graph.varied)),
    "graph: add_edges": (graph, lambda: use(views.graph.add_edges)),
    "graph: subgraph": (graph, lambda: use(views.graph.subgraph)),
    "graph: diffuse": (graph, lambda: use(views.graph.diffuse)),
    "graph: low_rank": (graph, lambda: use(views.graph.low_rank)),
}


@pytest.mark.parametrize("name", CASES)
def test_linear_in_the_items(name: str) -> None:
    data, part = CASES[name]
    found = []
    for n in (1_000, 4_000):
        x = data(n)
        with Made() as made:
            part()(x, Generator().manual_seed(0))
        found.append((made.all, made.largest))
    (few, small), (many, large) = found
    assert many < 5.5 * few, f"{name}: four times the items take {many / few:.1f} times the work"
    assert large < 5.5 * small
    assert large < 4_000**2 / 8
