"""Samplers draw what they promise, from the generator alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint import data
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import use


def made(labels: Any, groups: Any = None) -> data.Dataset:
    x = np.arange(len(labels))[:, None] + np.random.default_rng(0).normal(size=(len(labels), 2))
    return data.read(x, label=labels, columns={} if groups is None else {"group": groups})


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(items=st.integers(2, 60), batch=st.integers(1, 20), drop=st.booleans())
@settings(max_examples=40)
def test_shuffled_draws_every_item_once(items: int, batch: int, drop: bool) -> None:
    found = made(np.arange(items) % 2).subset(range(items))
    pieces = list(data.shuffled(found, seeded(), batch=batch, drop_last=drop))
    drawn = torch.cat(pieces).tolist() if pieces else []
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= set(range(items))
    whole = items // batch * batch if batch <= items else items
    left = items - whole
    assert len(drawn) == whole + (left if not drop and left > 1 else 0)
    assert all(len(p) == batch for p in pieces[:-1])


def test_the_generator_is_all_the_randomness() -> None:
    found = made([0, 1] * 20, [i // 4 for i in range(40)])
    for sampler in (data.shuffled, data.balanced, data.grouped, data.distinct, data.same_group):
        one, two, three = ([b.tolist() for b in sampler(found, seeded(s), batch=8)] for s in (3, 3, 4))
        assert one == two, sampler
        assert one != three, sampler


def test_a_subset_draws_its_own_ids() -> None:
    found = made(list(range(4)) * 10).subset([3, 7, 30, 31, 35, 39])
    drawn = torch.cat(list(data.shuffled(found, seeded(), batch=3))).tolist()
    assert sorted(drawn) == [3, 7, 30, 31, 35, 39]
    assert set(torch.cat(list(data.grouped(found, seeded(), batch=2, each=2))).tolist()) <= set(drawn)


def test_balanced_gives_each_value_its_share() -> None:
    labels = [0] * 90 + [1] * 8 + [2] * 2 + [-1] * 5
    found = made(labels)
    pieces = list(data.balanced(found, seeded(), batch=20))
    assert len(pieces) == 100 // 20
    for piece in pieces:
        counts = torch.bincount(found.columns["label"][piece], minlength=3)
        assert counts.sum() == 20  # none unknown
        assert counts.max() - counts.min() <= 2
    drawn = torch.cat(pieces)
    assert set(range(90, 100)) <= set(drawn.tolist())
    frequent = drawn[drawn < 90]
    assert len(frequent) == len(frequent.unique())  # repeated only where it must be


def test_grouped_is_p_times_k() -> None:
    found = made([i % 10 for i in range(100)])
    pieces = list(data.grouped(found, seeded(), batch=12, each=3))
    drawn = torch.cat(pieces)
    assert len(drawn) == len(drawn.unique())
    for piece in pieces:
        values, counts = found.columns["label"][piece].unique(return_counts=True)
        assert len(values) == 4
        assert counts.tolist() == [3] * 4
    assert data.coverage(iter(pieces), found)["seen"] >= 0.7
    few = list(data.grouped(made([0, 1] * 50), seeded(), batch=16, each=2))
    assert all(len(p) == 16 and int((made([0, 1] * 50).columns["label"][p] == 0).sum()) == 8 for p in few)


@given(st.lists(st.integers(-1, 6), min_size=2, max_size=80), st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_distinct_never_shares_a_group(groups: list[int], batch: int) -> None:
    if len(set(groups)) < 2:
        groups = [*groups, 7]
    codes = np.array(groups)
    found = made(np.zeros(len(groups), int), np.where(codes < 0, None, codes).astype(object).tolist())
    seen: list[int] = []
    for piece in data.distinct(found, seeded(), batch=batch, drop_last=False):
        known = [g for g in found.columns["group"][piece].tolist() if g >= 0]
        assert len(known) == len(set(known))
        assert len(piece) <= batch
        seen += piece.tolist()
    assert len(seen) == len(set(seen))


def test_same_group_and_coverage() -> None:
    groups = [i // 7 for i in range(70)]
    found = made([i % 2 for i in range(70)], groups)
    pieces = list(data.same_group(found, seeded(), batch=3))
    assert all(len(set(found.columns["group"][p].tolist())) == 1 for p in pieces)
    told = data.coverage(iter(pieces), found, column="group")
    assert told["same"] == 1.0
    assert told["seen"] == pytest.approx(60 / 70)  # seven items are two batches of three and a lone one
    assert told["repeated"] == 0
    assert data.coverage(data.distinct(found, seeded(), batch=5), found, column="group")["same"] == 0
    shuffled = data.coverage(data.shuffled(found, seeded(), batch=70), found, column="label")
    assert shuffled["same"] == pytest.approx((2 * 35 * 34) / (70 * 69))
    assert shuffled["batches"] == 1


def test_known_pairs() -> None:
    from dataclasses import replace

    found = replace(made([0, 1] * 10), tables={"pairs": torch.tensor([[0, 5], [1, 6], [2, 7], [3, 8], [4, 9]])})
    for piece in data.paired_ids(found, seeded(), batch=4):
        first, second = piece.chunk(2)
        assert ((second - first) == 5).all()
    assert len(list(data.paired_ids(found.subset([0, 5, 1, 6, 2]), seeded(), batch=4))) == 1
    with pytest.raises(RequirementError, match="no table 'pears'; did you mean 'pairs'"):
        next(data.paired_ids(found, seeded(), batch=4, table="pears"))


def test_columns_that_cannot_be_drawn_by() -> None:
    found = data.read(np.random.default_rng(0).normal(size=(9, 2)), columns={"when": np.linspace(0, 1, 9)})
    with pytest.raises(RequirementError, match="no column 'label'"):
        next(data.balanced(found, seeded(), batch=3))
    with pytest.raises(RequirementError, match="real numbers"):
        next(data.balanced(found, seeded(), batch=3, column="when"))


def test_samplers_are_parts() -> None:
    part = use(data.grouped, column="group", each=4)
    assert len(list(part(made([0] * 40, [i % 4 for i in range(40)]), seeded(), batch=8))) == 4
