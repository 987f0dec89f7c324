"""Parts, their checks, dotted paths, names and YAML."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pytest

from counterpoint.core import options
from counterpoint.core.errors import OptionError
from counterpoint.core.options import (
    Count,
    NotNegative,
    Part,
    Positive,
    Range,
    Share,
    Whole,
    check,
    describe,
    differences,
    get_at,
    name_of,
    parameters,
    resolve,
    set_at,
    to_plain,
    type_name,
    use,
)

if TYPE_CHECKING:
    from somewhere_else import Unimportable


def loss(
    scores: Unimportable,
    *,
    temperature: Positive = 0.1,
    summary: Literal["out", "in"] = "out",
    weights: tuple[float, ...] = (),
    inner: Part | None = None,
    count: Count = 1,
    anything: Any = None,
) -> tuple:
    """A loss.

    temperature: divides the scores;
        smaller is harder.
    summary: where the mean stands.
    """
    return scores, temperature, summary, weights, inner, count


def inner(*, share: Share = 0.5, name: str = "a") -> float:
    return share


class Network:
    def __init__(self, width: int, *, depth: Count = 2) -> None:
        self.width, self.depth = width, depth


@dataclass(frozen=True)
class Record:
    part: Part
    weight: float | Part = 1.0
    names: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_trusted", {"counterpoint", __name__.split(".")[0]})


# ---- ranges and checks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("range_", "inside", "outside", "text"),
    [
        (Range(0, open_low=True), [1e-9, 5, 1e300], [0, -1, math.inf], "> 0"),
        (Range(0), [0, 3], [-1e-9, math.inf, -math.inf], ">= 0"),
        (Range(0, 1), [0, 1, 0.5], [-0.1, 1.1], "in [0, 1]"),
        (Range(0, 1, open_low=True, open_high=True), [0.5], [0, 1], "in (0, 1)"),
    ],
)
def test_range(range_: Range, inside: list[float], outside: list[float], text: str) -> None:
    assert all(x in range_ for x in inside)
    assert not any(x in range_ for x in outside)
    assert str(range_) == text


GOOD = [
    (3, int), (0.5, float), (3, float), (1.0, Positive), (0, NotNegative), (1, Share), (1, Count), (0, Whole), (True, bool),
    ("a", str), (None, None), (None, int | None), ("out", Literal["out", "in"]), ((1, 2), tuple[int, ...]), ([1, 2], tuple[int, ...]),
    ((1, "a"), tuple[int, str]), ((), tuple[int, ...]), (["a"], Sequence[str]), ({"a": 1}, Mapping[str, int]), ({"a": 1}, dict[str, int]),
    (len, Callable[..., Any]), (object(), Any), (0.1, float | Part), (Part(loss), float | Part), (np.float64(0.5), float),
    (0.2, Annotated[float, Range(0, 1), "a remark"]),
]  # fmt: skip
BAD = [
    (True, int), (True, float), (3.0, int), ("3", int), (math.nan, float), (0, Positive), (-1, NotNegative), (1.01, Share), (0, Count),
    (-1, Whole), (1, bool), (1, str), (0, None), ("x", int | None), ("mid", Literal["out", "in"]), ((1, "a"), tuple[int, ...]),
    ((1,), tuple[int, str]), ("ab", Sequence[str]), ({"a": "b"}, Mapping[str, int]), ([1], dict[str, int]), (3, Callable[..., Any]),
    ("cosine", float | Part), (3, Part),
]  # fmt: skip


@pytest.mark.parametrize(("value", "hint"), GOOD)
def test_check_accepts(value: Any, hint: Any) -> None:
    check(value, hint, "here")


@pytest.mark.parametrize(("value", "hint"), BAD)
def test_check_refuses(value: Any, hint: Any) -> None:
    with pytest.raises(OptionError, match=r"^here = .* is not allowed; it must be ") as caught:
        check(value, hint, "here")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (Positive, "float > 0"),
        (Share, "float in [0, 1]"),
        (Count, "int >= 1"),
        (Literal["out", "in"], "'out' | 'in'"),
        (int | None, "int | none"),
        (float | Part, "float | part"),
        (tuple[str, ...], "tuple[str, ...]"),
        (Positive | Part, "float > 0 | part"),
        (tuple[Count, ...] | None, "tuple[int >= 1, ...] | none"),
        (Mapping[str, Share], "Mapping[str, float in [0, 1]]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (Any, "Any"),
    ],
)
def test_type_name(hint: Any, text: str) -> None:
    assert type_name(hint) == text


# ---- use ---------------------------------------------------------------------------------------------------------------


def test_a_part_calls_its_function_with_its_options() -> None:
    part = use(loss, temperature=0.5)
    assert part("s") == ("s", 0.5, "out", (), None, 1)
    assert part("s", summary="in")[2] == "in"
    assert part.effective()["count"] == 1
    assert part.effective()["temperature"] == 0.5
    network = use(Network, depth=3)(8)
    assert (network.width, network.depth) == (8, 3)


def test_use_of_a_part_adds_options() -> None:
    assert use(use(loss, temperature=0.5), count=2) == use(loss, temperature=0.5, count=2)


def test_a_part_prints_as_it_is_written() -> None:
    assert repr(use(loss, temperature=0.5, inner=use(inner))) == f"use({__name__}.loss, temperature=0.5, inner=use({__name__}.inner))"


def test_lists_become_tuples() -> None:
    assert use(loss, weights=[1.0, 2.0]) == use(loss, weights=(1.0, 2.0))
    assert use(loss, anything=[[1], [2]]).options["anything"] == ((1,), (2,))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temprature": 1.0}, "has no option 'temprature'; did you mean 'temperature'"),
        ({"scores": 1.0}, "has no option 'scores'"),
        ({"temperature": 0.0}, "temperature = 0.0 is not allowed; it must be float > 0"),
        ({"summary": "mean"}, "it must be 'out' | 'in'"),
        ({"count": 1.5}, "it must be int >= 1"),
        ({"weights": "abc"}, "it must be tuple"),
    ],
)
def test_use_checks_at_once(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        use(loss, **wrong)
    assert message in str(caught.value)
    assert "loss" in str(caught.value)


def test_only_keywords_are_options() -> None:
    assert list(parameters(loss)) == ["temperature", "summary", "weights", "inner", "count", "anything"]
    assert list(parameters(Network)) == ["depth"]


def test_annotations_of_what_it_works_on_are_not_evaluated() -> None:
    """`scores: Unimportable` is imported for type checkers only; the options are checked all the same."""
    assert use(loss, temperature=1).options == {"temperature": 1}


def test_describe() -> None:
    rows = {name: rest for name, *rest in describe(loss)}
    assert rows["temperature"] == ["float > 0", 0.1, "divides the scores; smaller is harder."]
    assert rows["summary"] == ["'out' | 'in'", "out", "where the mean stands."]
    assert rows["count"] == ["int >= 1", 1, ""]


def test_several_options_on_a_line() -> None:
    def measure(data: Any, *, items: int = 3, kind: str = "", seed: int = 0, why: str = "") -> None:
        """How much.

        data: what.   items: how many; note: at most ten.   kind: of the data,
        or none.   seed: of all.

        why: because.
        It ends here.
        """

    told = {name: sentence for name, _, _, sentence in describe(measure)}
    assert told == {"items": "how many; note: at most ten.", "kind": "of the data, or none.", "seed": "of all.", "why": "because."}


# ---- names -------------------------------------------------------------------------------------------------------------


def test_names_lead_back() -> None:
    for make in (options.use, options.Part, loss, Network):
        assert resolve(name_of(make)) is make
    assert name_of(options.use) == "core.options.use"


def test_a_part_is_named_as_it_is_written() -> None:
    from counterpoint import losses, views

    assert name_of(losses.info_nce) == "losses.info_nce"  # not losses.info_nce.info_nce, which is its file
    assert name_of(views.image.simclr) == "views.image.simclr"
    assert resolve("losses.info_nce") is resolve("losses.info_nce.info_nce") is losses.info_nce


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("core.options.usee", "did you mean 'use'"),
        ("core.optionz.use", "there is no 'core.optionz.use'"),
        ("os.system", "there is no 'os.system'"),
        ("core.options.importlib.import_module", "not a function of counterpoint"),
        ("core.options.UNSET", "there is no"),
        ("core.options.math.pi", "not a function of counterpoint"),
        ("core options", "not the dotted name"),
        ("", "not the dotted name"),
        ("a..b", "not the dotted name"),
        (3, "not the dotted name"),
    ],
)
def test_resolve_refuses(name: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        resolve(name)
    assert message in str(caught.value)


def test_only_trusted_packages_are_found() -> None:
    with pytest.raises(OptionError, match="there is no"):
        resolve("subprocess.run")
    options.trust("subprocess")
    assert callable(resolve("subprocess.run"))


def test_a_missing_dependency_inside_a_module_is_not_hidden(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "house_outside.py").write_text("import surely_not_installed\n")
    monkeypatch.syspath_prepend(tmp_path)
    options.trust("house_outside")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        resolve("house_outside.thing")


# ---- dotted paths ------------------------------------------------------------------------------------------------------


TREE = Record(use(loss, inner=use(inner, share=0.25)), names=("a", "b"), more={"x": use(inner), "n": 3})


@pytest.mark.parametrize(
    ("path", "value"),
    [("part.temperature", 0.1), ("part.inner.share", 0.25), ("weight", 1.0), ("names.1", "b"), ("more.x.name", "a"), ("more.n", 3)],
)
def test_get_at(path: str, value: Any) -> None:
    assert get_at(TREE, path) == value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("part.temprature", "part has no 'temprature'; did you mean 'temperature'?"),
        ("prat", "the recipe has no 'prat'; did you mean 'part'?"),
        ("names.7", "names has no '7'"),
        ("more.n.x", "more.n has no 'x'"),
    ],
)
def test_get_at_refuses(path: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        get_at(TREE, path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("part.temperature", 0.7),
        ("part.inner.share", 1),
        ("part.inner", None),
        ("weight", 2.0),
        ("names.0", "z"),
        ("more.n", 4),
        ("more.x", use(inner, name="b")),
        ("part", use(inner)),
    ],
)
def test_set_at_changes_one_place_in_a_copy(path: str, value: Any) -> None:
    before = to_plain(TREE)
    changed = set_at(TREE, path, value)
    assert get_at(changed, path) == value
    assert to_plain(TREE) == before
    moved = set(differences(TREE, changed))
    assert moved
    assert all(m == path or m.startswith(f"{path}.") for m in moved)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("part.temprature", 1.0, "did you mean 'temperature'"),
        ("part.temperature", -1.0, "it must be float > 0"),
        ("part.temperature.x", 1.0, "nothing inside it can be set"),
        ("part.inner.share", 2.0, "it must be float in [0, 1]"),
        ("weight", "heavy", "it must be float | part"),
        ("more.new", 3, "there is no 'new'"),
        ("names.5", "q", "there is no '5'"),
        ("part", "core.options.usee", "did you mean 'use'"),
    ],
)
def test_set_at_refuses(path: str, value: Any, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        set_at(TREE, path, value)
    assert message in str(caught.value)


def test_a_word_where_a_part_stands_is_its_name() -> None:
    name = name_of(inner)
    assert set_at(TREE, "part", name).part == use(inner)
    assert set_at(TREE, "part.inner", name).part.options["inner"] == use(inner)
    empty = Record(use(loss))  # the option is None: only its annotation says that a part belongs there
    assert set_at(empty, "part.inner", name).part.options["inner"] == use(inner)
    assert set_at(TREE, "part.inner.name", name).part.options["inner"].options["name"] == name  # a word stays a word


def test_a_dictionary_with_use_is_a_part() -> None:
    changed = set_at(TREE, "part.inner", {"use": name_of(inner), "share": 0.75})
    assert changed.part.options["inner"] == use(inner, share=0.75)


def test_lists_from_yaml_become_tuples() -> None:
    assert set_at(TREE, "names", ["x", "y"]).names == ("x", "y")
    assert set_at(TREE, "part.weights", [1.0]).part.options["weights"] == (1.0,)


def test_a_record_may_be_added_to_a_mapping() -> None:
    tree = {"first": TREE}
    assert set_at(tree, "second", TREE) == {"first": TREE, "second": TREE}


# ---- differences -------------------------------------------------------------------------------------------------------


def test_no_difference_between_a_default_and_the_same_value_written() -> None:
    assert list(differences(use(loss), use(loss, temperature=0.1))) == []


@pytest.mark.parametrize(
    ("first", "second", "paths"),
    [
        (use(loss), use(loss, temperature=0.2), ["temperature"]),
        (use(loss), use(inner), [""]),
        ({"a": use(loss)}, {"a": use(inner)}, ["a"]),
        ({"a": 1}, {"b": 1}, ["a", "b"]),
        (("a",), ("a", "b"), ["1"]),
        (use(loss), use(loss, inner=use(inner)), ["inner"]),
        (use(loss, inner=use(inner)), use(loss, inner=use(inner, share=0.1)), ["inner.share"]),
        (Record(use(loss)), Record(use(loss), weight=use(inner)), ["weight"]),
        (1, 1.5, [""]),
    ],
)
def test_differences(first: Any, second: Any, paths: list[str]) -> None:
    assert list(differences(first, second)) == paths
    assert sorted(differences(second, first)) == sorted(paths)
