"""How frequent each class is, where only some classes have labels: from the sizes of clusters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from counterpoint.clustering.kmeans import kmeans
from counterpoint.clustering.matching import contingency
from counterpoint.core.errors import LabelError, RequirementError, nearest
from counterpoint.core.options import Count, check


def class_prior(x: Tensor, labels: Tensor, *, classes: Count, starts: Count = 5, generator: Generator | None = None) -> Tensor:
    """The share of each class among the rows x (n, d), (classes,) float32, sum 1 (BaCon, paper 118).

    K-means of the rows at length 1; clusters meet labelled classes in one Hungarian match of the share of a cluster that has the label;
    a labelled class gets the size of a matched cluster, given out so that the order of sizes is that of the labelled counts, and the sizes
    of the other clusters go to the classes without labels, largest first.

    labels: (n,) int64, 0 … c − 1, −1 where there is none.
    classes: K ≥ c, classes in all.
    starts: of k-means.
    generator: source of randomness; None = one with seed 0.

    Raises LabelError where there are more labelled classes than K, or a class without a labelled row among them.
    """
    from scipy.optimize import linear_sum_assignment

    check(classes, Count, "class_prior: classes")
    known = labels >= 0
    count = int(labels.max()) + 1 if bool(known.any()) else 0
    if count > classes:
        raise LabelError(f"class_prior: labels 0 … {count - 1} and classes = {classes}; there must be at least as many classes")
    labelled = torch.bincount(labels[known], minlength=count)
    if bool((labelled == 0).any()):
        raise LabelError(f"class_prior: no row has the label {int(labelled.argmin())}; labels must be 0 … {count - 1} without a gap")
    found = kmeans(functional.normalize(x.float(), dim=1), k=classes, starts=starts, generator=generator).assignment
    size = torch.bincount(found, minlength=classes).float()
    prior = torch.empty(classes)
    table = torch.zeros(classes, count)
    if count:
        met = contingency(found[known].cpu(), labels[known].cpu()).float()
        table[: met.shape[0]] = met / size[: met.shape[0], None].cpu().clamp(min=1)
    rows, columns = (torch.as_tensor(side) for side in linear_sum_assignment(table.numpy(), maximize=True))
    matched = size.cpu()[rows[columns.argsort()]]
    prior[torch.argsort(labelled.cpu(), stable=True)] = matched.sort().values  # as many labels, as large a cluster
    rest = torch.ones(classes, dtype=torch.bool)
    rest[rows] = False
    prior[count:] = size.cpu()[rest].sort(descending=True).values
    prior = prior.clamp(min=1.0)  # a class of no items would have an infinite weight
    return prior / prior.sum()


def estimate_prior(run: Any, *, classes: Count, label: str = "label", table: str = "prior", starts: Count = 5) -> None:
    """A round: write the share of each class, (classes,), into the tables of a run; see `class_prior`.

    classes: K, all of them.
    label: the column of the labels, −1 where there is none.
    table: its name.
    starts: of k-means.
    """
    rows = run.embed_all()
    if label not in rows.keys:
        raise RequirementError(f"the prior is estimated with the column {label!r}, which the data do not have{nearest(label, rows.keys)}")
    seeded = Generator().manual_seed(int(torch.randint(2**31, (1,))))  # the loop seeds torch for every round
    run.tables[table] = class_prior(rows.z.cpu(), rows.keys[label].cpu(), classes=classes, starts=starts, generator=seeded)
