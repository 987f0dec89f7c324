from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Progress, Rows, View
from counterpoint.encoders import queue
from counterpoint.encoders.stacking import frame


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


def test_rows_are_written_where_they_stay() -> None:
    """A long memory is not copied for a few new rows, and the gradient of a step that read it is there before it moves."""
    memory = queue.fifo(2, size=3)
    given_out, anchors = memory(), torch.randn(4, 2, requires_grad=True)
    before = given_out.z.clone()
    (anchors @ given_out.z.T).sum().backward()
    assert torch.allclose(anchors.grad, before.sum(0).expand(4, 2))
    places = [b.data_ptr() for b in memory.buffers()]
    memory.after_update({"teacher": rows(0, 2)}, Progress())
    assert [b.data_ptr() for b in memory.buffers()] == places
    assert given_out.z is memory.vectors and given_out.keys["item"].tolist() == [0, 1, -1]


def test_rows_that_are_known_to_stand_in_order_are_not_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    items = torch.tensor([7, 3, 5])
    views = [View("global", {}, {"item": items}) for _ in range(2)]
    monkeypatch.setattr(torch, "argsort", None)
    memory = queue.fifo(2, size=5)
    memory.after_update({"teacher": replace(frame(views), z=torch.randn(6, 2))}, Progress())
    assert memory().keys["item"].tolist() == [3, 5, 7, 3, 5]
    with pytest.raises(TypeError):
        memory.after_update({"teacher": replace(frame(views[:1] * 2, [1, 0]), z=torch.randn(6, 2))}, Progress())


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
