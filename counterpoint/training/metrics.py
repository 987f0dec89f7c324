"""metrics.jsonl: a line every few steps, kept in memory too; written so that a resumed run continues the file without repeats."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoint.core.errors import OutputError
from counterpoint.training import distributed, health

if TYPE_CHECKING:
    from counterpoint.training.loop import Training


NAME = "metrics.jsonl"
LOOKS = 5  # a look at the embeddings comes with each of the first lines, and with every so many later: it costs as much as many lines


class Metrics:
    """Collects what the step logs; on every `every`-th step reads it from the device, and now and then looks at the embeddings."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.history: list[dict[str, Any]] = []
        self._written = 0
        self._loss, self._count, self._items, self._clock = 0.0, 0, 0, time.monotonic()

    def add(self, run: Training, log: dict[str, Any], items: int) -> dict[str, Any] | None:
        """Take in a step; returns the line when it is one that is logged."""
        self._loss, self._count = self._loss + log["loss"], self._count + 1
        self._items += items * distributed.world()
        step = run.now.step
        if step % self.every and step != 1 and not run.finished:
            return None
        number = len(self.history)
        due = number < LOOKS or number % LOOKS == 0 or run.finished
        looked = health.look(log["out"], run.recipe.objective, {**run.data.tables, **run.tables}) if due else {}
        terms = {}
        for name, term in log["terms"].items():
            counted = float(term["counted"])
            terms[name] = {
                "value": _number(term["value"]),
                "chance": None if term["chance"] is None else _number(term["chance"]),
                "weight": term["weight"],
                "counted": counted,
                "counted_share": counted / max(term["rows"], 1),
            }
        known = [t["weight"] * t["chance"] for t in terms.values() if t["chance"] is not None]
        took = max(time.monotonic() - self._clock, 1e-9)
        line = {
            "step": step,
            "epoch": run.now.epoch,
            "share": round(run.now.share, 6),
            "stage": run.now.stage,
            "time": round(run.spent, 3),
            "loss": _number(self._loss / self._count),
            "chance": sum(known) if known and len(known) == len(terms) else None,
            "terms": terms,
            **looked,
            "lr": run.optimizer(0).param_groups[0]["lr"],
            "items_per_second": round(self._items / took, 1),
        }
        self._loss, self._count, self._items, self._clock = 0.0, 0, 0, time.monotonic()
        self.history.append(line)
        return line

    def flush(self, folder: Path) -> None:
        """Append the lines since the last flush to the folder's metrics.jsonl and sync them."""
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(path, "a", encoding="utf-8") as file:
                for line in self.history[self._written :]:
                    file.write(json.dumps(_finite(line)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror or error}") from None
        self._written = len(self.history)

    def state(self) -> dict[str, Any]:
        return {"lines": len(self.history), "loss": _number(self._loss), "count": self._count}

    def restore(self, tree: dict[str, Any], folder: Path) -> None:
        """Back to the first `lines` lines, those of the file where this object has none; the file is cut there."""
        lines, path = tree["lines"], folder / NAME
        if len(self.history) < lines and path.exists():
            self.history = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()[:lines]]
            for line in self.history:
                line["loss"] = math.nan if line["loss"] is None else line["loss"]
        self.history = self.history[:lines]
        self._loss, self._count, self._items, self._clock = tree["loss"], tree["count"], 0, time.monotonic()
        if path.exists() or self.history:
            from counterpoint.training.state import write_text

            write_text(path, "".join(json.dumps(_finite(line)) + "\n" for line in self.history))
            self._written = len(self.history)


def _number(x: Any) -> float:
    return float(x)


def _finite(tree: Any) -> Any:
    """JSON has no NaN: null in its place."""
    if isinstance(tree, float) and not math.isfinite(tree):
        return None
    if isinstance(tree, dict):
        return {k: _finite(v) for k, v in tree.items()}
    return [_finite(v) for v in tree] if isinstance(tree, list) else tree
