"""Made sets: each can be had by name, is the same each time, keeps to its limit, and says what it is made from."""

from __future__ import annotations

import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data import catalogue

MADE = [entry for entry in catalogue.entries() if entry.made]
LIMIT = 60


@pytest.mark.parametrize("entry", MADE, ids=lambda entry: entry.name)
def test_a_made_set(entry: catalogue.Entry) -> None:
    if entry.here != "made":
        pytest.skip(f"{', '.join(entry.parts or ())} is not on this machine")
    one, two = (data.load(f"{entry.name}[{LIMIT}]") for _ in range(2))
    assert one.spec.kind == entry.kind
    assert len(one) == len(two) <= 8 * LIMIT, "a limit is of items of a part; long tails have some more"
    ids = one.ids[: min(8, len(one))]
    first, second = one.batch(ids), two.batch(ids)
    for name, x in first.fields.items():
        if isinstance(x, torch.Tensor):
            assert torch.equal(torch.nan_to_num(x.float()), torch.nan_to_num(second.fields[name].float())), "the same each time"
    for name, key in first.keys.items():
        assert torch.equal(torch.nan_to_num(key.float()), torch.nan_to_num(second.keys[name].float()))


def test_made_sets_are_listed_with_what_they_are_made_from() -> None:
    cards = {card["name"]: card for card in data.sets()}
    for entry in MADE:
        assert cards[entry.name]["origin"].startswith("made ")
        assert cards[entry.name]["title"]


def test_a_column_may_be_the_label_and_what_is_not_there_is_named() -> None:
    entry = next((e for e in MADE if e.here == "made" and e.classes), None)
    if entry is None:
        pytest.skip("no made set with classes is on this machine")
    found = data.load(f"{entry.name}[{LIMIT}]", columns={"again": "label"})
    assert torch.equal(found.columns["again"], found.columns["label"])
    with pytest.raises(DataError, match="has no column 'colour'"):
        data.load(f"{entry.name}[{LIMIT}]", label="colour")
