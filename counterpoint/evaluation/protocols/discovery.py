"""Whether classes are found that had no labels: accuracy of unlabelled training items on old and on new classes, and their number."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from counterpoint.clustering import class_prior, guided_kmeans, kmeans
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.discovery import class_number
from counterpoint.evaluation.discovery import discovery as accuracy
from counterpoint.evaluation.inputs import generator_of
from counterpoint.evaluation.subject import Subject


def discovery(
    subject: Subject,
    *,
    label: str = "label",
    truth: str = "truth",
    by: Literal["auto", "classes", "guided", "plain"] = "auto",
    starts: Count = 5,
    most: Count | None = None,
) -> dict[str, float]:
    """{"all", "old", "new", "balanced", "prior_error"} on the training items without a label, under one Hungarian match over all of them.

    by = "classes": the class that the model itself gives (its latent part's `assign`); "guided": k-means in which labelled items stay in
    their class; "plain": k-means of all items; "auto": the model's classes where it has some, else guided. K is the true number of classes.
    With `most` also "number", the estimated number of classes, and "number_error", its distance to the truth.
    prior_error: Σ_c |n_c − true share of c| / 2 of the class shares that clusters tell (`clustering.class_prior`), new classes by size.

    label: the column of the labels in training, −1 where there is none.
    truth: the column of all classes.
    by: how items get a class.
    starts: of k-means.
    most: largest number of classes tried; none = the number is not estimated.
    """
    given = subject.train.columns
    for name in (label, truth):
        if name not in given:
            raise RequirementError(f"discovery reads the column {name!r} and the data have {', '.join(given) or 'none'}")
    known, true = given[label], given[truth]
    old = torch.unique(true[known >= 0]).tolist()
    free = (known < 0) & (true >= 0)
    if not bool(free.any()) or not old:
        raise RequirementError("discovery measures items without a label, with others that have one; hide_labels makes such a set")
    z = torch.as_tensor(np.asarray(subject.embed(subject.train)))
    count = len(torch.unique(true[true >= 0]))
    found = _assigned(subject, z, known, count, by, starts)
    figures = accuracy(found[free], true[free], old=old)
    result: dict[str, float] = {name: float(value) for name, value in figures.items() if not name.startswith("items")}
    prior = class_prior(z, known, classes=count, starts=starts, generator=generator_of(subject.seed))
    result["prior_error"] = _prior_error(prior, known, true, old)
    if most is not None:
        number, _ = class_number(z, known, most=most, seed=subject.seed)
        result |= {"number": float(number), "number_error": float(abs(number - count))}
    return result


def _assigned(subject: Subject, z: Tensor, known: Tensor, count: int, by: str, starts: int) -> Tensor:
    head: Any = getattr(subject.model, "latent", None)
    own = hasattr(head, "assign")
    if by == "classes" and not own:
        raise RequirementError(f"by = 'classes' needs a model with classes, and {subject.name} has none")
    if own and by in ("auto", "classes"):
        with torch.no_grad():
            device = next(head.parameters()).device
            found: Tensor = head.eval().assign(z.to(device)).cpu()
        return found
    x = functional.normalize(z.float(), dim=1)
    if by == "plain":
        return kmeans(x, k=count, starts=starts, generator=generator_of(subject.seed)).assignment
    return guided_kmeans(x, known, k=count, starts=starts, generator=generator_of(subject.seed)).assignment


def _prior_error(prior: Tensor, known: Tensor, true: Tensor, old: list[int]) -> float:
    """Half the L1 distance: old classes by name (the label of class `old[c]` is c), new ones by rank."""
    share = torch.bincount(true[true >= 0]).float() / len(true[true >= 0])
    mine = share[[int(true[known == c][0]) for c in range(int(known.max()) + 1)]]
    rest = share[[c for c in range(len(share)) if c not in old and share[c] > 0]].sort(descending=True).values
    return float((prior - torch.cat([mine, rest])).abs().sum() / 2)
