"""terms.paired and the alignment below it: rows meet by item."""

from __future__ import annotations

import pytest
import torch

from counterpoint import losses, terms
from counterpoint.core import values
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, RowLoss, Rows, Select
from counterpoint.terms.alignment import align

NOW = Progress(step=1, steps=4)


def _rows(items, seed=0):
    return Rows(torch.randn(len(items), 3, generator=torch.Generator().manual_seed(seed)), {"item": torch.tensor(items)})


def test_rows_meet_by_item_and_occurrence():
    left, right = align(_rows([5, 7, 5, 9, -1]), _rows([9, 5, -1, 8, 5, 5]))
    assert left.tolist() == [0, 2, 3] and right.tolist() == [1, 4, 0]
    left, right = align(_rows([1, 2]), _rows([3]))
    assert len(left) == len(right) == 0
    left, right = align(_rows([4, 4, 2]), _rows([4, 4, 2]))
    assert left.tolist() == right.tolist() == [0, 1, 2]
    assert len(align(_rows([1]), Rows(torch.zeros(0, 3), {"item": torch.zeros(0, dtype=torch.int64)}))[0]) == 0


def test_rows_without_items_are_refused():
    with pytest.raises(RequirementError, match="key 'item'"):
        align(_rows([1]), Rows(torch.zeros(1, 3), {"label": torch.zeros(1)}))


def test_paired_gives_the_loss_the_same_rows_in_any_order():
    g = torch.Generator().manual_seed(0)
    z = torch.randn(12, 4, generator=g)
    keys = {"item": torch.arange(6).repeat(2), "view": torch.arange(2).repeat_interleave(6)}
    plain = Rows(z, keys, False, ("global", "global"))
    mixed = plain.where(torch.randperm(12, generator=g))
    term = use(terms.paired, loss=use(losses.vicreg), first=Select("z", (0,)), second=Select("z", (1,)))
    one, two = (term({"z": rows}, {}, NOW).mean() for rows in (plain, mixed))
    assert one.item() == pytest.approx(losses.vicreg(z[:6], z[6:]).mean().item())
    assert two.item() == pytest.approx(one.item(), rel=1e-5)


def test_options_of_the_loss_may_move():
    term = use(terms.paired, loss=use(_scaled, factor=use(values.linear, start=0.0, end=4.0)), first="a", second="b")
    out = {"a": _rows([1, 2]), "b": _rows([2, 1], seed=1)}
    assert term(out, {}, NOW).mean().item() == pytest.approx(1.0)


def _scaled(first, second, *, factor=1.0):
    return RowLoss(torch.ones(len(first)) * factor, torch.ones(len(first), dtype=torch.bool))
