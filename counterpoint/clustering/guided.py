"""K-means in which some rows already have a cluster."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.clustering.kmeans import Clusters
from counterpoint.core.errors import LabelError
from counterpoint.core.options import Count, check


def guided_kmeans(
    x: Tensor, labels: Tensor, *, k: Count, starts: Count = 5, rounds: Count = 100, generator: Generator | None = None
) -> Clusters:
    """K-means of x (n, d) where rows with a label stay in the cluster of that number (Vaze et al., CVPR 2022, section 3.2).

    Cluster c < number of labelled classes begins at the mean of class c, the others at rows drawn as in k-means++ from the rows without a
    label. Every cluster keeps its number. The start with the lowest inertia counts.

    labels: (n,) int64, 0 … c − 1, −1 where there is none.
    k: number of clusters, c ≤ k ≤ n.
    starts: independent seedings of the clusters without labels.
    rounds: most Lloyd iterations.
    generator: source of randomness; None = one with seed 0.

    Raises LabelError where labels do not fit the rows, are not 0 … c − 1, or are more classes than k.
    """
    check(k, Count, "guided_kmeans: k")
    if labels.shape != x.shape[:1]:
        raise LabelError(f"guided_kmeans: {tuple(labels.shape)} labels for {len(x)} rows; one a row is needed, −1 where there is none")
    known = labels >= 0
    count = int(labels.max()) + 1 if bool(known.any()) else 0
    if count > k or k > len(x):
        raise LabelError(
            f"guided_kmeans: k = {k} clusters of {len(x)} rows with labels 0 … {count - 1}; k must be from {count} to {len(x)}"
        )
    sizes = torch.bincount(labels[known], minlength=count)
    if bool((sizes == 0).any()):
        raise LabelError(f"guided_kmeans: no row has the label {int(sizes.argmin())}; labels must be 0 … {count - 1} without a gap")
    generator = generator if generator is not None else Generator().manual_seed(0)
    x = x if x.dtype == torch.float64 else x.float()
    given = x.new_zeros(count, x.shape[1]).index_add(0, labels[known], x[known]) / sizes[:, None] if count else x[:0]
    free = x if bool(known.all()) else x[~known]
    found = [_lloyd(x, _seeded(free, given, k, generator), labels, rounds) for _ in range(starts)]
    return min(found, key=lambda clusters: clusters.inertia)


def _seeded(free: Tensor, centres: Tensor, k: int, generator: Generator) -> Tensor:
    """The given centres and more, each a free row drawn with probability ∝ its squared distance to the nearest centre."""
    for _ in range(k - len(centres)):
        mass = torch.cdist(free, centres).amin(1).square() if len(centres) else torch.ones(len(free), device=free.device)
        mass = mass if bool(mass.sum() > 0) else torch.ones_like(mass)
        row = torch.multinomial(mass.double().cpu(), 1, generator=generator).to(free.device)
        centres = torch.cat([centres, free[row]])
    return centres


def _lloyd(x: Tensor, centres: Tensor, labels: Tensor, rounds: int) -> Clusters:
    before, done, converged = None, 0, False
    while True:
        distance = torch.cdist(x, centres)  # (n, k): clusters, not rows
        assignment = torch.where(labels >= 0, labels, distance.argmin(1))
        converged = before is not None and torch.equal(assignment, before)
        if converged or done == rounds:
            inertia = float(distance.gather(1, assignment[:, None]).square().mean())
            return Clusters(centres, assignment, inertia, done, converged)
        size = torch.bincount(assignment, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add(0, assignment, x)
        centres = torch.where((size > 0)[:, None], sums / size.clamp(min=1)[:, None], centres)
        before, done = assignment, done + 1
