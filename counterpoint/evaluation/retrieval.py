"""Retrieval: recall at k and mean average precision, in tiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import Count, Whole, check
from counterpoint.evaluation.inputs import codes, generator_of, pair, sample


def retrieval(
    z: Any,
    labels: Any,
    *,
    gallery: Any = None,
    gallery_labels: Any = None,
    at: Sequence[int] = (1, 5, 10),
    most: Count = 2000,
    seed: Whole = 0,
) -> dict[str, float]:
    """Every row of z (n, d) asks for rows of its own class, by cosine: {"recall_at_k" for each k, "map", "queries", "skipped"}.

    recall_at_k: share of queries with a row of their class among the k nearest. map: mean over queries of the average precision of the
    *whole* ranking (mean, over the relevant rows, of the precision at their rank). Without a gallery the other rows of z are searched and a
    row never finds itself. Rows with label −1 are left out on both sides; queries of a class without another row are skipped and counted.

    gallery: (m, d) rows to search instead, with `gallery_labels` (m,).
    at: the k of the recalls; a k beyond the number of rows means all of them.
    most: queries asked, drawn at random where there are more; the gallery is always whole.
    seed: of that draw.

    Raises DataError where no query has a row of its class to find.
    """
    if not at or min(at) < 1:
        raise OptionError(f"retrieval: at = {tuple(at)!r} is not allowed; it must be whole numbers >= 1")
    check(most, Count, "retrieval: most")
    own = gallery is None
    queries, rows = pair(z, z if own else gallery, ("the embeddings", "the gallery"), rows=False)
    asked = codes(labels, len(queries)).to(queries.device)
    known = asked if own else codes(gallery_labels, len(rows), "gallery labels").to(rows.device)
    # Rows in random order: where similarities tie (collapse), the order of the file must not decide.
    order = torch.randperm(len(rows), generator=generator_of(seed)).to(rows.device)
    order = order[known[order] >= 0]
    rows, known = rows[order], known[order]
    queries, asked = (rows, known) if own else (queries[asked >= 0], asked[asked >= 0])
    classes, counts = torch.unique(known, return_counts=True)
    place = torch.searchsorted(classes, asked).clamp(max=max(len(classes) - 1, 0))
    there = torch.where(classes[place] == asked, counts[place] - int(own), 0) if len(classes) else torch.zeros_like(asked)
    able = torch.nonzero(there > 0).flatten()
    if not len(able):
        raise DataError("no labelled row has another of its class to find; retrieval needs a class with two rows")
    skipped = len(asked) - len(able)
    able = able[sample(len(able), most, seed).to(able.device)]
    rows, queries = F.normalize(rows, dim=1), F.normalize(queries, dim=1)
    hits = torch.zeros(len(at), dtype=torch.float64)
    precision = 0.0
    step = max(1, 2**22 // len(rows))
    for left in range(0, len(able), step):
        part = able[left : left + step]
        scores = queries[part] @ rows.T
        if own:
            scores[torch.arange(len(part), device=part.device), part] = -torch.inf
        right = (known == asked[part, None]).gather(1, scores.argsort(1, descending=True))
        if own:
            right = right[:, :-1]  # the row itself is last, with −inf
        found = right.cumsum(1)
        hits += torch.stack([(found[:, min(k, found.shape[1]) - 1] > 0).double().sum().cpu() for k in at])
        rank = torch.arange(1, right.shape[1] + 1, device=right.device)
        precision += float(((found.double() / rank) * right).sum(1).div(there[part]).sum())
    result = {f"recall_at_{k}": float(h) / len(able) for k, h in zip(at, hits)}
    return result | {"map": precision / len(able), "queries": len(able), "skipped": skipped}


def paired_retrieval(first: Any, second: Any, *, at: Sequence[int] = (1, 5, 10)) -> dict[str, float]:
    """Row i of `first` (n, d) asks for row i of `second` (n, d), by cosine: {"recall_at_k" for each k, "median_rank"}.

    For pairs of modalities (image and caption). A tie counts against the partner, so that a collapsed embedding scores nothing.

    at: the k of the recalls.
    """
    if not at or min(at) < 1:
        raise OptionError(f"paired_retrieval: at = {tuple(at)!r} is not allowed; it must be whole numbers >= 1")
    a, b = pair(first, second, ("the first embeddings", "the second embeddings"), rows=True)
    if a.shape != b.shape or not len(a):
        raise DataError(f"paired_retrieval: shapes {tuple(a.shape)} and {tuple(b.shape)}; they must be equal and not empty")
    a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    rank = torch.empty(len(a), dtype=torch.int64, device=a.device)
    step = max(1, 2**22 // len(b))
    for left in range(0, len(a), step):
        scores = a[left : left + step] @ b.T
        i = torch.arange(len(scores), device=a.device)
        rank[left : left + step] = (scores >= scores[i, left + i][:, None]).sum(1)
    result = {f"recall_at_{k}": float((rank <= k).double().mean()) for k in at}
    return result | {"median_rank": float(rank.double().median())}
