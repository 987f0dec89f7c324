"""Classes become codes with names, numbers stay numbers, unknown is −1 or NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.core.errors import LabelError
from counterpoint.data.columns import Raw, encode


def label(values: Any, known: Any = None, codes: bool = False, names: Any = None) -> tuple[list[float], Any]:
    made, words = encode("label", Raw(values, names, codes=codes), len(values), known)
    return made.tolist(), words


@pytest.mark.parametrize(
    ("values", "codes", "names"),
    [
        (["b", "a", None, "b"], [1, 0, -1, 1], ["a", "b"]),
        (["10", "9", "", " "], [0, 1, -1, -1], ["10", "9"]),
        ([10, 9, 10], [1, 0, 1], ["9", "10"]),
        (np.array([-1, 1, 1]), [0, 1, 1], ["-1", "1"]),
        ([1.0, np.nan, 3.0], [0, -1, 1], ["1", "3"]),
        ([True, False, True], [1, 0, 1], ["false", "true"]),
        (np.array(["x", "y"], dtype=object), [0, 1], ["x", "y"]),
        (torch.tensor([5, 5, 2]), [1, 1, 0], ["2", "5"]),
        (pa.chunked_array([["q"], ["p", None]]), [1, 0, -1], ["p", "q"]),
        (pa.array(["u", "v", "u"]).dictionary_encode(), [0, 1, 0], ["u", "v"]),
        (np.array([[3], [4]]), [0, 1], ["3", "4"]),
        ([None, None], [-1, -1], []),
    ],
)
def test_classes(values: Any, codes: list[int], names: list[str]) -> None:
    assert label(values) == (codes, names)


def test_minus_one_among_codes_is_unknown_and_among_values_a_class() -> None:
    assert label(np.array([0, 1, 2, -1]), codes=True)[0] == [0, 1, 2, -1]
    assert label(np.array([0, 1, 2, -1]), codes=False)[0] == [1, 2, 3, 0]
    assert label(np.array([-1, 1]), codes=True)[0] == [0, 1]  # two classes, as in the ECG sets of the UCR archive


def test_codes_with_names() -> None:
    assert label(np.array([2, 0, -1]), names=("zero", "one", "two")) == ([2, 0, -1], ["zero", "one", "two"])
    with pytest.raises(LabelError, match="code 3 and has 3 class names"):
        label(np.array([3, 0]), names=("zero", "one", "two"))


def test_names_known_from_training_keep_their_codes() -> None:
    assert label(["dog", "emu", "cat"], known=["cat", "dog"]) == ([1, 2, 0], ["cat", "dog", "emu"])


def test_other_columns_keep_their_numbers() -> None:
    whole, names = encode("time", Raw([7, None, 3]), 3)
    assert (whole.tolist(), whole.dtype, names) == ([7, -1, 3], torch.int64, None)
    real, names = encode("age", Raw([1.5, np.nan]), 2)
    assert real.dtype == torch.float32
    assert real[0] == 1.5
    assert torch.isnan(real[1])
    words, names = encode("site", Raw(["n", "m"]), 2)
    assert (words.tolist(), names) == ([1, 0], ["m", "n"])


@given(st.lists(st.one_of(st.none(), st.text(min_size=1, max_size=4)), min_size=1, max_size=30))
def test_codes_name_what_was_given(values: list[str | None]) -> None:
    codes, names = encode("group", Raw(values), len(values))
    assert names == sorted(names)
    for value, code in zip(values, codes.tolist()):
        assert (code == -1) == (value is None or not value.strip())
        if code >= 0:
            assert names[code] == value


def test_what_is_no_column() -> None:
    with pytest.raises(LabelError, match="one value an item"):
        label(np.eye(3))
    with pytest.raises(LabelError, match="must be words or numbers"):
        label([[1, 2], [3]])
    with pytest.raises(LabelError, match="must be words or numbers"):
        label(pa.array([{"a": 1}, {"a": 2}]))
