"""Lists of products for users: how many of what a user went on to choose stand high, what was known left out."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, check


def ranking(scores_of: object, known: Tensor, held_out: Tensor, *, users: int, products: int, k: Count = 20) -> dict[str, float]:
    """{"recall", "ndcg", "hits"} at k over all users with held-out choices, each user weighing the same.

    recall = |top k ∩ held out| / |held out|,  ndcg = Σ_{hits at rank r} 1 / log2(r + 1) / Σ_{r ≤ min(k, |held out|)} 1 / log2(r + 1),
    hits: share of users with at least one. Ranked are all products but those the user is known to have chosen; equal scores stand in the
    order of the products.

    scores_of: (users (b,)) -> scores (b, products).
    known, held_out: (2, e) user, product, both from 0.

    Raises DataError where nothing is held out, or numbers are out of range.
    """
    check(k, Count, "ranking: k")
    if held_out.ndim != 2 or held_out.shape[0] != 2 or held_out.shape[1] == 0:
        raise DataError(f"ranking: held-out choices of shape {tuple(held_out.shape)}; (2, e) with at least one are needed")
    for name, pairs in (("known", known), ("held-out", held_out)):
        if pairs.numel() and (int(pairs.min()) < 0 or int(pairs[0].max()) >= users or int(pairs[1].max()) >= products):
            raise DataError(f"ranking: {name} choices name users or products that are not among {users:,} and {products:,}")
    k = min(k, products)
    discount = 1 / torch.arange(2, k + 2, dtype=torch.float64).log2()
    ideal = discount.cumsum(0)
    recall, ndcg = [], []
    for piece in held_out[0].unique().split(512):
        scores = torch.as_tensor(scores_of(piece)).double()  # type: ignore[operator]
        scores = scores.index_put(_places(known, piece), scores.new_tensor(-torch.inf))
        wanted = torch.zeros_like(scores, dtype=torch.bool)
        wanted[_places(held_out, piece)] = True
        top = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
        hit = wanted.gather(1, top).double()
        count = wanted.sum(1)
        recall.append(hit.sum(1) / count)
        ndcg.append((hit * discount).sum(1) / ideal[count.clamp(max=k) - 1])
    each = torch.cat(recall)
    return {"recall": float(each.mean()), "ndcg": float(torch.cat(ndcg).mean()), "hits": float((each > 0).double().mean())}


def _places(pairs: Tensor, users: Tensor) -> tuple[Tensor, Tensor]:
    """(row among `users`, product) of the pairs of these users, who are sorted."""
    row = torch.searchsorted(users, pairs[0].contiguous()).clamp(max=len(users) - 1)
    here = users[row] == pairs[0]
    return row[here], pairs[1][here]
