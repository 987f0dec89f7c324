"""Charts: what is drawn is what was given, gaps and single points included."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterpoint.report.charts import HEIGHT, MOST_POINTS, WIDTH, Chart, Line, histogram, lines, nice, spectrum

FLOATS = st.one_of(st.floats(), st.none())


def drawn(chart: Chart | None) -> ElementTree.Element:
    assert chart is not None
    return ElementTree.fromstring(str(chart.svg))


def numbers(path: str) -> np.ndarray:
    return np.array(re.findall(r"[-\d.]+", path), float).reshape(-1, 2)


@given(st.floats(-1e12, 1e12), st.floats(0, 1e12))
def test_nice_ticks_hold_the_range(low: float, span: float) -> None:
    ticks = nice(low, low + span)
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    slack = 1e-6 * max(abs(low), span) + 1e-100
    assert ticks[0] <= low + slack and ticks[-1] >= low + span - slack


def test_a_line_goes_where_its_values_are() -> None:
    chart = lines("Loss", [0, 1, 2], [Line("loss", [3.0, 2.0, 1.0]), Line("chance", [3.0, 3.0, 3.0], "chance")])
    assert chart is not None
    places = {p.get("class"): numbers(p.get("d", "")) for p in drawn(chart).iter("path")}
    xs, ys = places["line main"].T
    assert np.all(np.diff(xs) > 0) and np.all(np.diff(ys) > 0)  # down in value is down on the page
    assert np.ptp(places["line chance"][:, 1]) == 0
    assert ys[0] == places["line chance"][0, 1]
    assert abs((ys[1] - ys[0]) - (ys[2] - ys[1])) < 0.11
    assert "3 at first, 1 at step 2" in chart.sentence
    assert chart.hover["rows"][0] == ["loss", ["3", "2", "1"]]
    assert chart.legend == [("main", "loss"), ("chance", "chance")]


def test_values_that_are_not_finite_are_gaps_and_counted() -> None:
    chart = lines("Loss", [0, 1, 2, 3, 4], [Line("loss", [1.0, 2.0, math.nan, None, 3.0])])
    assert chart is not None
    path = next(p.get("d", "") for p in drawn(chart).iter("path"))
    assert path.count("M") == 2 and path.count("L") == 1
    assert len(list(drawn(chart).iter("circle"))) == 1  # the value after the gap stands alone
    assert chart.note.startswith("2 values not finite")
    assert chart.hover["y"][0][2] is None


def test_one_step_is_a_point() -> None:
    assert len(list(drawn(lines("Loss", [1], [Line("loss", [2.0])])).iter("circle"))) == 1


def test_nothing_known_draws_nothing() -> None:
    assert lines("Loss", [], [Line("loss", [])]) is None
    assert lines("Loss", [1, 2], [Line("loss", [math.nan, None])]) is None
    assert histogram("At step 1", [0, 1], [Line("positives", [0.0])]) is None
    assert histogram("At step 1", [0, 1], [Line("positives", [1.0, 2.0])]) is None  # edges of another length
    assert spectrum("Spectrum", [0.0, math.nan], "") is None


def test_long_runs_are_thinned_with_a_band_from_lowest_to_highest() -> None:
    values = np.sin(np.arange(10_000) / 3)
    chart = lines("Loss", range(10_000), [Line("loss", values.tolist())])
    assert chart is not None
    places = {p.get("class"): numbers(p.get("d", "").replace("Z", "")) for p in drawn(chart).iter("path")}
    assert len(places["line main"]) == MOST_POINTS
    assert np.ptp(places["band main"][:, 1]) > 3 * np.ptp(places["line main"][:, 1])
    assert len(chart.svg) < 40_000


@given(st.lists(st.tuples(FLOATS, FLOATS, FLOATS), max_size=20))
def test_lines_stay_inside_whatever_comes(rows: list[tuple[float | None, float | None, float | None]]) -> None:
    columns = list(zip(*rows)) or [(), (), ()]
    chart = lines("Loss", columns[0], [Line("a", columns[1]), Line("b", columns[2], "chance")])
    if chart is None:
        return
    for path in drawn(chart).iter("path"):
        d = path.get("d", "")
        assert "nan" not in d and "inf" not in d
        if d:
            places = numbers(d.replace("Z", ""))
            assert places.min() >= -1 and places[:, 0].max() <= WIDTH + 1 and places[:, 1].max() <= HEIGHT + 1


def test_histogram_heights_are_shares() -> None:
    chart = histogram("At step 1", [-1, 0, 1], [Line("positives", [0, 30]), Line("negatives", [5, 5], "second")])
    assert chart is not None
    assert chart.hover["rows"] == [["positives", ["0.0%", "100.0%"]], ["negatives", ["50.0%", "50.0%"]]]
    assert chart.hover["head"] == ["−1.00 to 0.00", "0.00 to 1.00"]
    assert "positives: around 0.50" in chart.sentence


def test_spectrum_falls() -> None:
    chart = spectrum("Singular values", [100.0, 10.0, 1.0, 0.0], "words")
    assert chart is not None
    ys = chart.hover["y"][0]
    assert len(ys) == 3 and abs((ys[1] - ys[0]) - (ys[2] - ys[1])) < 0.11  # powers of ten are evenly apart
    assert len(list(drawn(spectrum("Singular values", [2.0], "words")).iter("circle"))) == 1


@pytest.mark.parametrize("name", ["</svg><script>alert(1)</script>", '" onload="alert(1)', "&lt;"])
def test_names_are_escaped(name: str) -> None:
    chart = lines(name, [0, 1], [Line(name, [1, 2])])
    assert chart is not None
    assert name in (drawn(chart).get("aria-label") or "")  # one attribute, read back whole
    assert "<script" not in chart.svg
