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
