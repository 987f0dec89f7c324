"""pairs.near against the definition, for times, blocks and places."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from counterpoint import pairs
from counterpoint.core.errors import OptionError
from tests.pairs.rows import matrices, rows


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 1.5, 4.0, math.nan]), st.integers(-1, 2)), min_size=1, max_size=8),
    st.sampled_from([(0.0, None), (0.5, 1.0), (1.0, 3.0)]),
    st.booleans(),
    st.booleans(),
)
def test_the_definition(values, distances, blocked, apart):
    within, beyond = distances
    n = len(values)
    z = rows(item=range(n), view=[0] * n, time=[v[0] for v in values], series=[v[1] for v in values])
    options = {"block": "series", "apart": apart} if blocked else {}
    positive, negative = matrices(pairs.near(z, z, {}, within=within, beyond=beyond, **options))
    for i, (t, a) in enumerate(values):
        for j, (u, b) in enumerate(values):
            inside = not blocked or a == b != -1
            gap = abs(t - u)
            pull = i != j and inside and gap <= within
            far = not (inside and gap <= (within if beyond is None else beyond))
            push = i != j and far and (inside or apart)
            assert bool(positive[i, j]) == pull and bool(negative[i, j]) == push, (i, j)


def test_graded_by_distance():
    z = rows(item=[0, 1, 2], view=[0, 0, 0], age=[30.0, 33.0, 50.0])
    positive = matrices(pairs.near(z, z, {}, key="age", within=5, width=3.0))[0]
    assert positive[0].tolist() == pytest.approx([0, math.exp(-0.5), 0])


def test_places_in_a_plane():
    z = rows(item=[0, 0, 0, 1], view=[0, 0, 1, 0], position=[0, 1, 0, 0], centre=[[0.0, 0.0], [3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    positive, negative = matrices(pairs.near(z, z, {}, key="centre", within=0.5, beyond=5.0, block="item"))
    assert positive.tolist() == [[0, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert negative.tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]]


def test_a_window_without_a_time_is_no_negative_of_its_own_item():
    z = rows(item=[1, 1, 2], view=[0, 1, 0], time=[0.0, math.nan, 9.0])
    positive, negative = matrices(pairs.near(z, z, {}, within=1))
    assert positive.sum() == 0 and negative.tolist() == [[0, 0, 1], [0, 0, 1], [1, 1, 0]]


def test_distances_in_the_wrong_order():
    z = rows(item=[1], time=[0.0])
    with pytest.raises(OptionError, match="less than within"):
        pairs.near(z, z, {}, within=2, beyond=1)
