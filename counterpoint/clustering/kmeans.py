"""K-means: plain, spherical and balanced; several starts at once, any device, no matrix of all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.clustering.balance import even_assignment
from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, NotNegative, check

Kind = Literal["plain", "spherical", "balanced"]


@dataclass(frozen=True)
class Clusters:
    """centres (k, d), the cluster of each row (n,) int64, the inertia (mean squared distance to the own centre), rounds run, converged."""

    centres: Tensor
    assignment: Tensor
    inertia: float
    rounds: int
    converged: bool


def kmeans(
    x: Tensor,
    *,
    k: Count,
    kind: Kind = "plain",
    starts: Count = 10,
    rounds: Count = 100,
    tolerance: NotNegative = 1e-4,
    generator: Generator | None = None,
    centres: Tensor | None = None,
) -> Clusters:
    """Group the rows of x (n, d) into k clusters: Lloyd's algorithm from several k-means++ starts, of which the lowest inertia is kept.

    Seeding is the greedy k-means++ of Arthur & Vassilvitskii (SODA 2007). A cluster that loses all its rows restarts at the row farthest
    from its centre, so that none is empty while there are k distinct rows. Computed in float32 (float64 input stays float64).

    k: number of clusters, 1 ≤ k ≤ n.
    kind: "plain"; "spherical" = rows and centres on the unit sphere; "balanced" = cluster sizes differ by at most one.
    starts: independent seedings (1 where `centres` are given).
    rounds: most Lloyd iterations.
    tolerance: stop where the centres move, on average, less than this share of the data's standard deviation.
    generator: source of randomness, on any device; None = one on the CPU with seed 0, so that every device draws the same.
    centres: (k, d) centres to begin with instead of k-means++, which keeps the numbers of clusters from one refresh to the next.

    Raises DataError where x is not a finite matrix, k is larger than n, or the given centres do not fit.
    """
    check(k, Count, "kmeans: k")
    check(kind, Kind, "kmeans: kind")
    check(starts, Count, "kmeans: starts")
    check(rounds, Count, "kmeans: rounds")
    x = _checked(x, k)
    x = F.normalize(x, dim=1) if kind == "spherical" else x
    # Distances do not change when the middle of the data is moved to zero, and float32 keeps more of them there.
    middle = x.mean(0) if kind != "spherical" else x.new_zeros(x.shape[1])
    x = x - middle
    if centres is None:
        generator = generator if generator is not None else Generator().manual_seed(0)
        start = _plus_plus(x, k, starts, generator)
    elif centres.shape != (k, x.shape[1]) or not bool(torch.isfinite(centres).all()):
        raise DataError(f"kmeans: centres of shape {tuple(centres.shape)}; they must be finite and of shape {(k, x.shape[1])}")
    else:
        start = (centres.to(x) - middle)[None]
    limit = tolerance * float(x.var(0, correction=0).mean()) ** 0.5 * math.sqrt(x.shape[1])
    return _lloyd(x, start, kind, rounds, limit, middle)


def _lloyd(x: Tensor, centres: Tensor, kind: str, rounds: int, limit: float, middle: Tensor) -> Clusters:
    """Lloyd iterations of all starts side by side; a start leaves the loop when it has converged."""
    square = (x * x).sum(1)
    alive = torch.arange(len(centres), device=x.device)
    done = 0
    for done in range(1, rounds + 1):  # noqa: B007
        fresh = _means(x, square, centres[alive], kind)
        moved = (fresh - centres[alive]).norm(dim=2).mean(1)
        centres[alive] = fresh
        alive = alive[moved > limit]
        if not len(alive):
            break
    results = [_assign(x, square, c[None], kind) for c in centres]
    inertia = torch.stack([distance.mean() for _, distance in results])
    best = int(inertia.argmin())
    return Clusters(centres[best] + middle, results[best][0][0], float(inertia[best]), done, not len(alive))


def _means(x: Tensor, square: Tensor, centres: Tensor, kind: str) -> Tensor:
    """New centres (s, k, d) of the rows nearest to `centres` (s, k, d)."""
    s, k, d = centres.shape
    assignment, distance = _assign(x, square, centres, kind)
    slot = assignment + torch.arange(s, device=x.device)[:, None] * k  # (s, n) in 0 … s·k − 1
    sums = x.new_zeros(s * k, d)
    for row in slot:
        sums.index_add_(0, row, x)
    counts = torch.bincount(slot.flatten(), minlength=s * k)
    fresh = (sums / counts.clamp(min=1)[:, None]).view(s, k, d)
    empty = (counts == 0).view(s, k)
    for start in torch.nonzero(empty.any(1)).flatten().tolist():
        holes = torch.nonzero(empty[start]).flatten()
        fresh[start, holes] = x[distance[start].topk(len(holes)).indices]
    return F.normalize(fresh, dim=2) if kind == "spherical" else fresh


def _assign(x: Tensor, square: Tensor, centres: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """The cluster (s, n) of each row and its squared distance (s, n), for each of s sets of centres."""
    s, k, _ = centres.shape
    flat = centres.reshape(s * k, -1)
    half = (flat * flat).sum(1) / 2
    assignment = torch.empty(s, len(x), dtype=torch.int64, device=x.device)
    distance = x.new_empty(s, len(x))
    step = max(1, 2**23 // (s * k)) if kind != "balanced" else len(x)
    for left in range(0, len(x), step):
        part = slice(left, left + step)
        score = torch.addmm(-half, x[part], flat.T).view(-1, s, k)  # a·c − |c|²/2: higher is nearer
        if kind == "balanced":
            assignment[:] = torch.stack([even_assignment(score[:, i]) for i in range(s)])
            best = score.gather(2, assignment.T[..., None])[..., 0]
        else:
            best, index = score.max(2)
            assignment[:, part] = index.T
        distance[:, part] = (square[part, None] - 2 * best).clamp(min=0).T
    return assignment, distance


def _plus_plus(x: Tensor, k: int, starts: int, generator: Generator) -> Tensor:
    """Greedy k-means++: (starts, k, d). Each next centre is the best of a few rows drawn with probability ∝ squared distance."""
    n, d = x.shape
    tries = 2 + int(math.log(k))
    square = (x * x).sum(1)
    first = torch.randint(n, (starts,), generator=generator, device=generator.device).to(x.device)
    centres = x.new_empty(starts, k, d)
    centres[:, 0] = x[first]
    near = _squared(x, square, first)  # (starts, n): squared distance to the nearest centre so far
    for i in range(1, k):
        mass = near.double().cumsum(1)
        total = mass[:, -1:]
        # Where every row is a centre already (fewer distinct rows than k) any row will do.
        u = torch.rand(starts, tries, generator=generator, device=generator.device, dtype=torch.float64).to(x.device)
        drawn = torch.searchsorted(mass, u * total, right=True).clamp(max=n - 1)
        fresh = torch.minimum(_squared(x, square, drawn.flatten()).view(starts, tries, n), near[:, None])
        best = fresh.sum(2).argmin(1)
        chosen = drawn.gather(1, best[:, None])[:, 0]
        near = fresh[torch.arange(starts, device=x.device), best]
        centres[:, i] = x[chosen]
    return centres


def _squared(x: Tensor, square: Tensor, rows: Tensor) -> Tensor:
    """Squared distances (len(rows), n) from some rows of x to all."""
    return (square[rows, None] + square - 2 * (x[rows] @ x.T)).clamp_(min=0)


def _checked(x: Tensor, k: int) -> Tensor:
    if x.ndim != 2 or x.shape[1] == 0:
        raise DataError(f"kmeans: rows of shape {tuple(x.shape)}; they must be a matrix (n, d ≥ 1)")
    if k > len(x):
        raise DataError(f"kmeans: k = {k} clusters of {len(x)} rows; k must be at most {len(x)}")
    bad = int((~torch.isfinite(x)).any(1).sum())
    if bad:
        raise DataError(f"kmeans: {bad} of {len(x)} rows hold NaN or infinite numbers; all must be finite")
    return x if x.dtype == torch.float64 else x.float()
