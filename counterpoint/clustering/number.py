"""How many clusters there are."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.clustering.kmeans import Kind, kmeans
from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, check


def number_of_clusters(
    x: Tensor,
    *,
    least: Count = 2,
    most: Count = 20,
    kind: Kind = "plain",
    sample: Count = 2000,
    generator: Generator | None = None,
) -> tuple[int, dict[int, float]]:
    """The k between `least` and `most` with the highest silhouette of a k-means of x (n, d), and the silhouette of each k tried.

    Rousseeuw, "Silhouettes", J. Comput. Appl. Math. 1987. A silhouette below about 0.1 everywhere says that there are no clear groups:
    look at the dictionary, not only at the number. Computed on at most `sample` rows.

    least: smallest k tried, ≥ 2.
    most: largest k tried (fewer where there are not enough rows).
    kind: of k-means: "plain", "spherical" or "balanced".
    sample: rows used, drawn at random where there are more.
    generator: source of randomness; None = one with seed 0.
    """
    from sklearn.metrics import silhouette_score

    check(least, Count, "number_of_clusters: least")
    check(most, Count, "number_of_clusters: most")
    if least < 2 or most < least:
        raise DataError(f"number_of_clusters: k from {least} to {most}; the least is 2 and not more than the most")
    generator = generator if generator is not None else Generator().manual_seed(0)
    if len(x) > sample:
        x = x[torch.randperm(len(x), generator=generator, device=generator.device)[:sample].to(x.device)]
    scores: dict[int, float] = {}
    points = torch.nn.functional.normalize(x.float(), dim=1) if kind == "spherical" else x.float()
    for k in range(least, min(most, len(x) - 1) + 1):
        found = kmeans(x, k=k, kind=kind, starts=3, generator=generator).assignment
        if len(torch.unique(found)) > 1:
            scores[k] = float(silhouette_score(points.cpu().numpy(), found.cpu().numpy()))
    if not scores:
        raise DataError(
            f"number_of_clusters: {len(x)} rows do not fall into {least} or more distinct groups; more, and more varied, rows are needed"
        )
    return max(scores, key=lambda k: scores[k]), scores
