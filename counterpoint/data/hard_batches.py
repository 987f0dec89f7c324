"""Batches of classes that are easily taken for each other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import Count
from counterpoint.core.recipe import requires
from counterpoint.data.dataset import Dataset


@requires(column=("{column}",), table=("{table}",))
def near_classes(
    dataset: Dataset, generator: Generator, *, batch: Count, column: str = "label", table: str = "near_classes", each: Count = 3
) -> Iterator[Tensor]:
    """A batch is a set of groups; a group is an item's class and the classes nearest to the item, with `each` items of each class.

    Items of a pass are drawn at random, as many groups as fill the batch (at least one); a class with fewer items gives what it has, and no
    item stands twice in a batch, so that batches may be smaller. There are as many batches as items fill. CLIPPINGS, paper 014.

    batch: items of a batch; groups × classes × each.
    column: the classes; items whose class is unknown are never drawn.
    table: classes nearest to each item, its own first, by item id, (all items, k) int64, −1 = none (clustering.nearest_classes writes it).
    each: items of a class in a group.
    """
    for kind, name, there in (("column", column, dataset.columns), ("table", table, dataset.tables)):
        if name not in there:
            raise RequirementError(f"the data have no {kind} {name!r}{nearest(name, there)}")
    near = torch.as_tensor(dataset.tables[table])
    codes, ids = dataset.columns[column], dataset.ids
    ids, codes = ids[codes >= 0], codes[codes >= 0]
    if not len(ids):
        raise RequirementError(f"the column {column!r} is known for no item")
    order = torch.randperm(len(ids), generator=generator)
    order = order[codes[order].argsort(stable=True)]
    sizes = torch.bincount(codes, minlength=int(near.max()) + 1)
    starts = sizes.cumsum(0) - sizes
    seeds = max(batch // (near.shape[1] * each), 1)
    for number in range(max(len(ids) // batch, 1)):
        drawn = torch.randint(len(ids), (seeds,), generator=generator)
        classes = near[ids[drawn]].flatten().unique()
        classes = classes[classes >= 0]
        turn = number + torch.arange(each)  # a class that comes again in a pass gives its next items
        places = starts[classes, None] + turn % sizes[classes, None].clamp(min=1)
        chosen = ids[order[places[sizes[classes] > 0].flatten().unique()]]
        if len(chosen) > 1:
            yield chosen[torch.randperm(len(chosen), generator=generator)][:batch]
