"""What the losses share: full precision, rows that do not count, chance levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores

NUMBERS = ("cpu",)  # devices whose numbers are there at once; that of a GPU is waited for where it is shown


F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def makes_rows(loss: F) -> F:
    """Mark a loss that compares anchors with rows it makes of the candidates, so that scores do not say all (see `diagnose`)."""
    loss.__makes_rows__ = True  # type: ignore[attr-defined]
    return loss


def full_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in float32 at least; float64 stays."""
    return tuple(t if t.dtype == torch.float64 else t.float() for t in tensors)


def no_autocast(like: Tensor) -> torch.autocast:
    """A context in which products keep their precision, whatever autocast says around it."""
    return torch.autocast(like.device.type, enabled=False)


def guard(statistic: Tensor, counted: Tensor) -> Tensor:
    """A row statistic with 0 in the rows that do not count: an infinity there would make a NaN of the gradient further on."""
    return torch.where(counted, statistic, torch.zeros_like(statistic))


def finish(values: Tensor, counted: Tensor, chance: Tensor | float | None = None) -> RowLoss:
    """The loss with 0 in rows that do not count. `chance`: a number, or one per row (n,), of which the counted ones are averaged."""
    return RowLoss(guard(values, counted), counted, average(chance, counted) if isinstance(chance, Tensor) else chance)


def average(each: Tensor, counted: Tensor) -> Tensor | float:
    """The mean of the rows that count, a number where that is there at once; 0 of no rows."""
    mean = guard(each, counted).sum() / counted.sum().clamp(min=1)
    return float(mean) if mean.device.type in NUMBERS else mean


def once(pairs: Pairs, name: Any, make: Callable[[], T]) -> T:
    """`make()`, which must follow from the pairs alone, without gradient: worked out once where the pairs stand for many batches, and
    then not to be written to."""
    if pairs.known is None:
        return make()
    if name not in pairs.known:
        with torch.inference_mode(False), torch.no_grad():  # it may be needed in training later
            pairs.known[name] = make()
    found: T = pairs.known[name]
    return found


def weights(scores: Scores, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
    """(weight of the positives (n,), weight of the negatives (n,), rows that have positives (n,) bool), in the scores' precision."""

    def made() -> tuple[Tensor, Tensor]:
        each = similarity.positive_weight(pairs), similarity.weight(pairs.negatives, pairs.shape)
        return each[0].to(scores.dtype), each[1].to(scores.dtype)

    positive, negative = once(pairs, ("weights", scores.dtype), made)
    return positive, negative, positive > 0  # the last is given out with the loss: each has its own


def aligned(name: str, first: Tensor, second: Tensor) -> None:
    """Raise DataError unless both are (n, d) of one shape."""
    if first.ndim != 2 or first.shape != second.shape:
        raise DataError(f"{name}: embeddings of shapes {tuple(first.shape)} and {tuple(second.shape)}; both must be (rows, width)")


def cosine_only(name: str, scores: Scores) -> None:
    """Raise OptionError where the scores are known not to be cosines."""
    if not scores.bounded and scores.dense is None:
        raise OptionError(f"{name} needs cosine scores, and these are unbounded; use similarity.cosine")
