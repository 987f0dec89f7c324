from __future__ import annotations

from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Progress, Rows
from counterpoint.encoders import queue


def rows(start: int, count: int, **keys: torch.Tensor) -> Rows:
    item = torch.arange(start, start + count)
    return Rows(item.float()[:, None].expand(count, 2).clone(), {"item": item, **keys}, roles=("global", "global"))


def content(memory: queue.Queue) -> list[int]:
    """Items from oldest to newest."""
    out = memory()
    items = out.keys["item"].roll(-int(memory.head))
    vectors = out.z[:, 0].roll(-int(memory.head))
    known = items >= 0
    assert torch.equal(items[known].float(), vectors[known])
    return items[known].tolist()


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 9), counts=st.lists(st.integers(0, 12), max_size=6))
def test_holds_the_newest_rows_in_order(size: int, counts: list[int]) -> None:
    memory = queue.fifo(2, size=size)
    expected: deque[int] = deque(maxlen=size)
    start = 0
    for count in counts:
        memory.after_update({"teacher": rows(start, count)}, Progress())
        expected.extend(range(start, start + count))
        start += count
        assert content(memory) == list(expected)
        assert int(memory.filled) == len(expected)


def test_is_random_directions_of_unknown_items_at_first() -> None:
    out = queue.fifo(8, size=5)()
    assert out.shared and out.keys["item"].tolist() == [-1] * 5
    torch.testing.assert_close(out.z.norm(dim=1), torch.ones(5))


def test_chunks_are_put_back_into_the_order_of_views() -> None:
    memory = queue.fifo(2, size=8)
    whole = rows(0, 6, view=torch.tensor([0, 0, 1, 1, 0, 1]))
    memory.after_update({"teacher": whole}, Progress())
    assert content(memory) == [0, 1, 4, 2, 3, 5]


def test_further_keys_and_chosen_views_are_stored() -> None:
    memory = queue.fifo(2, size=4, source="z", views=(1,), keys=("label",))
    label = torch.tensor([5, 6, 7, 8])
    memory.after_update({"z": rows(0, 4, view=torch.tensor([0, 1, 0, 1]), label=label)}, Progress())
    assert memory().keys["item"][:2].tolist() == [1, 3] and memory().keys["label"][:2].tolist() == [6, 8]


def test_rows_given_out_do_not_change_afterwards() -> None:
    memory = queue.fifo(2, size=3)
    given_out = memory()
    before = given_out.z.clone()
    memory.after_update({"teacher": rows(0, 3)}, Progress())
    assert torch.equal(given_out.z, before) and given_out.keys["item"].tolist() == [-1] * 3


def test_survives_its_state() -> None:
    memory, other = queue.fifo(2, size=5), queue.fifo(2, size=5)
    memory.after_update({"teacher": rows(0, 7)}, Progress())
    other.load_state_dict(memory.state_dict())
    for one in (memory, other):
        one.after_update({"teacher": rows(7, 2)}, Progress())
    assert content(memory) == content(other) == [4, 5, 6, 7, 8]


def test_a_missing_key_is_named() -> None:
    with pytest.raises(RequirementError, match="key 'label' and the rows of 'teacher' have none"):
        queue.fifo(2, size=3, keys=("label",)).after_update({"teacher": rows(0, 2)}, Progress())
    with pytest.raises(RequirementError, match="no space 'teacher'"):
        queue.fifo(2, size=3).after_update({"z": rows(0, 2)}, Progress())
