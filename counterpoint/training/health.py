"""Is this run learning? Cheap figures now and then, and a verdict with causes at the end.

Thresholds are rules of thumb, each beside its reason; the figures stand in metrics.jsonl, so a reader can judge for himself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint.core.flow import Late
from counterpoint.core.recipe import Contrast, Embeddings, Rows, pick

ITEMS = 128  # items of a batch that are looked at: of two views a matrix of 256 × 256
BINS = 40


# name: (severity, likely cause, what to try)
FINDINGS = {
    "nothing": ("failed", "too few items for a batch", "more data, or a smaller batch"),
    "not a number": (
        "failed",
        "a learning rate that is too high, 16-bit floats, or extreme inputs",
        "a lower lr, clip=1.0, or precision=32-true",
    ),
    "collapse": (
        "failed",
        "no negatives and no stop-gradient, a learning rate that is too high, or views that destroy the content",
        "a lower lr, a method with negatives (simclr, dcl), milder views",
    ),
    "low rank": (
        "warning",
        "dimensional collapse: views or projector too strong for these data, or data that vary in few ways",
        "vicreg, a wider projector, or milder views",
    ),
    "flat at chance": (
        "failed",
        "a learning rate far off, constant features, wrong positives, or many duplicates",
        "an lr ten times lower and ten times higher; look at the views in the report",
    ),
    "anchors without positives": (
        "warning",
        "the pair rule needs items of the same group in one batch",
        "a larger batch, or a sampler that draws groups together (data=data.balanced)",
    ),
    "duplicates": (
        "warning",
        "copies in the data: they act as false negatives and may sit on both sides of a split",
        "remove them, or give them a common key and make that the positive",
    ),
    "stopped early": ("warning", "the budget ran out before the end of the schedule", "a larger budget"),
}


def spread(z: Tensor) -> float:
    """Standard deviation of the normalised rows over the items, times √d: 1 for rows spread evenly over the sphere, 0 for a collapse."""
    return _spread(F.normalize(z.float(), dim=1))


def _spread(unit: Tensor) -> float:
    return float(unit.std(dim=0, unbiased=False).square().sum().sqrt())


def rank(z: Tensor) -> float:
    """Effective rank: exp of the entropy of the singular values' shares (Roy & Vetterli 2007; RankMe, Garrido et al. 2023)."""
    return _rank(F.normalize(z.float(), dim=1))


def _rank(unit: Tensor) -> float:
    values = torch.linalg.svdvals(unit)
    share = values / values.sum().clamp(min=1e-12)
    return float(torch.exp(-(share * share.clamp(min=1e-12).log()).sum()))


def look(out: Embeddings, objective: Mapping[str, Any], tables: Mapping[str, Any]) -> dict[str, Any]:
    """spread, effective_rank, and cosines of positives and negatives (means and histograms) of the first contrast, on a few items."""
    contrasts = [t for t in objective.values() if isinstance(t, Contrast) and not str(t.anchors).endswith("*")]
    fresh = [rows for rows in out.values() if not rows.shared]
    if not fresh:
        return {}
    anchors = pick(out, contrasts[0].anchors) if contrasts else out.get("z", fresh[0])
    few = _few(anchors)
    found: dict[str, Any] = {}
    if not bool(torch.isfinite(few.z).all()):
        return {"spread": math.nan, "effective_rank": math.nan}
    unit = F.normalize(few.z.float(), dim=1)
    one_view = unit[few.keys["view"] == few.keys["view"].min()] if "view" in few.keys else unit
    if len(one_view) > 1:
        found = {"spread": _spread(one_view), "effective_rank": _rank(one_view)}
    if contrasts:
        candidates = few if contrasts[0].candidates == contrasts[0].anchors else _few(pick(out, contrasts[0].candidates))
        pairs = contrasts[0].pairs(few, candidates, tables)
        positive = pairs.positive.dense(pairs.shape) > 0
        negative = (pairs.candidate.dense(pairs.shape) > 0) & ~positive
        similar = unit @ (unit if candidates is few else F.normalize(candidates.z.float(), dim=1)).T
        for name, mask in (("positive", positive), ("negative", negative)):
            values = similar[mask]
            if len(values):
                found[name] = float(values.mean())
                found.setdefault("histogram", {})[name] = torch.histc(values, BINS, -1, 1).div(len(values)).tolist()
    return found


