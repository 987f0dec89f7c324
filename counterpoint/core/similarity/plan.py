"""Which tiles of the scores a relation touches, in which order of the rows, and what is masked in each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from counterpoint.core.similarity.edges import Codes, codes, edges_of, is_self, known_codes
from counterpoint.core.similarity.relation import Relation, edge_numbers
from counterpoint.core.similarity.sizes import TILE

KEEP = 15 << 20  # this many exponentials, 60 MiB, are kept for the backward, which need not make them again
_SMALL = 96  # groups are put together up to this many rows, so that a tile is worth its calls


@dataclass
class Cell:
    """Scores of the anchors r0 … r1 with the candidates c0 … c1 (in the order of the plan), and what is masked in them.

    mirrored: it stands for its mirror image below the diagonal too.   diagonal: (i, i) is masked.   edges: flat positions masked.
    equal: numbers of the plan's keys whose equality masks.   kept: the plan's `inside` keys must be compared.
    """

    r0: int
    r1: int
    c0: int
    c1: int
    mirrored: bool = False
    diagonal: bool = False
    edges: Tensor | None = None
    equal: tuple[int, ...] = ()
    kept: bool = False
    free: bool = False  # every pair of it counts once


@dataclass
class Plan:
    """Tiles of a relation. `rows` holds the cells of each stripe of anchors; a stripe is (r0, r1, cells)."""

    relation: Relation
    shape: tuple[int, int]
    symmetric: bool
    size: int  # scores in the largest tile
    stripes: list[tuple[int, int, list[Cell]]]
    row_order: Tensor | None
    column_order: Tensor | None
    inside: tuple[Tensor, Tensor] | None  # codes as floats, in order
    equal: list[tuple[Tensor, Tensor]]
    others: tuple[Relation, ...]  # ignored, without a fast road
    soft: Relation | None  # the base, where its weights are no mere zeros and ones
    column: Tensor | None

    @property
    def single(self) -> bool:
        """Whether one tile holds everything."""
        return len(self.stripes) == 1 and len(self.stripes[0][2]) == 1

    def mask_only(self, E: Tensor) -> None:
        """Write zeros into the one tile there is, where the weight is zero (no soft weights)."""
        cell = self.stripes[0][2][0]
        self.mask(cell, E, 0.0, E.new_empty(E.numel() if cell.equal else 0))

    def mask(self, cell: Cell, E: Tensor, value: float, scratch: Tensor) -> Tensor | None:
        """Write `value` (0, or a large negative one) where the weight is zero; returns soft weights to multiply with, if there are."""
        if cell.diagonal:
            E.diagonal().fill_(value)
        if cell.edges is not None:
            E.view(-1).index_fill_(0, cell.edges, value)
        rows, columns = slice(cell.r0, cell.r1), slice(cell.c0, cell.c1)
        if cell.kept and self.inside is not None:
            _blot(E, torch.ne if value else torch.eq, self.inside[0][rows], self.inside[1][columns], value, scratch)
        for k in cell.equal:
            _blot(E, torch.eq if value else torch.ne, self.equal[k][0][rows], self.equal[k][1][columns], value, scratch)
        if not self.others and self.soft is None and self.column is None:
            return None
        return self._slow(cell, E, value)

    def _slow(self, cell: Cell, E: Tensor, value: float) -> Tensor | None:
        rows, columns = (
            torch.arange(a, b, device=E.device) if order is None else order[a:b]
            for a, b, order in ((cell.r0, cell.r1, self.row_order), (cell.c0, cell.c1, self.column_order))
        )
        for other in self.others:
            E.masked_fill_(other.at(rows[:, None], columns[None, :]) > 0, value)
        W = None if self.soft is None else self.soft.at(rows[:, None], columns[None, :]).to(E.dtype)
        if self.column is not None:
            column = self.column[cell.c0 : cell.c1].to(E.dtype)
            W = column.expand(E.shape) if W is None else W * column
        if W is not None:
            E.masked_fill_(W == 0, value)
        return W


def _blot(E: Tensor, compare: object, first: Tensor, second: Tensor, value: float, scratch: Tensor) -> None:
    """Comparisons written as floats: ten times faster than through booleans."""
    flags = scratch[: E.numel()].view(E.shape)
    compare(first[:, None], second[None, :], out=flags)  # type: ignore[operator]
    if value:
        E.add_(flags, alpha=value)
    else:
        E.mul_(flags)


def plan_of(relation: Relation, shape: tuple[int, int], device: torch.device, symmetric: bool, tile: int | None = None) -> Plan:
    """The plan, kept with the relation. `symmetric`: the scores are; the plan is so only if the relation is too."""
    side = tile or TILE.get(device.type, TILE["cuda"])
    key = ("plan", shape, device, symmetric, side)
    if key not in relation.cache:
        relation.cache[key] = _plan(relation, shape, device, symmetric and is_symmetric(relation, shape, device), side)
    found: Plan = relation.cache[key]
    return found


def _plan(relation: Relation, shape: tuple[int, int], device: torch.device, symmetric: bool, tile: int) -> Plan:
    found = known_codes(relation)
    diagonal, lists, keys, others = False, [], [], []
    for other in _flat(relation.ignored):
        edges = None if is_self(other) else edges_of(other, shape, device)
        if is_self(other):
            diagonal = True
        elif edges is not None:
            lists.append((edges.rows, edges.columns))
        elif other.form == "equal" and other.bare:
            keys.append(codes((other.data[0], other.data[1])))
        else:
            others.append(other)
    soft = None if relation.form in ("all", "equal") else replace(relation, inside=(), ignored=(), row=None, column=None)
    if others or soft is not None:  # working out weights takes several tiles of 8 bytes: halves of the sides fit the cache, and the heap
        tile = max(tile // 2, 1)
    row_order, column_order = _orders(found, keys)
    cells, row_starts, column_starts = _groups(found, shape, tile, symmetric) if found else _grid(shape, tile, symmetric)
    plan = Plan(
        relation=relation,
        shape=shape,
        symmetric=symmetric,
        size=max(((c.r1 - c.r0) * (c.c1 - c.c0) for c in cells), default=0),
        stripes=[],
        row_order=row_order,
        column_order=column_order,
        inside=None if found is None else (_ordered(found[0], row_order).float(), _ordered(found[1], column_order).float()),
        equal=[(_ordered(a, row_order).float(), _ordered(c, column_order).float()) for a, c, _ in keys],
        others=tuple(others),
        soft=soft,
        column=None if relation.column is None else _ordered(relation.column, column_order),
    )
    if diagonal and row_order is column_order and (found is None or row_starts == column_starts):
        for cell in cells:
            cell.diagonal = cell.r0 == cell.c0
    elif diagonal:
        middle = torch.arange(min(shape), device=device)
        lists.append((middle, middle))
    if lists:
        _put_edges(cells, torch.cat([e[0] for e in lists]), torch.cat([e[1] for e in lists]), plan, row_starts, column_starts)
    for k, (first, second) in enumerate(plan.equal):
        _put_keys(cells, k, first, second, row_starts, column_starts)
    plain = not plan.others and plan.soft is None and plan.column is None
    stripes: dict[tuple[int, int], list[Cell]] = {}
    for cell in cells:
        bare = not cell.diagonal and cell.edges is None and not cell.equal and not (cell.kept and plan.inside is not None)
        cell.free = plain and bare
        stripes.setdefault((cell.r0, cell.r1), []).append(cell)
    plan.stripes = [(r0, r1, inner) for (r0, r1), inner in stripes.items()]
    return plan


def _flat(ignored: tuple[Relation, ...]) -> list[Relation]:
    """Ignored relations without "either", and without exceptions that another one ignores all the same: (X ∖ Y) ∪ Y = X ∪ Y."""
    flat: list[Relation] = []
    for other in ignored:
        plain_either = other.form == "either" and other.bare
        flat += _flat(other.data) if plain_either else [other]
    result = []
    for other in flat:
        left = tuple(x for x in other.ignored if not any(x is y or (is_self(x) and is_self(y)) for y in flat))
        result.append(other if len(left) == len(other.ignored) else replace(other, ignored=left))
    return result


def _orders(found: Codes | None, keys: list[Codes]) -> tuple[Tensor | None, Tensor | None]:
    """Rows sorted by the codes that must be equal, then by the first key whose equality masks; None = as they are."""
    sort = [*([found] if found else []), *keys[:1]]
    if not sort:
        return None, None
    orders = []
    for side in (0, 1):
        code = torch.as_tensor(sort[0][side])
        if len(sort) > 1:
            code = code * (sort[1][2] + 2) + sort[1][side]
        orders.append(torch.argsort(code, stable=True))
        if all(one[0] is one[1] for one in sort) or all(torch.equal(one[0], one[1]) for one in sort):
            return orders[0], orders[0]
    return orders[0], orders[1]


def _grid(shape: tuple[int, int], tile: int, symmetric: bool) -> tuple[list[Cell], list[int], list[int]]:
    n, m = shape
    rows, columns = list(range(0, n, tile)), list(range(0, m, tile))
    cells = [
        Cell(r, min(r + tile, n), c, min(c + tile, m), mirrored=symmetric and c > r)
        for r in rows
        for c in columns
        if c >= r or not symmetric
    ]
    return cells, rows, columns


def _groups(found: Codes, shape: tuple[int, int], tile: int, symmetric: bool) -> tuple[list[Cell], list[int], list[int]]:
    """Tiles of rows of equal codes: small groups together, large ones cut."""
    first, second, k = found
    anchors, candidates = (torch.bincount(c + 2, minlength=k + 2).tolist() for c in (first, second))
    runs: list[tuple[int, int, int, int, int]] = []  # r0, r1, c0, c1, number of groups
    r, c = sum(anchors[:2]), sum(candidates[:2])
    for rows, columns in zip(anchors[2:], candidates[2:]):
        if runs and max(runs[-1][1] - runs[-1][0] + rows, runs[-1][3] - runs[-1][2] + columns) <= _SMALL:
            r0, _, c0, _, many = runs[-1]
            runs[-1] = (r0, r + rows, c0, c + columns, many + 1)
        else:
            runs.append((r, r + rows, c, c + columns, 1))
        r, c = r + rows, c + columns
    cells, row_starts, column_starts = [], [], []
    for r0, r1, c0, c1, many in runs:
        if r0 == r1 or c0 == c1:
            continue
        tall, wide = _cuts(r0, r1, tile), _cuts(c0, c1, tile)
        row_starts += [a for a, _ in tall]
        column_starts += [a for a, _ in wide]
        for i, (a, b) in enumerate(tall):
            for j, (x, y) in enumerate(wide):
                if j >= i or not symmetric:
                    cells.append(Cell(a, b, x, y, mirrored=symmetric and j > i, kept=many > 1))
    return cells, row_starts, column_starts


def _cuts(start: int, stop: int, tile: int) -> list[tuple[int, int]]:
    pieces = max(-(-(stop - start) // tile), 1)
    step = -(-(stop - start) // pieces)
    return [(a, min(a + step, stop)) for a in range(start, stop, step)]


def _put_edges(cells: list[Cell], rows: Tensor, columns: Tensor, plan: Plan, row_starts: list[int], column_starts: list[int]) -> None:
    """Give every cell the flat positions of its masked edges."""
    if not cells:
        return
    if len(cells) == 1 and plan.row_order is None:
        cells[0].edges = rows * plan.shape[1] + columns
        return
    device, wide = rows.device, len(column_starts)
    rows, columns = _places(plan.row_order, rows), _places(plan.column_order, columns)
    first = torch.searchsorted(torch.tensor(row_starts, device=device), rows, right=True) - 1
    second = torch.searchsorted(torch.tensor(column_starts, device=device), columns, right=True) - 1
    boxes = torch.tensor([(c.r0, c.r1, c.c0, c.c1) for c in cells], device=device)
    row_of, column_of = ({a: i for i, a in enumerate(starts)} for starts in (row_starts, column_starts))
    numbers, order = torch.tensor([row_of[c.r0] * wide + column_of[c.c0] for c in cells], device=device).sort()
    number = first * wide + second
    place = torch.searchsorted(numbers, number).clamp_(max=len(numbers) - 1)
    there = (numbers[place] == number) & (first >= 0) & (second >= 0)
    cell = order[place[there]]
    rows, columns, box = rows[there], columns[there], boxes[cell]
    within = (rows < box[:, 1]) & (columns < box[:, 3])  # rows between groups belong to no cell
    flat = ((rows - box[:, 0]) * (box[:, 3] - box[:, 2]) + columns - box[:, 2])[within]
    cell = cell[within]
    flat = flat[torch.argsort(cell, stable=True)]
    for one, part in zip(cells, flat.split(torch.bincount(cell, minlength=len(cells)).tolist())):
        one.edges = part if len(part) else None


def _put_keys(cells: list[Cell], k: int, first: Tensor, second: Tensor, row_starts: list[int], column_starts: list[int]) -> None:
    """Let a cell compare the k-th key only if the values of its rows and candidates overlap (few cells do where rows are sorted)."""
    ranges = []
    for code, cuts in ((first, {(c.r0, c.r1) for c in cells}), (second, {(c.c0, c.c1) for c in cells})):
        ranges.append({cut: (part.min(), part.max()) for cut in cuts for part in (code[slice(*cut)],)})
    rows, columns = ({cut: (float(low), float(high)) for cut, (low, high) in side.items()} for side in ranges)
    for cell in cells:
        (low, high), (least, most) = rows[cell.r0, cell.r1], columns[cell.c0, cell.c1]
        if high >= least and most >= low and high >= 0 and most >= 0:
            cell.equal = (*cell.equal, k)


def _ordered(x: Tensor, order: Tensor | None) -> Tensor:
    return x if order is None else x[order]


def _places(order: Tensor | None, positions: Tensor) -> Tensor:
    """Where these positions stand in the order."""
    if order is None:
        return positions
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(len(order), device=order.device)
    return inverse[positions]


def is_symmetric(relation: Relation, shape: tuple[int, int], device: torch.device) -> bool:
    """Whether w_ij = w_ji but for weights per anchor. Says no where it would take long to know."""
    if shape[0] != shape[1] or relation.column is not None or not all(_alike(a, c) for a, c in relation.inside):
        return False
    for other in relation.ignored:
        if other.row is not None or other.column is not None or not _one_symmetric(other, shape, device):
            return False
    return _form_symmetric(relation, shape, device)


def _one_symmetric(other: Relation, shape: tuple[int, int], device: torch.device) -> bool:
    if is_self(other):
        return True
    edges = edges_of(other, shape, device)
    if edges is None:
        return is_symmetric(other, shape, device)
    if edges.single and not bool((edges.columns >= shape[0]).any()):
        return torch.equal(edges.columns[edges.columns], edges.rows)
    there, back = edge_numbers(edges.rows, edges.columns), edge_numbers(edges.columns, edges.rows)
    return torch.equal(there.sort().values, back.sort().values)


def _form_symmetric(relation: Relation, shape: tuple[int, int], device: torch.device) -> bool:
    if relation.form in ("equal", "product"):
        return _alike(*relation.data)
    if relation.form == "either":
        return all(r.row is None and _one_symmetric(r, shape, device) for r in relation.data)
    return relation.form in ("all", "self", "none")


def _alike(one: Tensor, two: Tensor) -> bool:
    return one is two or (one.shape == two.shape and one.dtype == two.dtype and torch.equal(one, two))
