"""A paper's claim, put small and run: arms × seeds at equal budget, references beside them, a verdict by rule, one JSON."""

from __future__ import annotations

import importlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from counterpoint.core import options, registry
from counterpoint.core.errors import MethodError, OptionError, nearest
from counterpoint.core.recipe import Claim, Recipe
from counterpoint.run import trials
from counterpoint.run.choices import build_recipe, sort_options
from counterpoint.run.folder import versions
from counterpoint.training import state

SEEDS = (0, 1, 2)
FOLDER = Path("claims") / "results"
SURE = 2.0  # standard errors of the paired difference that a verdict asks for


def claims() -> list[str]:
    """Slugs of the methods and tools whose files state a claim."""
    return [slug for slug in sorted([*registry.slugs(), *registry.tools()]) if registry.find(slug).claim is not None]


def run_claim(
    slug: str,
    *,
    seeds: Sequence[int] = SEEDS,
    arms: Sequence[str] | None = None,
    data: str | None = None,
    settings: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Run the claim of a method's file: what claims/results/SLUG.json holds.

    seeds: each arm is run once with each.   arms: names of the arms to run beside "baseline" and "method"; all where it is None.
    data, settings: a further try: other data, or settings that go before those of the claim.

    Raises MethodError where the method states no claim, OptionError where an arm is unknown or the metric is none of the protocol's.
    """
    found = registry.find(slug)
    claim = found.claim
    if claim is None:
        raise MethodError(f"{slug} states no claim; these do: {', '.join(claims())}")
    claim = replace(claim, data=data or claim.data, settings={**claim.settings, **(settings or {})})
    named = arms_of(found, claim)
    for name in arms or ():
        if name not in named:
            raise OptionError(f"the claim of {slug} has no arm {name!r}{nearest(name, named)}")
    chosen = {name: change for name, change in named.items() if arms is None or name in (*arms, "baseline", "method")}
    begun = time.monotonic()
    rows, beside, seconds, understood, differs = _run(found, claim, chosen, seeds, say)
    figures = {name: trials.summary(row) for name, row in rows.items()}
    gap = trials.paired(figures["method"][claim.metric]["values"], figures["baseline"][claim.metric]["values"])
    return {
        "slug": slug,
        "paper": found.paper,
        "title": found.title,
        "claim": claim.paper,
        "data": claim.data,
        "understood": understood,
        "protocol": claim.trial or claim.protocol,
        "metric": claim.metric,
        "direction": claim.direction,
        "settings": options.to_plain(dict(claim.settings)),
        "seeds": list(seeds),
        "arms": {
            name: {
                "changes": options.to_plain(chosen[name]),
                "differs": differs.get(name, []),
                "seconds": seconds[name],
                "figures": figures[name],
            }
            for name in chosen
        },
        "references": {name: trials.summary(row) for name, row in beside.items()},
        "baseline": _short(figures["baseline"][claim.metric]),
        "method": _short(figures["method"][claim.metric]),
        "difference": gap,
        "verdict": verdict(gap, claim.direction),
        "seconds": round(time.monotonic() - begun, 1),
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "versions": versions(),
        "command": f"counterpoint claim {slug}",
    }  # fmt: skip


def verdict(gap: Mapping[str, Any], direction: str) -> str:
    """ "holds" where the mean difference lies in the claimed direction by at least SURE standard errors, "does not hold" where it lies as
    far in the other, "not at this scale" between. Differences without any spread are decided by their sign; one seed decides nothing."""
    mean = gap["mean"] if direction == "higher" else -gap["mean"]
    if gap["error"] is None:
        return "not at this scale"
    if mean > 0 and mean >= SURE * gap["error"]:
        return "holds"
    return "does not hold" if mean < 0 and -mean >= SURE * gap["error"] else "not at this scale"


def arms_of(found: registry.Method | registry.Tool, claim: Claim) -> dict[str, dict[str, Any]]:
    """name → {"method": slug, option or dotted path: value}, baseline first and the method last."""
    made: dict[str, dict[str, Any]] = {}
    for name, given in claim.arms.items():
        made[name] = {"method": given} if isinstance(given, str) else {"method": found.slug, **given}
    if "baseline" not in made:
        if found.baseline is None and claim.trial is None:
            raise MethodError(f"{found.slug} starts from no other method, so its claim must say what the arm 'baseline' is")
        made["baseline"] = {"method": found.baseline or found.slug}
    made.setdefault("method", {"method": found.slug})
    middle = [name for name in made if name not in ("baseline", "method")]
    return {name: made[name] for name in ("baseline", *middle, "method")}


def _run(
    found: registry.Method | registry.Tool,
    claim: Claim,
    chosen: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    say: Callable[[str], None],
) -> tuple[dict[str, list[dict[str, float]]], dict[str, list[dict[str, float]]], dict[str, list[float]], str, dict[str, list[str]]]:
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    beside: dict[str, list[dict[str, float]]] = {}
    differs: dict[str, list[str]] = {}
    understood = ""
    for seed in seeds:
        for name, changes in chosen.items():
            if claim.trial is not None:
                begun = time.monotonic()
                given = {k: v for k, v in {**claim.settings, **changes}.items() if k != "method"}
                rows[name].append(options.use(_trial(claim.trial), **given)(seed))
                seconds[name].append(round(time.monotonic() - begun, 1))
            else:
                settings = {**claim.settings, **claim.read, **changes}
                slug = settings.pop("method")
                with trials.trained(claim.data, slug, seed, **settings) as (run, took):
                    judged = trials.subject(run, seed)
                    rows[name].append(trials.figures(judged, claim.protocol, claim.options))
                    seconds[name].append(round(took, 1))
                    understood = run.config["data"]["understood"]
                    if name not in differs:
                        own = registry.get(found.slug)
                        differs[name] = sorted(recipe_of(own, run.spec, {}).diff(recipe_of(registry.get(slug), run.spec, changes)))
                    if name == "method":
                        for reference, other in trials.references(run, judged).items():
                            given = trials.reference_figures(other, claim.protocol, claim.options)
                            if given:
                                beside.setdefault(reference, []).append(given)
            value = trials.decided(rows[name][-1], claim.metric, f"the arm {name!r} of {found.slug}'s claim")
            say(f"seed {seed}  {name}: {claim.metric} {value:.4f}  ({seconds[name][-1]:.0f} s)")
    return rows, beside, seconds, understood, differs


def recipe_of(method: registry.Method, spec: Any, changes: Mapping[str, Any]) -> Recipe:
    """The recipe of an arm: the method with its options and dotted paths; settings of training are left out."""
    known = options.parameters(method.build)
    own, dotted = sort_options(method, {k: v for k, v in changes.items() if k != "method" and (k in known or "." in k)})
    return build_recipe(method, spec, own, dotted, None, None)


def _trial(name: str) -> Callable[..., dict[str, float]]:
    module, _, attribute = name.rpartition(".")
    found: Callable[..., dict[str, float]] = getattr(importlib.import_module(module), attribute)
    return found


def _short(figure: Mapping[str, Any]) -> dict[str, Any]:
    return {"mean": figure["mean"], "spread": figure["spread"]}


def save(result: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write SLUG.json, whole or not at all; further tries that it held are kept."""
    path = folder / f"{result['slug']}.json"
    return _write(path, {**result, "tries": _tries(path)})


def save_try(result: Mapping[str, Any], changed: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Put a further try beside the claim's result in SLUG.json, in the place of an earlier one with the same changes."""
    path = folder / f"{result['slug']}.json"
    if not path.exists():
        raise OptionError(f"{path} is not there: run the claim as it is stated before further tries")
    kept = ("data", "settings", "seeds", "baseline", "method", "difference", "verdict", "seconds", "versions")
    made = {"changed": options.to_plain(dict(changed)), **{key: result[key] for key in kept}}
    tries = [one for one in _tries(path) if one["changed"] != made["changed"]]
    return _write(path, {**json.loads(path.read_text(encoding="utf-8")), "tries": [*tries, made]})


def _tries(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get("tries", []) if path.exists() else []
    return found


def _write(path: Path, result: Mapping[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state.write_text(path, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return path
