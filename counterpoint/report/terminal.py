"""Scores and verdict of a run as a terminal shows them, at 80 columns."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from counterpoint.report import facts, words

SIGNS = {"healthy": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("×", "red"), "unknown": ("?", "dim")}


def score_table(evaluation: dict[str, Any]) -> Table:
    """Scores below each other, arms beside each other, the trained encoder first; the best of a row is bold. Means without their ±.

    evaluation: what evaluation.json holds.
    """
    arms = facts.arms(evaluation)
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1))
    table.add_column("score", no_wrap=True)
    for i, arm in enumerate(arms):
        table.add_column(Text(words.short(words.arm(arm), 20).lower()), justify="right", no_wrap=True, style="cyan" if i == 0 else "")
    for name in facts.score_names(arms):
        values = {arm: scores.get(name) for arm, scores in arms.items()}
        best, about = words.best(name, values), words.metric(name)
        title = Text(words.short(about.title, 26)) + Text(" ↑" if about.better > 0 else " ↓" if about.better < 0 else "", "dim")
        table.add_row(title, *(Text(words.score(name, words.real(v)), "bold" if arm in best else "") for arm, v in values.items()))
    return table


def verdict(health: dict[str, Any]) -> RenderableType:
    """The verdict in words, and each finding with its likely cause and what to try.

    health: what health.json holds.
    """
    told = facts.verdict(health)
    sign, colour = SIGNS[told["kind"]]
    lines: list[RenderableType] = [Text.assemble((f"{sign} {told['word']}", f"bold {colour}"), f"  {told['sentence']}")]
    for one in told["findings"]:
        tone = SIGNS[one["severity"]][1]
        found = Table.grid(padding=(0, 2))
        found.add_column(style="dim", no_wrap=True)
        found.add_column()
        found.add_row(Text(one["name"], tone), Text(one["what"]))
        for name, text in (("cause", one["cause"]), ("try", one["advice"])):
            if text:
                found.add_row(name, Text(text))
        lines.append(Padding(found, (1, 0, 0, 2)))
    return Group(*lines)
