"""What a terminal of 80 columns shows."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType

from counterpoint.report.terminal import score_table, verdict


def printed(what: RenderableType, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


SCORES: dict[str, Any] = {
    "protocol": "held out",
    "scores": {
        "raw": {"knn": 0.9364, "nmi": 0.49, "uniformity": -1.0},
        "trained": {"knn": 0.9754, "nmi": 0.81, "uniformity": -3.5, "alignment": 0.2},
        "untrained": {"knn": 0.91, "nmi": float("nan"), "uniformity": -0.2, "alignment": 0.1},
        "pca": {"knn": 0.941, "nmi": 0.5, "uniformity": -1.2},
    },
}


def test_scores_fit_80_columns() -> None:
    text = printed(score_table(SCORES))
    rows = [line.split() for line in text.splitlines() if line.strip()]
    assert max(map(len, text.splitlines())) <= 80
    assert rows[0] == ["score", "trained", "untrained", "pca", "raw", "input"]
    assert ["kNN", "accuracy", "↑", "97.5%", "91.0%", "94.1%", "93.6%"] in rows
    assert ["NMI", "↑", "0.810", "–", "0.500", "0.490"] in rows
    assert ["Alignment", "0.200", "0.100", "–", "–"] in rows
    assert "…" not in text


def test_no_scores() -> None:
    assert "score" in printed(score_table({}))


def test_healthy_is_one_line() -> None:
    text = printed(verdict({"verdict": "healthy", "findings": []}))
    assert text.count("\n") == 1 and text.startswith("✓ Healthy")


def test_findings_say_cause_and_advice_and_no_markup_is_read() -> None:
    finding = {
        "name": "collapse",
        "severity": "failed",
        "what": "[red]all alike[/red]",
        "cause": "lr\x1b[31m",
        "advice": "lower [lr] " + "word " * 40,
    }
    text = printed(verdict({"verdict": "failed", "findings": [finding]}))
    assert max(map(len, text.splitlines())) <= 80
    assert "× Failed" in text and "[red]all alike[/red]." in text and "Lower [lr]" in text and "\x1b" not in text
    assert printed(verdict({})).startswith("? No verdict")
