"""Random numbers for a whole batch, from an explicit generator, placed where the data are.

Every function draws on the generator's own device and moves the (small) result, so that a CPU generator gives the same
views on every device.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def uniform(x: Tensor, generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """float32 numbers in [low, high), of `shape`, on the device of `x`."""
    numbers = torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float32)
    return numbers.mul_(high - low).add_(low).to(x.device, non_blocking=True)


def normal(x: Tensor, generator: Generator, *shape: int) -> Tensor:
    """Standard normal float32 numbers."""
    return torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32).to(x.device, non_blocking=True)


def chance(x: Tensor, generator: Generator, probability: float, *shape: int) -> Tensor:
    """Booleans, each true with `probability`."""
    return (torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float32) < probability).to(
        x.device, non_blocking=True
    )


def integers(x: Tensor, generator: Generator, low: int, high: int, *shape: int) -> Tensor:
    """int64 numbers in low … high − 1."""
    return torch.randint(low, high, shape, generator=generator, device=generator.device).to(x.device, non_blocking=True)


def starts(x: Tensor, generator: Generator, room: Tensor) -> Tensor:
    """(b,) int64: for each item a whole number in 0 … room (b,), each as likely; 0 where the room is negative."""
    spare = room.clamp(min=0)
    numbers = torch.rand(room.shape, generator=generator, device=generator.device, dtype=torch.float64).to(x.device, non_blocking=True)
    return (numbers * (spare + 1)).long().minimum(spare)


def orders(x: Tensor, generator: Generator, rows: int, length: int) -> Tensor:
    """(rows, length) int64: an independent permutation of 0 … length − 1 in each row."""
    keys = torch.rand((rows, length), generator=generator, device=generator.device, dtype=torch.float32)
    return keys.argsort(dim=1).to(x.device, non_blocking=True)


def partners(x: Tensor, generator: Generator, rows: int) -> Tensor:
    """(rows,) int64: for each row another row, uniformly; itself where there is only one."""
    if rows < 2:
        return torch.zeros(rows, dtype=torch.int64, device=x.device)
    step = torch.randint(1, rows, (rows,), generator=generator, device=generator.device).to(x.device, non_blocking=True)
    return (torch.arange(rows, device=x.device) + step) % rows


def beta(x: Tensor, generator: Generator, alpha: float, rows: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(rows,) numbers from Beta(alpha, alpha), given that they lie in [low, high]: the inverse of the distribution at uniform places."""
    from scipy.special import betainc, betaincinv  # the law has no inverse in torch

    place = torch.rand(rows, generator=generator, device=generator.device, dtype=torch.float64)
    if alpha == 1.0:
        found = place.mul_(high - low).add_(low)
    else:
        ends = betainc(alpha, alpha, [low, high])
        found = torch.from_numpy(betaincinv(alpha, alpha, ends[0] + (ends[1] - ends[0]) * place.cpu().numpy()).reshape(rows))
    return found.float().clamp_(low, high).to(x.device, non_blocking=True)


def pieces(device: torch.device, items: int, values: int, most: int = 1 << 17) -> list[slice]:
    """Slices of a batch of `items` with `values` numbers each that stay in a processor's caches while a chain of operations passes
    over them, `most` numbers for each thread; elsewhere the whole batch at once."""
    count = -(-items * values // (most * torch.get_num_threads())) if device.type == "cpu" else 1
    step = max(1, -(-items // max(count, 1)))
    return [slice(start, min(start + step, items)) for start in range(0, items, step)]
