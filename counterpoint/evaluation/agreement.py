"""Whether two embeddings see the same neighbours."""

from __future__ import annotations

from typing import Any

from counterpoint.clustering.neighbours import Metric
from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Whole, check
from counterpoint.evaluation.inputs import pair, sample
from counterpoint.evaluation.neighbours import others


def neighbour_agreement(first: Any, second: Any, *, k: Count = 20, metric: Metric = "cosine", most: Count = 2000, seed: Whole = 0) -> float:
    """Mean share of an item's k nearest others in `first` (n, d) that are also among its k nearest in `second` (n, e): in [0, 1].

    Rows i of both are the same item: two views of it, or two encoders. Two unrelated embeddings agree by chance in about k / (n − 1).

    k: neighbours compared; n − 1 where there are fewer.
    metric: "cosine", "dot" or "euclidean".
    most: items asked, drawn at random where there are more; neighbours are searched among all.
    seed: of that draw.
    """
    check(k, Count, "neighbour_agreement: k")
    a, b = pair(first, second, ("the first embeddings", "the second embeddings"), rows=True)
    if len(a) < 2:
        raise DataError(f"neighbour_agreement of {len(a)} items; at least 2 are needed")
    k = min(k, len(a) - 1)
    rows = sample(len(a), most, seed)
    one, two = others(a, rows, k=k, metric=metric), others(b, rows, k=k, metric=metric).to(a.device)
    # Sorted lists of both: what occurs twice is shared. (queries, 2k), not (queries, k, k).
    both = one.new_empty(len(rows), 2 * k)
    both[:, :k], both[:, k:] = one, two
    both = both.sort(1).values
    return float((both[:, 1:] == both[:, :-1]).double().sum(1).mean() / k)
