"""The losses as functions of tensors, for use outside recipes: a scalar, the mean over the rows that count."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import DataError, LabelError
from counterpoint.core.options import Positive, check
from counterpoint.core.similarity import Pairs, Relation, Scores
from counterpoint.losses.decoupled import decoupled
from counterpoint.losses.rows import aligned
from counterpoint.losses.supervised import supervised


def nt_xent(first: Tensor, second: Tensor, *, temperature: float | Tensor = 0.1) -> Tensor:
    """NT-Xent of two aligned sets of views, first and second (n, d): Chen et al., SimCLR, ICML 2020, equation 1.

    Mean over the 2n rows of −log( exp(s_ip / t) / Σ_{j ≠ i} exp(s_ij / t) ), s the cosine, p the other view of the item.

    temperature: t > 0, a number or a scalar tensor that may learn.
    """
    scores, pairs = _two_views("nt_xent", first, second, temperature)
    return _mean(similarity.contrast(scores, pairs))


def decoupled_nt_xent(first: Tensor, second: Tensor, *, temperature: float | Tensor = 0.1) -> Tensor:
    """NT-Xent without the positive in the denominator, first and second (n, d), n ≥ 2; see `decoupled`. Mean over both directions.

    temperature: t > 0, a number or a scalar tensor that may learn.

    Raises DataError for one row, which has no negatives.
    """
    scores, pairs = _two_views("decoupled_nt_xent", first, second, temperature)
    if len(first) < 2:
        raise DataError(f"decoupled_nt_xent: {len(first)} pair of views has no negatives; give two or more")
    return decoupled(scores, pairs, temperature=1.0).mean()


def sup_con(embeddings: Tensor, labels: Tensor, *, temperature: float | Tensor = 0.1) -> Tensor:
    """SupCon with the mean outside the logarithm, embeddings (n, d), labels (n,) int; see `supervised`. Label −1 = unknown.

    temperature: t > 0, a number or a scalar tensor that may learn.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise LabelError(f"sup_con: {tuple(labels.shape)} labels for embeddings of shape {tuple(embeddings.shape)}; give one per row")
    n = len(embeddings)
    itself = Relation.itself()
    pairs = Pairs(Relation.equal(labels).without(itself), Relation.all().without(itself), (n, n))
    return supervised(_cosine("sup_con", embeddings, temperature), pairs, temperature=1.0).mean()


def clip(first: Tensor, second: Tensor, *, temperature: float | Tensor = 0.07) -> Tensor:
    """The symmetric cross-entropy of two aligned modalities, first and second (n, d): Radford et al., ICML 2021, figure 3.

    Half the mean of −log softmax_j(s_ij / t)_i over the rows, half over the columns; s the cosine.

    temperature: t > 0, a number or a scalar tensor that may learn.
    """
    aligned("clip", first, second)
    n = len(first)
    rows, columns = similarity.unit(torch.cat([first, second])).split(n) if n else (first, second)  # one call for both
    scores = Scores(rows, columns, _scale("clip", temperature), bounded=True)
    return _mean(similarity.two_way_contrast(scores, _of_two_sides(n)))


def _mean(values: Tensor) -> Tensor:
    return values.mean() if len(values) else values.sum()  # of no rows 0, with a graph


def _two_views(name: str, first: Tensor, second: Tensor, temperature: float | Tensor) -> tuple[Scores, Pairs]:
    aligned(name, first, second)
    rows = torch.cat([first, second])
    return _cosine(name, rows, temperature), _of_two_views(len(rows), rows.device)


@lru_cache(maxsize=16)
def _of_two_sides(n: int) -> Pairs:
    """Row i with row i, against all; the same for every batch of the size."""
    return Pairs(Relation.itself(), Relation.all(), (n, n))


@lru_cache(maxsize=16)
def _of_two_views(n: int, device: torch.device) -> Pairs:
    """Row i with row i ± n/2, against all but itself; the same for every batch of the size."""
    partner = torch.arange(n, device=device).roll(n // 2)
    return Pairs(Relation.index(partner), Relation.all().without(Relation.itself()), (n, n))


def _cosine(name: str, rows: Tensor, temperature: float | Tensor) -> Scores:
    rows = similarity.unit(rows)
    return Scores(rows, rows, _scale(name, temperature), bounded=True)


def _scale(name: str, temperature: float | Tensor) -> float | Tensor:
    """One over the temperature, which is checked."""
    plain = type(temperature) is float and 0 < temperature < 1e9  # at few rows the check itself is felt
    if not plain and not isinstance(temperature, Tensor):
        check(temperature, Positive, f"{name}: temperature")
    return 1.0 / temperature
