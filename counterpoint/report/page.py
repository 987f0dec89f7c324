"""The report of a run: one HTML file, made from the files of the run folder alone, that opens offline.

Whatever comes from outside (labels, texts, file names, configuration, pictures) is escaped: in HTML by the template engine, in the
JSON of the scripts by `safe_json`. A content security policy in the page forbids it to load or run anything but what stands in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from counterpoint.core.errors import OutputError
from counterpoint.report import facts, words
from counterpoint.report.charts import Chart, spectrum
from counterpoint.report.choice import views_chosen
from counterpoint.report.folder import Folder, is_png, read
from counterpoint.report.gallery import Gallery, shrunk_views

TEMPLATES = Path(__file__).parent / "template"
KEY_SCORES = ("knn", "linear", "acc", "recall_at_1", "neighbour_agreement", "effective_rank", "silhouette")
ABSENT = "There is nothing to show here."


def write(folder: Path | str) -> Path:
    """Write report.html into a run folder and return its path.

    Reads config.yaml, model.json, metrics.jsonl, evaluation.json, health.json, embeddings.parquet and views.png; every one but
    metrics.jsonl may be missing: its section then says so. Raises RunError where `folder` is no run folder, OutputError where
    the file cannot be written; a report that is there already stays as it was then.
    """
    folder = Path(folder)
    page = render(read(folder))
    target = folder / "report.html"
    temporary = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n", dir=folder, prefix=".report-", delete=False) as file:
            temporary = file.name
            file.write(page)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise OutputError(f"{target} cannot be written: {error.strerror or error}; make room or choose another folder") from None
    return target


def render(folder: Folder) -> str:
    """The page as text."""
    script = (TEMPLATES / "script.js").read_text("utf-8").strip()
    charts = Charts()
    gallery = Gallery(folder.items) if folder.items is not None else None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    context: dict[str, Any] = {
        "title": words.short(folder.path.resolve().name or "run", 80),
        "folder": folder.path.name,
        "script": Markup(script),
        "script_hash": "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": Markup(re.sub(r"\s*\n\s*", "\n", (TEMPLATES / "style.css").read_text("utf-8"))),
        "charts": charts,
        "missing": Missing(folder.missing),
        "understood": facts.understood(folder),
        "facts": facts.facts(folder),
        "verdict": facts.verdict(folder.health),
        "config_text": folder.config_text.strip(),
        "versions": facts.versions(folder),
        "model_text": yaml.safe_dump(folder.model, sort_keys=False, allow_unicode=True, width=110) if folder.model else "",
        "views": _views(folder.views),
        "views_chosen": views_chosen(folder),
        "curves": facts.curves(folder.metrics),
        "histograms": facts.histograms(folder.metrics),
        **_scores(folder.evaluation),
        **_items(gallery),
    }
    shown = ("map", "groups", "neighbours", "scores", "training", "settings")
    context["sections"] = [(name, name.capitalize()) for name in shown]
    payload = {"map": gallery.map() if gallery else None}
    context["payload"] = lambda: safe_json({**payload, "charts": charts.hover})  # called at the page's end, when all charts are drawn
    return environment.get_template("report.html").render(context)


class Charts:
    """The charts of a page in the order in which the template asks for them."""

    def __init__(self) -> None:
        self.hover: list[dict[str, Any]] = []

    def add(self, chart: Chart) -> int:
        self.hover.append(chart.hover)
        return len(self.hover) - 1


class Missing(dict[str, str]):
    """File name → the sentence that stands in place of its section."""

    def __missing__(self, key: str) -> str:
        return ABSENT


def safe_json(value: Any) -> Markup:
    """JSON that may stand inside <script>: no character of it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _views(picture: bytes | None) -> str | None:
    if picture is None or not is_png(picture):
        return None
    found = shrunk_views(picture)
    return f"data:image/{found[0]};base64,{base64.b64encode(found[1]).decode()}" if found else None


def _scores(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The score table, arms beside each other, and the few scores that stand at the top."""
    arms = facts.arms(evaluation)
    table: list[dict[str, Any]] = []
    keys: list[tuple[int, str, dict[str, Any]]] = []
    for name in facts.score_names(arms):
        values = {arm: scores.get(name) for arm, scores in arms.items()}
        about, best = words.metric(name), words.best(name, values)
        table.append(
            {
                "title": words.short(about.title, 40),
                "meaning": about.meaning,
                "better": about.better,
                "way": "higher is better" if about.better > 0 else "lower is better",
                "cells": [_cell(name, v, arm in best) for arm, v in values.items()],
            }
        )
        plain = words.plain(name)
        if plain in KEY_SCORES and words.real(next(iter(values.values()))) is not None:
            keys.append((KEY_SCORES.index(plain), name, values))
    return {
        "table": table,
        "arms": [words.arm(a) for a in arms],
        "protocol": facts.protocol(evaluation),
        "varied": any(cell["off"] for row in table for cell in row["cells"]),
        "key_scores": [_key_score(name, values) for _, name, values in sorted(keys, key=lambda k: k[0])[:3]],
    }


def _cell(name: str, value: Any, best: bool) -> dict[str, Any]:
    text, _, off = words.score(name, value).partition(" ± ")
    return {"text": text, "off": off, "best": best}


def _key_score(name: str, values: dict[str, Any]) -> dict[str, Any]:
    about = words.metric(name)
    numbers = {arm: words.real(v) for arm, v in values.items()}
    top = 1.0 if about.percent else max([v for v in numbers.values() if v is not None and v > 0], default=1.0)
    return {
        "title": about.title,
        "meaning": about.meaning,
        "value": words.score(name, next(iter(numbers.values()))),
        "bars": [
            {
                "name": words.arm(arm),
                "value": words.score(name, v),
                "main": i == 0,
                "width": round(100 * min(max(v / top, 0), 1), 1),
            }
            for i, (arm, v) in enumerate(numbers.items())
            if v is not None
        ],
    }


def _items(gallery: Gallery | None) -> dict[str, Any]:
    """Sections that show items. The order counts: pictures that stand in the text are taken before those of the map."""
    empty: dict[str, Any] = {"items": None, "groups": [], "neighbours": [], "spectrum": None, "look": "chips"}
    if gallery is None:
        return empty
    items = gallery.items
    groups, all_groups = gallery.groups()
    found = gallery.spectrum()
    return {
        "items": items,
        "groups": groups,
        "neighbours": gallery.neighbours(),
        "look": gallery.look,
        "spectrum": spectrum("Singular values", found[0].tolist(), found[1]) if found else None,
        "spectrum_sentence": found[1] if found else "",
        "map_sentence": facts.map_sentence(items),
        "map_alt": f"Map of {words.count(len(items), 'item')} as points; the groups below say the same in words",
        "groups_sentence": facts.groups_sentence(items, len(groups), all_groups),
        "neighbours_sentence": facts.neighbours_sentence(items),
    }
