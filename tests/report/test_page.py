"""The page as a file: complete, offline, safe against what stands in it, and never half-written."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from counterpoint import report
from counterpoint.core.errors import OutputError
from counterpoint.report import page as making
from counterpoint.report.page import safe_json

Make = Callable[..., Path]
ALL = ("config.yaml", "model.json", "evaluation.json", "health.json", "embeddings.parquet")
ATTACKS = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) x='",
    "{{ 7 * 7 }}{% raw %}",
    "<!--<script>",
    "\u2028]]>&lt;b&gt;",
]


class Seen(HTMLParser):
    """Elements and attributes of a page, and the text of its JSON."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.json = ""
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._inside = "data" if ("type", "application/json") in attrs else tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.json += data
        elif self._inside not in ("script", "style"):
            self.words += data


def shown(folder: Path) -> Seen:
    return Seen(report.write(folder).read_text("utf-8"))


def test_a_whole_run(make_run: Make) -> None:
    folder = make_run("digits", steps=30, items=200, previews=200)
    path = report.write(folder)
    assert path == folder / "report.html"
    seen = Seen(path.read_text("utf-8"))
    for words in ("digits", "10,000 images", "Healthy", "kNN accuracy", "73.1%", "Untrained", "cluster 3", "Groups kept whole", "torch"):
        assert words in seen.words, words
    assert seen.tags.count("figure") > 100 and seen.tags.count("svg") == 11 and "noscript" in seen.tags
    data = json.loads(seen.json)
    assert len(data["charts"]) == 10 and len(data["map"]["x"]) == 200
    drawn = [v for k, v in seen.attributes if k == "data-chart"]
    assert drawn == [str(i) for i in range(10)]


def test_the_page_loads_nothing(make_run: Make) -> None:
    text = report.write(make_run(steps=5, items=50)).read_text("utf-8")
    seen = Seen(text)
    links = [v for k, v in seen.attributes if k in ("src", "href", "action", "data", "poster", "srcset")]
    assert all(v is not None and v.startswith(("data:", "#")) for v in links)
    assert "@import" not in text and "url(" not in text
    policy = next(v for k, v in seen.attributes if v and v.startswith("default-src"))
    script = re.search(r"<script>(.*?)</script>", text, re.S)
    assert script is not None and policy is not None
    assert "sha256-" + base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy
    assert policy.count("unsafe-inline") == 1 and "style-src 'unsafe-inline'" in policy


def test_only_metrics(make_run: Make) -> None:
    seen = shown(make_run(steps=1, leave_out=ALL))
    for name in ALL[:1] + ALL[2:3] + ALL[4:]:
        assert f"The run folder has no {name}." in seen.words
    assert "No verdict" in seen.words and "canvas" not in seen.tags


@pytest.mark.parametrize("left_out", ALL)
def test_any_file_may_be_missing(make_run: Make, left_out: str) -> None:
    seen = shown(make_run(steps=3, items=30, leave_out=(left_out,)))
    assert seen.tags.count("section") == 9


def test_all_files_broken(make_run: Make) -> None:
    folder = make_run(steps=3, items=30)
    for name in ALL:
        (folder / name).write_bytes(b"\x00{[<script>\xff")
    (folder / "views.png").write_bytes(b"<script>alert(1)</script>")
    (folder / "metrics.jsonl").write_text('nonsense\n{"step": "x", "terms": [1], "histogram": {"positive": "x"}, "loss": {}}\n')
    seen = shown(folder)
    assert seen.words.count("could not be understood") >= 4


def test_empty_metrics(make_run: Make) -> None:
    assert "the run stopped before its first step" in shown(make_run(metrics=[], leave_out=ALL)).words


