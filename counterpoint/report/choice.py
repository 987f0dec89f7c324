"""Which views a run was given by name, why, and what was measured where several were tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.report import words
from counterpoint.report.folder import Folder

FIGURES = {
    "least_label_preservation": (
        "Label kept",
        "Share of views whose nearest items, their own left out, vote for the item's label; of the law that keeps it least.",
    ),
    "least_recognised": (
        "Recognised",
        "Share of views that are nearer to their own item than to any of 100 others; of the law that is recognised least.",
    ),
    "between_views": ("Likeness", "Likeness of two views of an item: 1 the same, 0 as unlike as views of any two items."),
    "overlap": ("Overlap", "Share of views that are nearer to another item's view than to their own item's other one."),
    "connectivity": ("Connected", "Share of the items in the largest group that overlapping views join."),
}
ROWS, MODALITIES = 24, 8


def views_chosen(folder: Folder) -> list[dict[str, Any]]:
    """For each modality: its name where there are several, the reason, the columns (title, meaning) and a row for each views tried."""
    record = folder.config.get("views_chosen")
    entries = {k: v for k, v in record.items() if isinstance(v, Mapping)} if isinstance(record, Mapping) else {}
    return [_modality(str(name), entry, len(entries) > 1) for name, entry in list(entries.items())[:MODALITIES]]


def _modality(modality: str, entry: Mapping[str, Any], several: bool) -> dict[str, Any]:
    measured = entry.get("measured")
    rows = [row for row in measured if isinstance(row, Mapping)][:ROWS] if isinstance(measured, list) else []
    shown = [name for name in FIGURES if any(words.real(row.get(name)) is not None for row in rows)]
    name = words.short(str(entry.get("name", "")), 40)
    why = words.short(str(entry.get("why", "")), 600)
    return {
        "modality": words.short(modality, 40) if several else "",
        "name": name,
        "why": f"{why[:1].upper()}{why[1:]}." if rows else f"Views {name!r}. {why}",
        "columns": [FIGURES[k] for k in shown],
        "rows": [
            {
                "name": words.short(str(row.get("name", "")), 40),
                "taken": row.get("name") == entry.get("name"),
                "cells": [_share(row.get(k)) for k in shown],
            }
            for row in rows
        ],
    }


def _share(value: Any) -> str:
    found = words.real(value)
    return "–" if found is None else f"{found:.2f}"
