"""Numbers, scores and verdicts as a reader would say them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.report import words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.5, "0.500"), (1, "1"), (12345, "12,345"), (1234.5, "1,234"), (0.00123, "0.00123"), (-2.5, "−2.50"),
        (3.2e-7, "3.20e−7"), (2.5e9, "2,500,000,000"),

        (None, "–"), (math.nan, "–"), (math.inf, "–"), (True, "–"), ("7", "–"), ({"mean": 0.25, "std": 0.1}, "0.250"),
    ],
)  # fmt: skip
def test_number(value: object, shown: str) -> None:
    assert words.number(value) == shown


@given(st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=4)))
def test_number_never_fails(value: object) -> None:
    assert words.number(value)
    assert words.score("knn", value)
    assert words.duration(value)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("knn", 0.9754, "97.5%"), ("knn", {"mean": 0.9754, "std": 0.004}, "97.5% ± 0.4"), ("nmi", 0.4314, "0.431"),
        ("uniformity", -3.424, "−3.42"),
        ("effective_rank", 48.93, "48.9"), ("knn", None, "–"), ("something new", 0.25, "0.250"),
    ],
)  # fmt: skip
def test_score(name: str, value: object, shown: str) -> None:
    assert words.score(name, value) == shown


def test_best_is_the_highest_where_higher_is_better() -> None:
    assert words.best("knn", {"trained": 0.9, "raw": 0.8, "pca": None}) == {"trained"}
    assert words.best("knn", {"trained": 0.7, "raw": 0.8}) == {"raw"}
    assert words.best("knn", {"trained": 0.8, "raw": 0.8}) == set()
    assert words.best("uniformity", {"trained": -3.0, "raw": -1.0}) == set()
    assert words.best("knn", {"trained": math.nan}) == set()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0.4 s"), (42, "42 s"), (75, "1 min 15 s"), (3700, "1 h 1 min"), (-1, "–"), (None, "–"), (59.7, "1 min 0 s")],
)
def test_duration(seconds: object, shown: str) -> None:
    assert words.duration(seconds) == shown


def test_short_keeps_one_printable_line() -> None:
    assert words.short("a\n\tb\x1b[31m\x00c") == "a b [31m c"
    assert words.short("x" * 100, 10) == "x" * 9 + "…"


def test_verdict() -> None:
    assert words.verdict({"verdict": "healthy"})[1] == "Healthy"
    assert words.verdict({"verdict": "<b>"})[0] == words.verdict(None)[0] == "unknown"
