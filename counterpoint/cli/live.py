"""What `fit` prints while it works: what it understood, one moving line of progress, the scores, where the report lies."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Live:
    """On a terminal a bar that moves; otherwise a plain line now and then. Loss stands beside its chance level."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet or os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) != "0"  # one process speaks for all
        self.console = Console(highlight=False)
        self.bar: Progress | None = None
        self.task: Any = None
        self.last = 0.0
        self.looked: dict[str, Any] = {}  # the latest look at the embeddings; not every line has one

    def __enter__(self) -> Live:
        if not self.quiet and self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=16),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
            )
            self.bar = Progress(*columns, console=self.console, transient=False, expand=False)
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def say(self, text: str) -> None:
        if not self.quiet:
            self.console.print(text, markup=False, soft_wrap=True)
            sys.stdout.flush()

    def step(self, run: Any, line: dict[str, Any]) -> None:
        """A logged step."""
        if self.quiet:
            return
        finite = line["loss"] is not None and math.isfinite(line["loss"])
        self.looked = {k: line[k] for k in ("spread", "effective_rank") if k in line} or (self.looked if finite else {})
        figures = figures_of({**self.looked, **line})
        if self.bar is not None:
            if self.task is None:
                self.task = self.bar.add_task("training", total=run.now.steps, figures=figures)
            self.bar.update(self.task, completed=line["step"], figures=figures, description=f"epoch {line['epoch']}/{run.now.epochs}")
        elif time.monotonic() - self.last > 15 or run.finished:
            self.last = time.monotonic()
            left = run.spent / line["step"] * (run.now.steps - line["step"])
            self.say(f"step {line['step']}/{run.now.steps}  {figures}  {left:.0f} s left")

    def end(self, run: Any) -> None:
        """The scores and the verdict of a finished run."""
        if self.quiet:
            return
        folder = run.folder
        if not (folder / "model.json").exists():
            self.say(f"paused; continue with: counterpoint fit --resume {folder}")
            return
        from counterpoint.report.terminal import score_table, verdict

        scores = folder / "evaluation.json"
        if scores.exists():
            result = json.loads(scores.read_text(encoding="utf-8"))
            self.console.print(score_table(result))
            self.console.print(result["protocol"], style="dim", markup=False)
        self.console.print(verdict(json.loads((folder / "health.json").read_text(encoding="utf-8"))))
        self.say(f"report: {folder / 'report.html'}" if (folder / "report.html").exists() else f"run: {folder}")


def figures_of(line: dict[str, Any]) -> str:
    """loss 3.41 (chance 6.23)  spread 0.98  rank 61  12,300 items/s"""
    pieces = [f"loss {line['loss']:.3f}" + (f" (chance {line['chance']:.2f})" if line.get("chance") is not None else "")]
    if line.get("spread") is not None:
        pieces += [f"spread {line['spread']:.2f}", f"rank {line['effective_rank']:.0f}"]
    return "  ".join([*pieces, f"{line['items_per_second']:,.0f} items/s"])
