"""A data set keeps its ids, its columns and its word."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data.stores import Dense, Ragged, offsets, pack

X = np.random.default_rng(0).normal(size=(12, 3))


def test_subsets_keep_item_ids() -> None:
    whole = data.read(X, label=[i % 3 for i in range(12)], columns={"when": np.linspace(0, 1, 12)})
    part = whole.subset([9, 2, 5, 2])
    assert part.ids.tolist() == [2, 5, 9]
    assert part.items == len(part) == 3
    assert part.spec.items == 3
    assert part.columns["label"].tolist() == [2, 2, 0]
    batch = part.batch([9, 2])
    assert batch.keys["item"].tolist() == [9, 2]
    assert batch.keys["label"].tolist() == [0, 2]
    assert torch.equal(batch.fields["x"], whole.batch([9, 2]).fields["x"])
    assert part.subset([5]).ids.tolist() == [5]
    with pytest.raises(DataError, match="not in this part"):
        part.subset([3])
    assert part.flat().shape == (3, 3)
    assert part.with_columns({"label": ["a", "b", "a"]}).batch([5, 9]).keys["label"].tolist() == [1, 0]
    assert len(part.preview(part.ids)) == 3


def test_known_shares_are_in_the_spec() -> None:
    found = data.read(X, label=[0, 1, None, None] * 3, columns={"when": [1.0, np.nan] * 6})
    assert found.spec.columns == {"label": (2, 0.5), "when": (1, 0.5)}
    assert "2 classes for 50.0% of the items" in found.summary()
    assert "further column when" in found.summary()


def test_a_modality_that_is_not_there() -> None:
    with pytest.raises(DataError, match="no modality 'y'"):
        data.read(X).preview([0], modality="y")


def test_loaders_of_sets_in_memory_are_plain() -> None:
    found = data.read(X)
    pieces = [torch.tensor([1, 2]), torch.tensor([0])]
    assert [b.keys["item"].tolist() for b in found.loader(pieces, workers=3)] == [[1, 2], [0]]


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=12), st.booleans(), st.data())
def test_ragged_rows(rows: list[list[int]], trim: bool, draw: st.DataObject) -> None:
    """Against a loop over lists."""
    width = max(max(map(len, rows)), 1)
    flat = torch.tensor([v for row in rows for v in row], dtype=torch.int32)
    store = Ragged(flat, offsets(torch.tensor([len(r) for r in rows])), width, 0, trim)
    chosen = draw.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    taken = store.take(torch.tensor(chosen))
    longest = max(max((len(rows[i]) for i in chosen), default=1), 1) if trim else width
    assert taken.tolist() == [rows[i] + [0] * (longest - len(rows[i])) for i in chosen]
    keep = np.array(draw.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    half = len(rows) // 2
    cut = int(store.offset[half])
    pieces = [Ragged(flat[:cut], store.offset[: half + 1], width, 0, trim), Ragged(flat[cut:], store.offset[half:] - cut, width, 0, trim)]
    packed = pack(pieces, keep)
    assert len(packed) == keep.sum()
    if keep.any():
        left = [row for row, kept in zip(rows, keep) if kept]
        assert [r[: len(e)] for r, e in zip(packed.take(torch.arange(len(left))).tolist(), left)] == left


def test_channels_of_ragged_rows_stand_first() -> None:
    flat = torch.arange(10.0).reshape(5, 2)
    store = Ragged(flat, torch.tensor([0, 3, 5]), 3, float("nan"))
    taken = store.take(torch.tensor([1, 0]))
    assert taken[0, :, :2].tolist() == [[6, 8], [7, 9]]
    assert torch.isnan(taken[0, :, 2]).all()
    assert taken[1].tolist() == [[0, 2, 4], [1, 3, 5]]


def test_dense_without_some() -> None:
    packed = pack([Dense(torch.arange(4)), Dense(torch.arange(4, 6))], np.array([1, 0, 1, 1, 0, 1], bool))
    assert packed.take(torch.arange(4)).tolist() == [0, 2, 3, 5]