def _few(rows: Rows) -> Rows:
    if rows.shared or "item" not in rows.keys:
        return rows.where(torch.arange(min(len(rows), 4 * ITEMS), device=rows.z.device))
    items = rows.keys["item"]
    kept = (items <= items.unique()[:ITEMS][-1:]).nonzero()[: 8 * ITEMS, 0]
    return replace(rows, z=rows.z[kept], keys=Late({name: partial(_picked, rows.keys, name, kept) for name in rows.keys}))


def _picked(keys: Mapping[str, Tensor], name: str, kept: Tensor) -> Tensor:
    return keys[name][kept]


def duplicates(x: Any, limit: int = 20_000) -> float:
    """Share of items that repeat another item exactly, among the first `limit`; 0 for data that cannot be compared."""
    if not isinstance(x, Tensor) or x.numel() == 0:
        return 0.0
    rows = x[:limit].reshape(min(len(x), limit), -1).cpu().numpy()
    return 1.0 - len({row.tobytes() for row in rows}) / len(rows)


def judge(history: Sequence[Mapping[str, Any]], duplicate_share: float = 0.0, stopped: str = "") -> dict[str, Any]:
    """{"verdict": "healthy" | "warning" | "failed", "findings": [{name, severity, what, cause, advice}]} over a run's metrics."""
    findings: list[dict[str, str]] = []

    def found(name: str, what: str) -> None:
        severity, cause, advice = FINDINGS[name]
        findings.append({"name": name, "severity": severity, "what": what, "cause": cause, "advice": advice})

    if not history:
        found("nothing", "no step was logged")
        return {"verdict": "failed", "findings": findings}
    last, tail = history[-1], history[-max(len(history) // 5, 1) :]
    broken = [line["step"] for line in history if not math.isfinite(line["loss"])]
    if broken:
        found("not a number", f"the loss is not finite from step {broken[0]} on")
    looked = [line for line in tail if "spread" in line] or [line for line in history if "spread" in line][-1:]
    spreads = [line["spread"] for line in looked if line["spread"] is not None]
    ranks = [line["effective_rank"] for line in looked if line["effective_rank"] is not None]
    if spreads and sum(spreads) / len(spreads) < 0.1:  # a tenth of an even spread: cosines above 0.99
        found("collapse", f"all items have nearly the same embedding (spread {spreads[-1]:.3f}; 1 is evenly spread)")
    elif ranks and sum(ranks) / len(ranks) < 2.5:
        found("low rank", f"the embeddings fill about {ranks[-1]:.1f} dimensions")
    for name, term in last.get("terms", {}).items():
        chance, share = term.get("chance"), term.get("counted_share")
        values = [line["terms"][name]["value"] for line in tail if name in line.get("terms", {})]
        if chance is not None and values and len(history) >= 5 and sum(values) / len(values) > 0.98 * chance > 0:
            found("flat at chance", f"{name}: the loss {values[-1]:.3f} is still its chance level {chance:.3f}")
        if share is not None and share < 0.5:
            found("anchors without positives", f"{name}: only {share:.0%} of the anchors have a positive in their batch")
    if duplicate_share > 0.02:
        found("duplicates", f"{duplicate_share:.1%} of the items repeat another item exactly")
    if stopped:
        found("stopped early", stopped)
    severities = {f["severity"] for f in findings}
    verdict = "failed" if "failed" in severities else "warning" if findings else "healthy"
    return {"verdict": verdict, "findings": findings}