def test_nan_losses(make_run: Make) -> None:
    metrics = [{"step": i, "loss": float("nan"), "chance": 6.2, "spread": float("inf"), "lr": 0.1} for i in range(4)]
    health = {"verdict": "failed", "findings": [{"name": "not a number", "severity": "failed", "what": "w", "cause": "c", "advice": "a"}]}
    seen = shown(make_run(metrics=metrics, health=health, items=20))
    assert "Do not use these embeddings" in seen.words and "not a number" in seen.words
    assert "NaN" not in seen.json


def test_texts_and_no_labels(make_run: Make) -> None:
    seen = shown(make_run(items=60, preview="text", labels=False, previews=60, steps=4))
    assert "what should I do when the card" in seen.words
    assert [c["name"] for c in json.loads(seen.json)["map"]["columns"]] == ["cluster", "split"]


def worded(make_run: Make, word: str, preview: str) -> Path:
    """A run folder with the same words in every place that takes words from outside."""
    score: dict[str, Any] = {"knn": 0.5, word: 0.5}
    return make_run(
        word.replace("/", "⁄").replace("\u2028", " "),
        metrics=[{"step": i, "loss": 1.0, "terms": {word: {"value": 1.0}, "b": {"value": 2.0}}} for i in range(3)],
        names=[word, "other"],
        preview=preview,
        items=40,
        previews=40,
        evaluation={"protocol": word, "scores": {word: score, "trained": score}},
        health={"verdict": word, "findings": [dict.fromkeys(("name", "severity", "what", "cause", "advice"), word)]},
        config={"method": word, word: word, "versions": {word: word}},
        card={"understood": word, "encoder": word, word: [word]},
    )


@pytest.mark.parametrize("preview", ["text", "picture"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_words_are_shown_and_never_run(make_run: Make, attack: str, preview: str) -> None:
    """Folder name, labels, texts, findings, scores, configuration, card and terms."""
    seen = shown(worded(make_run, attack, preview))
    plain = shown(worded(make_run, "harmless", preview))
    assert seen.tags == plain.tags  # not one element more or less than with harmless words
    assert [k for k, _ in seen.attributes] == [k for k, _ in plain.attributes]
    assert " ".join(attack.split()) in " ".join(seen.words.split())
    shown_on_map = json.loads(seen.json)["map"]
    assert " ".join(attack.split()) in [" ".join(name.split()) for name in shown_on_map["columns"][0]["names"]]
    assert preview == "picture" or attack in "".join(shown_on_map["texts"].values())


def test_safe_json_reads_back() -> None:
    value = {a: [a, 1.5, None] for a in ATTACKS}
    text = str(safe_json(value))
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")
    with pytest.raises(ValueError, match="not JSON compliant"):
        safe_json(float("nan"))


def test_twenty_thousand_items_stay_small(make_run: Make) -> None:
    path = report.write(make_run(items=20_000, width=8, previews=400, steps=3))
    assert path.stat().st_size < 6e6
    assert len(json.loads(Seen(path.read_text("utf-8")).json)["map"]["x"]) == 20_000


def test_many_pictures_stay_small(make_run: Make) -> None:
    pytest.importorskip("PIL")
    path = report.write(make_run(items=700, width=8, previews=700, side=64, steps=3))
    assert path.stat().st_size < 6e6


def test_views_picture(make_run: Make) -> None:
    folder = make_run(steps=3, leave_out=ALL)
    (folder / "views.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    assert "Grid of training views" in report.write(folder).read_text("utf-8")


def test_the_same_folder_gives_the_same_page(make_run: Make) -> None:
    folder = make_run(steps=5, items=60)
    first = report.write(folder).read_bytes()
    assert report.write(folder).read_bytes() == first


def test_a_failed_write_leaves_the_old_page_and_no_rest(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(steps=3, leave_out=ALL)
    report.write(folder)
    before = sorted(p.name for p in folder.iterdir()), (folder / "report.html").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match="No space left on device"):
        making.write(folder)
    assert (sorted(p.name for p in folder.iterdir()), (folder / "report.html").read_bytes()) == before
