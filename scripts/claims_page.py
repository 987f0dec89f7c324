"""docs/claims.md, made from claims/results/*.json: what each paper claims, what our small test gave, and the verdict by rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from counterpoint.core import registry

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "claims" / "results"

HEAD = """# Claims

Each paper's headline, put small: the method, its baseline (the same recipe with the change off, or the method it starts from) and one arm
for each change, at equal budget, three seeds, the last checkpoint, test labels never looked at in training. A small test on two processor
cores cannot confirm a result on ImageNet; it can show whether the change does what it is said to do where we can see it.

The verdict is a rule, not an opinion: *holds* where the mean difference between method and baseline, seed by seed, lies in the claimed
direction by at least two standard errors, *does not hold* where it lies as far in the other, *not at this scale* between. Figures are
means ± standard deviation over seeds. With three seeds two standard errors are a weak test: where there is no difference, one time in
eleven each way. Where a claim does not hold, two further tries were made, with more steps, more data or what the paper's own defaults
suggest; they stand below its table, all of them.

This page is made from `claims/results/*.json` by `python scripts/docs.py write`; each file is made by the command that stands beside it.
"""


def results() -> list[dict[str, Any]]:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return sorted(found, key=lambda one: (one["paper"] is None, one["paper"], one["slug"]))


def verdict(one: dict[str, Any]) -> str:
    """That of the claim as it is stated; where it does not hold there and does in a further try, that."""
    tried = any(one_try["verdict"] == "holds" for one_try in one.get("tries", []))
    return "holds in a further try" if tried and one["verdict"] != "holds" else str(one["verdict"])


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def shown(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    return number(figure["mean"]) + ("" if figure["spread"] is None else f" ± {number(figure['spread'])}")


def table(heads: list[str], rows: list[list[object]]) -> list[str]:
    return ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *("| " + " | ".join(map(cell, row)) + " |" for row in rows)]


def page() -> str:
    """The whole page."""
    found = results()
    lines = [HEAD]
    words = ("holds", "holds in a further try", "not at this scale", "does not hold")
    tally = {word: sum(verdict(one) == word for one in found) for word in words}
    lines += [f"{len(found)} claims: " + ", ".join(f"{count} *{word}*" for word, count in tally.items()) + ".", ""]
    rows: list[list[object]] = []
    for one in found:
        paper = "" if one["paper"] is None else f"{one['paper']:03d}"
        link = f"[`{one['slug']}`](#{one['slug'].replace('_', '-')})"
        figures = [shown(one["baseline"]), shown(one["method"])]
        metric = one["metric"] + (" (lower is better)" if one["direction"] == "lower" else "")
        data = one["data"] if " " in one["data"] else f"`{one['data']}`"  # a sentence has to wrap
        rows.append([paper, link, verdict(one), metric, *figures, data])
    lines += [*table(["paper", "method", "verdict", "metric", "baseline", "method", "data"], rows), ""]
    for one in found:
        lines += section(one)
    return "\n".join(lines).rstrip() + "\n"


def section(one: dict[str, Any]) -> list[str]:
    """One claim with all its arms."""
    lines = [f"## {one['slug'].replace('_', '-')}", "", f"{one['title']}", "", f"**The paper:** {one['claim'].rstrip('.')}.", ""]
    gap = one["difference"]
    error = "" if gap["error"] is None else f" ± {number(gap['error'])}"
    settings = ", ".join(f"{k} {v}" for k, v in one["settings"].items())
    about = f"`{one['data']}`" + (f" ({one['understood']})" if one["understood"] else "")
    lines += [
        f"**Here:** {about}, protocol `{one['protocol']}`{f', {settings}' if settings else ''}, seeds {', '.join(map(str, one['seeds']))}, "
        f"{one['seconds'] / 60:.0f} minutes on {one['threads']} thread{'s' * (one['threads'] != 1)}. Method − baseline: "
        f"{number(gap['mean'])}{error}: **{one['verdict']}**.",
        "",
    ]
    metric = one["metric"]
    others = [name for name in one["arms"]["method"]["figures"] if name != metric][:4]
    rows: list[list[object]] = []
    for name, arm in one["arms"].items():
        changed = ", ".join(f"{k} = {v}" for k, v in arm["changes"].items() if not (k == "method" and v == one["slug"]))
        figures = [shown(arm["figures"].get(n)) for n in (metric, *others)]
        rows.append([name, changed, *figures, f"{sum(arm['seconds']) / len(arm['seconds']):.0f}"])
    for name, figures_of in one["references"].items():
        if metric in figures_of:
            rows.append([name, "", *[shown(figures_of.get(n)) for n in (metric, *others)], ""])
    lines += [*table(["arm", "as the method but", metric, *others, "seconds"], rows), ""]
    for tried in one.get("tries", []):
        changed = ", ".join(f"{k} {v}" for k, v in tried["changed"].items())
        gap = tried["difference"]
        error = "" if gap["error"] is None else f" ± {number(gap['error'])}"
        figures = f"baseline {shown(tried['baseline'])}, method {shown(tried['method'])}, difference {number(gap['mean'])}{error}"
        lines += [f"*Further try, {changed}:* {figures}: {tried['verdict']}.", ""]
    note = registry.find(one["slug"]).claim.note  # type: ignore[union-attr]
    if note:
        lines += [note.rstrip(".") + ".", ""]
    return [*lines, "```sh", one["command"], "```", ""]
