"""A comparison: equal budget, one table, a paired test, a page that opens offline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counterpoint.core.errors import MethodError, OptionError
from counterpoint.report import comparison
from counterpoint.run import trials
from counterpoint.run.compare import compare


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    return (rng.normal(size=(90, 8)) + y[:, None]).astype(np.float32), y


def test_methods_are_compared_with_every_seed_at_equal_budget(rows: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    x, y = rows
    said: list[str] = []
    result = compare(x, ["simclr", "dcl", "simclr"], seeds=2, label=y, epochs=2, batch=24, out=tmp_path / "c", say=said.append)
    assert list(result["methods"]) == ["simclr", "dcl"], "a method named twice is run once"
    assert len(said) == 4
    assert result["metric"] == "knn"
    assert len(set(map(tuple, result["steps"].values()))) == 1, "equal budgets are equal steps"
    assert result["best"] in result["methods"]
    other = next(slug for slug in result["methods"] if slug != result["best"])
    means = {slug: figures["knn"]["mean"] for slug, figures in result["methods"].items()}
    assert result["tests"] == {other: result["tests"][other]}
    assert result["tests"][other]["mean"] == pytest.approx(means[result["best"]] - means[other])
    assert json.loads((tmp_path / "c" / "comparison.json").read_text())["best"] == result["best"]
    page = (tmp_path / "c" / "comparison.html").read_text()
    assert page.count("<circle") == 2 * 2 + 3 * 2, "a dot for each seed of each method and reference"
    assert "http" not in page.replace("http-equiv", ""), "the page fetches nothing"


def test_without_labels_a_label_free_figure_decides(rows: tuple[np.ndarray, np.ndarray]) -> None:
    result = compare(rows[0], ["simclr"], seeds=1, epochs=1, batch=24)
    assert result["metric"] == "silhouette"
    assert result["tests"] == {}
    text = comparison.page(result)
    assert "1 method compared" in text


def test_names_are_escaped_on_the_page(rows: tuple[np.ndarray, np.ndarray]) -> None:
    result = compare(rows[0], ["simclr"], seeds=1, epochs=1, batch=24)
    result["methods"] = {"<script>x</script>": result["methods"].pop("simclr")}
    for key in ("seconds", "steps"):
        result[key] = {"<script>x</script>": result[key]["simclr"]}
    result["data"] = "<img src=x>"
    text = comparison.page(result)
    assert "<script>" not in text
    assert "<img" not in text


def test_mistakes_are_told_before_anything_is_trained(rows: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(MethodError, match="did you mean 'simclr'"):
        compare(rows[0], ["simclrr"])
    with pytest.raises(OptionError, match="needs the names of methods"):
        compare(rows[0], [])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(OptionError, match="not an empty folder"):
        compare(rows[0], ["simclr"], out=tmp_path / "full")
    said: list[str] = []
    with pytest.raises(OptionError, match="simclr has no finite figure 'speed'"):
        compare(rows[0], ["simclr", "dcl"], seeds=2, epochs=1, batch=24, metric="speed", say=said.append)
    assert said == [], "the first trial tells, not the last"


def test_a_method_that_diverges_stands_in_the_table_without_a_figure(
    rows: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = trials.figures
    made: list[dict[str, float]] = []

    def all_but_the_last(judged: Any, protocol: str, options: Any) -> dict[str, float]:
        made.append(measured(judged, protocol, options))
        return made[-1] if len(made) < 4 else {}

    monkeypatch.setattr(trials, "references", lambda run, judged: {})
    monkeypatch.setattr(trials, "figures", all_but_the_last)
    result = compare(rows[0], ["simclr", "dcl"], seeds=2, label=rows[1], epochs=1, batch=24)
    assert result["best"] == "simclr"
    assert result["tests"] == {}
    assert "—" in comparison.page(result)
    assert comparison.terminal(result).row_count == 2
