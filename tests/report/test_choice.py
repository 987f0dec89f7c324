"""The choice of views in the report: reasons, figures, and records that are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from counterpoint.report.choice import views_chosen
from counterpoint.report.folder import Folder


def said(record: Any) -> list[dict[str, Any]]:
    return views_chosen(Folder(Path(), [], config={"views_chosen": record}))


def test_a_named_choice_says_its_reason() -> None:
    (one,) = said({"x": {"name": "digits", "why": "No flip."}})
    assert one["why"] == "Views 'digits'. No flip." and one["rows"] == [] and one["modality"] == ""


def test_what_was_measured_is_a_table() -> None:
    rows = [
        {"name": "weak", "least_recognised": 0.987, "kept": 1},
        {"name": "strong", "least_recognised": 0.5},
    ]
    one, two = said({"a": {"name": "strong", "why": "w", "measured": rows}, "b": {"name": "weak", "why": "v"}})
    assert one["why"] == "W." and [title for title, _ in one["columns"]] == ["Recognised"]
    assert [(r["name"], r["taken"], r["cells"]) for r in one["rows"]] == [("weak", False, ["0.99"]), ("strong", True, ["0.50"])]
    assert (one["modality"], two["modality"]) == ("a", "b")


@pytest.mark.parametrize("record", [None, 3, "auto", [], {"x": 3}, {"x": {"measured": 4}}, {"x": {"measured": [1, {"name": {}}]}}])
def test_a_broken_record_is_no_error(record: Any) -> None:
    assert isinstance(said(record), list)
