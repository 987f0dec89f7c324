"""A comparison of methods: one page that opens offline, with a plot (each seed a dot, the mean a bar) and the table; a terminal's table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup
from rich import box
from rich.table import Table
from rich.text import Text

from counterpoint.report import words
from counterpoint.report.charts import nice

WIDTH, LEFT, RIGHT, ROW, TOP, BOTTOM = 720, 150, 40, 30, 8, 34

PAGE = jinja2.Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Comparison of {{ count }}</title>
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5b6570; --line: #d8dde3; --paper: #ffffff; --one: #3f51b5; --other: #8a94a0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa5b1; --line: #343b44; --paper: #15181c; --one: #9fa8ff; --other: #7d8793; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p { color: var(--soft); max-width: 46rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 13px; } svg .tick { fill: var(--soft); font-size: 12px; }
svg line.grid { stroke: var(--line); }
.method { fill: var(--one); stroke: var(--one); } .reference { fill: var(--other); stroke: var(--other); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .8rem .3rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.reference td { color: var(--soft); fill: none; }
</style></head><body>
<h1>{{ title }}</h1>
<p>{{ data }}. {{ seeds }}; every method had the same data, split and budget ({{ budget }}).
Dots are seeds, bars are means; raw input, PCA and the untrained encoder stand below.</p>
{{ plot }}
<h2>Figures</h2>
<div class="scroll"><table><thead><tr>{% for head in heads %}<th>{{ head }}</th>{% endfor %}</tr></thead><tbody>
{% for kind, row in rows %}<tr class="{{ kind }}">{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
<p>Means ± standard deviation over seeds. “behind” is the mean difference to the best method, seed by seed, with the p of a two-sided paired
t-test; with few seeds it is a weak test, and no correction is made for several methods.</p>
</body></html>
""")


def page(result: Mapping[str, Any]) -> str:
    """The page as text. result: what `counterpoint.run.compare` returns."""
    metric, figures = result["metric"], _ordered(result)
    names = [name for name in words.METRICS if any(name in figures[m] for m in figures)]
    others = sorted({name for m in figures.values() for name in m} - set(names))
    shown = [metric, *[n for n in (*names, *others) if n != metric]]
    heads = ["method", words.metric(metric).title, "behind", *(words.metric(n).title for n in shown[1:]), "seconds", "steps"]
    rows = [("method", [m, _cell(metric, figures[m]), _behind(result, m), *(_cell(n, figures[m]) for n in shown[1:]), *_cost(result, m)])
            for m in figures]  # fmt: skip
    for name, given in result["references"].items():
        rows.append(("reference", [words.arm(name), _cell(metric, given), "", *(_cell(n, given) for n in shown[1:]), "", ""]))
    count = words.count(len(figures), "method")
    return PAGE.render(
        title=f"{count} compared by {words.metric(metric).title}",
        count=count,
        data=result["data"],
        seeds=words.count(len(result["seeds"]), "seed"),
        budget=_budget(result),
        plot=plot(result),
        heads=heads,
        rows=rows,
    )


def plot(result: Mapping[str, Any]) -> Markup:
    """The figure that decides, as an SVG: a row for each method, best first, references below."""
    metric, figures = result["metric"], _ordered(result)
    beside = {words.arm(n): g for n, g in result["references"].items() if metric in g}
    rows = [("method", m, g[metric]) for m, g in figures.items() if metric in g] + [("reference", n, g[metric]) for n, g in beside.items()]
    values = [v for _, _, g in rows for v in g["values"]]
    ticks = nice(min(values), max(values))
    height = TOP + ROW * len(rows) + BOTTOM

    def across(value: float) -> float:
        return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - LEFT - RIGHT)

    parts = []
    for tick in ticks:
        x = across(tick)
        parts.append(Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>').format(x, TOP, height - BOTTOM))
        label = words.score(metric, tick)
        parts.append(Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(x, height - BOTTOM + 18, label))
    for number, (kind, name, given) in enumerate(rows):
        y = TOP + ROW * (number + 0.5)
        parts.append(Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(LEFT - 12, y + 4, words.short(name, 24)))
        bar = '<line class="{0}" x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}" stroke-width="3"/>'
        parts.append(Markup(bar).format(kind, across(given["mean"]), y - 9, y + 9))
        for value in given["values"]:
            dot = '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="4.5" fill-opacity=".45"/>'
            parts.append(Markup(dot).format(kind, across(value), y))
    told = "; ".join(f"{name} {words.score(metric, given['mean'])}" for _, name, given in rows)
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}: {}">').format(WIDTH, height, words.metric(metric).title, told)
    return head + Markup("").join(parts) + Markup("</svg>")


def terminal(result: Mapping[str, Any]) -> Table:
    """The figure that decides, per method with its spread and distance to the best, for a terminal of 80 columns."""
    metric, figures = result["metric"], _ordered(result)
    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, padding=(0, 1))
    for head in ("method", words.metric(metric).title, "behind the best", "seconds"):
        table.add_column(head, justify="left" if head == "method" else "right", no_wrap=True)
    for number, (name, given) in enumerate(figures.items()):
        table.add_row(Text(name, "bold" if number == 0 else ""), _cell(metric, given), _behind(result, name), _cost(result, name)[0])
    for name, given in result["references"].items():
        if metric in given:
            table.add_row(Text(words.arm(name).lower(), "dim"), Text(_cell(metric, given), "dim"), "", "")
    return table


def _ordered(result: Mapping[str, Any]) -> dict[str, Any]:
    metric = result["metric"]
    return dict(sorted(result["methods"].items(), key=lambda item: -item[1][metric]["mean"] if metric in item[1] else math.inf))


def _cell(metric: str, given: Mapping[str, Any]) -> str:
    if metric not in given:
        return "—"
    spread = given[metric]["spread"]
    return words.score(metric, given[metric]["mean"]) + ("" if spread is None else f" ± {words.score(metric, spread)}")


def _behind(result: Mapping[str, Any], slug: str) -> str:
    test = result["tests"].get(slug)
    if test is None:
        return ""
    shown = words.score(result["metric"], test["mean"])
    return shown + ("" if test["p"] is None else f" (p {words.number(test['p'], 2)})")


def _cost(result: Mapping[str, Any], slug: str) -> list[str]:
    seconds, steps = result["seconds"][slug], result["steps"][slug]
    return [words.number(sum(seconds) / len(seconds)), words.number(sum(steps) / len(steps))]


def _budget(result: Mapping[str, Any]) -> str:
    chosen = result["settings"]
    if chosen.get("time") is not None:
        return f"{chosen['time']} of training"
    return words.count(chosen["epochs"], "epoch") if chosen.get("epochs") is not None else "the epochs that fit chooses"
