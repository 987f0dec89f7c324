"""How batches of item ids are drawn: one pass over a set, at random, from an explicit generator and from nothing else.

Every sampler is `(dataset, generator, *, batch, …) -> iterator of (b,) item ids`. `coverage` measures what any of them leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import Count
from counterpoint.core.recipe import requires
from counterpoint.data.dataset import Dataset


def shuffled(dataset: Dataset, generator: Generator, *, batch: Count, drop_last: bool = True, mix: Count = 8) -> Iterator[Tensor]:
    """Every item once, in random order.

    Sets that are read from disk in blocks (row groups) are shuffled block by block: blocks in random order, and the items of `mix`
    blocks at a time among each other, so that each block is read once.

    batch: items of a batch.
    drop_last: leave out the last items that do not fill a batch; a set smaller than a batch is one batch. A lone last item always goes.
    mix: blocks whose items are mixed; fewer where their memory does not allow so many.
    """
    order = torch.randperm(dataset.items, generator=generator)
    block = dataset.block_of
    if block is not None:
        place = torch.randperm(int(block.max()) + 1, generator=generator)
        window = place[block] // max(1, min(mix, dataset.blocks_held))
        order = order[window[order].argsort(stable=True)]
    yield from _cut(dataset.ids[order], batch, drop_last)


@requires(column=("{column}",))
def balanced(dataset: Dataset, generator: Generator, *, batch: Count, column: str = "label", drop_last: bool = True) -> Iterator[Tensor]:
    """As many items of each value of a column, rare ones more than once, frequent ones not all; unknown ones never.

    batch: items of a batch.
    column: whose values are balanced.
    drop_last: as in `shuffled`.
    """
    ids, codes, count = _groups(dataset, column)
    draws = len(ids) if not drop_last or len(ids) < batch else len(ids) // batch * batch
    rounds = -(-draws // count)
    turn = torch.rand(rounds, count, generator=generator).argsort(1).flatten()[:draws]  # each round names every value once
    order = torch.empty(draws, dtype=torch.int64)
    for value in range(count):  # a loop over values, not over items
        members = ids[codes == value]
        places = (turn == value).nonzero().squeeze(1)
        laps = -(-len(places) // len(members))
        order[places] = torch.cat([members[torch.randperm(len(members), generator=generator)] for _ in range(laps)] or [members])[
            : len(places)
        ]
    yield from _cut(order, batch, drop_last)


@requires(column=("{column}",))
def half_labelled(
    dataset: Dataset, generator: Generator, *, batch: Count, column: str = "label", drop_last: bool = True
) -> Iterator[Tensor]:
    """As many items with a known value of the column as without, in every batch; the rarer kind more than once, the other not all.

    Where all items are known, or none, every item is drawn once.

    batch: items of a batch.
    column: whose values are known for some items.
    drop_last: as in `shuffled`.
    """
    known = _column(dataset, column) >= 0
    if bool(known.all()) or not bool(known.any()):
        yield from shuffled(dataset, generator, batch=batch, drop_last=drop_last)
        return
    draws = dataset.items if not drop_last or dataset.items < batch else dataset.items // batch * batch
    sides = []
    for members, number in ((dataset.ids[known], (draws + 1) // 2), (dataset.ids[~known], draws // 2)):
        laps = -(-number // len(members))
        sides.append(torch.cat([members[torch.randperm(len(members), generator=generator)] for _ in range(laps)])[:number])
    order = torch.empty(draws, dtype=torch.int64)
    order[0::2], order[1::2] = sides[0], sides[1]
    yield from _cut(order, batch, drop_last)


@requires(column=("{column}",))
def grouped(
    dataset: Dataset,
    generator: Generator,
    *,
    batch: Count,
    column: str | tuple[str, ...] = "label",
    each: Count = 2,
    drop_last: bool = True,
) -> Iterator[Tensor]:
    """P × K: every batch holds `each` different items of batch // each different values; no item twice in a pass.

    Where there are fewer values than that, each gives more items. What does not come out even is left out of this pass.

    batch: items of a batch.
    column: whose values are the groups; of several, those that agree on all (the trials of a patient).
    each: items of a value in a batch (K).
    drop_last: leave out batches with fewer values.
    """
    ids, codes, count = _groups(dataset, column)
    values = max(1, min(batch // each, count))
    each = max(each, batch // values) if values == count else each
    place = _place_in_group(codes, generator)
    size = torch.bincount(codes, minlength=count)
    kept = place < (size // each * each)[codes]
    yield from _rounds(ids[kept], codes[kept], place[kept] // each, each, values, generator, drop_last)


@requires(column=("{column}",))
def distinct(dataset: Dataset, generator: Generator, *, batch: Count, column: str = "group", drop_last: bool = True) -> Iterator[Tensor]:
    """No two items of a batch share a value of the column; items whose value is unknown share it with nobody.

    batch: items of a batch.
    column: whose values must differ.
    drop_last: leave out batches that could not be filled.
    """
    codes = _column(dataset, column)
    codes = torch.unique(torch.where(codes < 0, -2 - torch.arange(len(codes)), codes), return_inverse=True)[1]
    values = max(1, min(batch, int(codes.max()) + 1))
    place = _place_in_group(codes, generator)
    yield from _rounds(dataset.ids, codes, place, 1, values, generator, drop_last)


@requires(column=("{column}",))
def same_group(dataset: Dataset, generator: Generator, *, batch: Count, column: str = "group", drop_last: bool = False) -> Iterator[Tensor]:
    """Every batch holds items of one value only.

    batch: items of a batch.
    column: whose value the items of a batch share.
    drop_last: leave out the last, smaller batch of each value; batches of one item are always left out.
    """
    ids, codes, count = _groups(dataset, column)
    pieces = []
    for value in range(count):
        members = ids[codes == value]
        pieces += list(_cut(members[torch.randperm(len(members), generator=generator)], batch, drop_last))
    for index in torch.randperm(len(pieces), generator=generator).tolist():
        yield pieces[index]


@requires(table=("{table}",))
def paired_ids(dataset: Dataset, generator: Generator, *, batch: Count, table: str = "pairs", drop_last: bool = True) -> Iterator[Tensor]:
    """Known pairs in random order: the first members of a batch, then the second ones, batch // 2 pairs.

    batch: items of a batch.
    table: table of the data set with the pairs, (m, 2) item ids.
    drop_last: as in `shuffled`.
    """
    if table not in dataset.tables:
        raise RequirementError(f"the data have no table {table!r}{nearest(table, dataset.tables)}")
    pairs = torch.as_tensor(dataset.tables[table], dtype=torch.int64)
    member = torch.zeros(len(dataset.parts), dtype=torch.bool)
    member[dataset.ids] = True
    pairs = pairs[member[pairs].all(1)]
    order = torch.randperm(len(pairs), generator=generator)
    for piece in _cut(order, max(batch // 2, 1), drop_last, least=1):
        yield pairs[piece].T.flatten()


def coverage(batches: Iterable[Tensor], dataset: Dataset, *, column: str | None = None) -> dict[str, float]:
    """What a pass draws: "seen" share of the items, "repeated" share of the draws, "batches", "size" of a batch on average, and with
    `column` "same": the share of pairs inside a batch whose known values are equal (false negatives, where it is the label).

    column: the column that "same" looks at; nothing where none is given.
    """
    drawn = torch.zeros(len(dataset.parts), dtype=torch.int64)
    values = None
    if column is not None:
        values = torch.full((len(dataset.parts),), -1, dtype=torch.int64)
        values[dataset.ids] = _column(dataset, column)
    count = draws = 0
    same = pairs = 0.0
    for ids in batches:
        drawn += torch.bincount(ids, minlength=len(drawn))
        count, draws = count + 1, draws + len(ids)
        if values is not None:
            here = values[ids]
            known = here[here >= 0]
            sizes = torch.unique(known, return_counts=True)[1].double()
            same += float((sizes * (sizes - 1)).sum())
            pairs += len(known) * (len(known) - 1)
    seen = int((drawn > 0).sum())
    report = {
        "seen": seen / max(dataset.items, 1),
        "repeated": 1 - seen / max(draws, 1),
        "batches": float(count),
        "size": draws / max(count, 1),
    }
    return report | ({"same": same / pairs if pairs else 0.0} if column is not None else {})


def _column(dataset: Dataset, name: str) -> Tensor:
    if name not in dataset.columns:
        raise RequirementError(f"the data have no column {name!r}{nearest(name, dataset.columns)}; name one with label= or columns=")
    values = dataset.columns[name]
    if values.is_floating_point():
        raise RequirementError(f"the column {name!r} holds real numbers; batches are drawn by classes or groups")
    return values


def _groups(dataset: Dataset, name: str | tuple[str, ...]) -> tuple[Tensor, Tensor, int]:
    """Ids of the items whose value is known, their values counted from 0, and how many values there are."""
    names = (name,) if isinstance(name, str) else name
    columns = torch.stack([_column(dataset, n) for n in names], 1)
    values = columns.unique(dim=0, return_inverse=True)[1].masked_fill((columns < 0).any(1), -1)
    known = values >= 0
    if not bool(known.any()):
        raise RequirementError(f"the column {name!r} is known for no item")
    there, codes = torch.unique(values[known], return_inverse=True)
    return dataset.ids[known], codes, len(there)


def _place_in_group(codes: Tensor, generator: Generator) -> Tensor:
    """A random rank of each item among those of its group."""
    order = torch.randperm(len(codes), generator=generator)
    order = order[codes[order].argsort(stable=True)]
    sizes = torch.bincount(codes)
    starts = sizes.cumsum(0) - sizes
    place = torch.empty_like(codes)
    place[order] = torch.arange(len(codes)) - starts[codes[order]]
    return place


def _rounds(ids: Tensor, codes: Tensor, turn: Tensor, each: int, values: int, generator: Generator, drop_last: bool) -> Iterator[Tensor]:
    """In turn r every group gives its r-th `each` items; the groups of a turn, in random order, are cut into batches of `values` groups."""
    count = int(codes.max()) + 1 if len(codes) else 0
    shuffle = torch.rand(int(turn.max()) + 1 if len(turn) else 0, count, generator=generator)
    key = shuffle[turn, codes] if len(codes) else shuffle.flatten()
    order = torch.argsort(turn.double() * 2 + key.double(), stable=True)  # by turn, then by group
    ids, turn = ids[order], turn[order]
    bounds = [0, *torch.bincount(turn).cumsum(0).tolist()] if len(turn) else [0]
    pieces = [piece for a, b in pairwise(bounds) for piece in ids[a:b].split(values * each)]
    pieces = [p for p in pieces if len(p) == values * each or (not drop_last and len(p) > 1)]
    for index in torch.randperm(len(pieces), generator=generator).tolist():
        yield pieces[index]


def _cut(order: Tensor, batch: int, drop_last: bool, least: int = 2) -> Iterator[Tensor]:
    for piece in order.split(batch):
        if len(piece) == batch or (len(piece) >= least and (not drop_last or len(order) < batch)):
            yield piece
