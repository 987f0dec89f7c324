"""What tests of laws share: distances from a law, and whether parameters of items are independent."""

from __future__ import annotations

import torch
from torch import Tensor


def ks(u: Tensor) -> float:
    """Kolmogorov and Smirnov's distance: the largest of the empirical law of u (n,) from the uniform one on [0, 1].

    1.63 / √n is passed by chance once in a hundred times, 1.95 / √n once in a thousand.
    """
    u = u.double().sort().values
    steps = torch.arange(len(u) + 1, dtype=torch.float64) / len(u)
    return float(torch.maximum((u - steps[:-1]).abs().max(), (steps[1:] - u).abs().max()))


def related(first: Tensor, second: Tensor) -> float:
    """|correlation| of two rows (n,) times √n: of the size of a standard normal where they are independent; 0 where one is constant."""
    a, b = first.double() - first.double().mean(), second.double() - second.double().mean()
    size = a.norm() * b.norm()
    return float((a @ b).abs() / size) * len(a) ** 0.5 if size > 1e-9 * (1 + first.double().norm() * second.double().norm()) else 0.0


def columns(key: Tensor, most: int = 24) -> Tensor:
    """(k, n): the columns of a key (n,) or (n, …) as rows, evenly chosen where there are more than `most`; missing ones as −1."""
    flat = key.reshape(len(key), -1).double().nan_to_num(-1.0).T
    return flat[torch.linspace(0, len(flat) - 1, min(most, len(flat))).round().long()]


def independent(key: Tensor, other: Tensor, bound: float = 4.0) -> bool:
    """Whether items next to each other, and the same item in two views, have unrelated parameters, in every column."""
    return all(related(u[:-1], u[1:]) < bound and related(u, v) < bound for u, v in zip(columns(key), columns(other), strict=True))
