"""Trees of parts written to YAML and read again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.core import options
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, differences, from_plain, to_plain, use
from tests.core.test_options import Record, inner, loss


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_trusted", {"counterpoint", __name__.split(".")[0]})


words = st.text(alphabet="abcxyz", min_size=1, max_size=4)
leaves = st.none() | st.booleans() | st.integers(-99, 99) | st.floats(allow_nan=False, width=32) | words
inner_parts = st.builds(lambda share, name: use(inner, share=share, name=name), st.floats(0, 1), words)
values = st.recursive(
    leaves | inner_parts, lambda x: st.lists(x, max_size=3).map(tuple) | st.dictionaries(words, x, max_size=3), max_leaves=6
)
parts = st.builds(
    lambda t, w, i, a: use(loss, temperature=t, weights=tuple(w), inner=i, anything=a),
    st.floats(0.01, 10),
    st.lists(st.floats(-1, 1), max_size=3),
    st.none() | inner_parts,
    values,
)


@given(parts, st.dictionaries(words, values, max_size=3), st.lists(words, max_size=3))
def test_everything_survives_yaml(part: Part, more: dict[str, Any], names: list[str]) -> None:
    tree = Record(part, weight=0.5, names=tuple(names), more=more)
    back = from_plain(yaml.safe_load(yaml.safe_dump(to_plain(tree), sort_keys=False)))
    assert back == tree
    assert list(differences(tree, back)) == []


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    plain = to_plain(use(loss, temperature=np.float64(0.5)))
    assert yaml.safe_load(yaml.safe_dump(plain))["temperature"] == 0.5


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(OptionError, match=r"cannot be written to config\.yaml"):
        to_plain({"a": object()})


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"use": "os.system"}, "there is no"),
        ({"use": "tests.core.test_options.loss", "temperature": -1}, "float > 0"),
        ({"use": "tests.core.test_options.loss", "temprature": 1}, "did you mean"),
        ({"is": "tests.core.test_options.loss"}, "not a record"),
        ({"is": "tests.core.test_options.Record"}, "lacks 'part'"),
        ({"is": "tests.core.test_options.Record", "part": 3}, "it must be part"),
        ({"is": "tests.core.test_options.Record", "prat": 3}, "did you mean 'part'"),
    ],
)
def test_a_wrong_file_is_refused(plain: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        from_plain(plain)
    assert message in str(caught.value)
