"""A fair comparison of methods on one data set: the same data, split, seeds and budget for all, means with spread, and a paired test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from counterpoint.core import registry
from counterpoint.core.errors import OptionError
from counterpoint.core.options import to_plain
from counterpoint.run import trials
from counterpoint.run.choices import plain_only
from counterpoint.run.folder import new_folder, versions
from counterpoint.training import state

FIRST_CHOICE = ("knn", "linear", "acc", "silhouette", "effective_rank")  # what decides where nothing is said: the first there is


def compare(
    source: Any,
    methods: Sequence[str],
    *,
    seeds: int = 3,
    metric: str | None = None,
    protocol: str = "labels",
    out: Path | str | None = None,
    say: Callable[[str], None] = lambda text: None,
    **chosen: Any,
) -> dict[str, Any]:
    """Train every method with every seed at equal budget and measure all in the same way.

    source: anything that `fit` takes.   methods: slugs; at least one.   seeds: how many, from 0.
    metric: the figure that orders them and is tested; kNN where there are labels, silhouette where there are none.
    protocol: of `counterpoint.evaluation.protocols`.
    out: a folder for comparison.json and comparison.html; nothing is written where it is None.
    chosen: options of reading and training that all share (label, epochs, time, batch, lr …), and options of methods: those that a method
        does not have are an error.

    Returns {"methods": {slug: {figure: {"mean", "spread", "values"}}}, "references": …, "metric", "best", "tests": {slug: best − slug},
    "seconds": {slug: …}, "settings", "data", "seeds"}. Budgets: "epochs" are equal steps; "time" is equal seconds.
    """
    slugs = list(dict.fromkeys(methods))
    if not slugs:
        raise OptionError("compare needs the names of methods: --methods simclr,dcl; see: counterpoint methods list")
    for slug in slugs:
        registry.get(slug)
    if seeds < 1:
        raise OptionError(f"seeds = {seeds} must be at least 1")
    folder = None if out is None else new_folder(out, "comparison")
    rows: dict[str, list[dict[str, float]]] = {slug: [] for slug in slugs}
    seconds: dict[str, list[float]] = {slug: [] for slug in slugs}
    steps: dict[str, list[int]] = {slug: [] for slug in slugs}
    beside: dict[str, list[dict[str, float]]] = {}
    understood = ""
    for seed in range(seeds):
        for number, slug in enumerate(slugs):
            with trials.trained(source, slug, seed, **chosen) as (run, took):
                judged = trials.subject(run, seed)
                rows[slug].append(trials.figures(judged, protocol, {}))
                seconds[slug].append(round(took, 1))
                steps[slug].append(trials.steps_of(run))
                understood = run.config["data"]["understood"]
                if number == 0:
                    for name, other in trials.references(run, judged).items():
                        given = trials.reference_figures(other, protocol, {})
                        if given:
                            beside.setdefault(name, []).append(given)
            shown = metric or _metric(rows)
            if seed == number == 0:
                trials.decided(rows[slug][-1], shown, slug)
            value = rows[slug][-1].get(shown)
            say(f"seed {seed}  {slug}: {shown} {'is not finite' if value is None else f'{value:.4f}'}  ({took:.0f} s)")
    figures = {slug: trials.summary(row) for slug, row in rows.items()}
    shown = metric or _metric(rows)
    ranked = [slug for slug in slugs if shown in figures[slug]]  # a method that diverged stands in the table without a figure
    if not ranked:
        raise OptionError(f"no method has a finite figure {shown!r} with every seed")
    best = max(ranked, key=lambda slug: figures[slug][shown]["mean"])
    result = {
        "data": understood,
        "protocol": protocol,
        "metric": shown,
        "seeds": list(range(seeds)),
        "settings": to_plain(plain_only(chosen)),
        "methods": figures,
        "references": {name: trials.summary(row) for name, row in beside.items()},
        "best": best,
        "tests": {
            slug: trials.paired(figures[best][shown]["values"], figures[slug][shown]["values"]) for slug in ranked if slug != best
        },
        "seconds": seconds,
        "steps": steps,
        "versions": versions(),
    }  # fmt: skip
    if folder is not None:
        from counterpoint.report.comparison import page

        folder.mkdir(parents=True, exist_ok=True)
        state.write_text(folder / "comparison.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        state.write_text(folder / "comparison.html", page(result))
    return result


def _metric(rows: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    first = next(row[0] for row in rows.values() if row)
    return next((name for name in FIRST_CHOICE if name in first), next(iter(first), "knn"))
