"""Which views for these items: the strongest of those that fit, as far as they leave an item what it is, measured on a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Modality
from counterpoint.views.fitting import candidates
from counterpoint.views.measures import measure
from counterpoint.views.ready import Preset


@dataclass(frozen=True)
class Choice:
    """The views chosen for some data. preset: what was chosen; why: a sentence; table: what was measured, a row for each that was tried."""

    preset: Preset
    why: str
    table: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        return self.preset.name


def choose(
    data: Any,
    labels: Any = None,
    *,
    modality: Modality | None = None,
    items: int = 600,
    keep: float = 0.7,
    recognise: float = 0.42,
    one_law: bool = False,
    seed: int = 0,
) -> Choice:
    """The strongest views that leave the item what it is, among the defaults of three strengths and the presets of the kind.

    data: a data set, or a batch.   labels: as in `measure`.   modality: what a batch is, which a data set says itself.
    items: size of the sample.   seed: of the sample.
    keep: with labels, share of the originals' label accuracy above that of the commonest label that views must keep.
    one_law: only views that are made in the same way, both.
    recognise: without labels (or where the features do not show them), share of views that must be nearer to their own original than to
    any of 100 others (0.42: MNIST and CIFAR-10 get their `default`). Where views are made in different ways, that which changes most
    is asked.
    """
    if modality is None:
        if not hasattr(data, "spec"):
            raise DataError("a batch alone does not say what it is; give modality=, or a data set")
        modality = data.spec.only
    parts = {name: p for name, p in candidates(modality).items() if not one_law or len({*map(repr, p.transforms)}) == 1}
    rows = [{"name": name, **measure(data, part, labels, items=items, seed=seed)} for name, part in parts.items()]
    reference, chance = rows[0]["label_reference"], rows[0]["label_majority"]
    # by more than a vote that sees nothing would reach by luck
    shown = reference is not None and reference - chance > max(0.05, 2 * math.sqrt(chance * (1 - chance) / rows[0]["items"]))
    for row in rows:
        row["kept"] = (row["least_label_preservation"] - chance) / (reference - chance) if shown else row["least_recognised"]
    bar = keep if shown else recognise
    good = [r for r in rows if r["kept"] >= bar]
    best = min(good, key=lambda r: r["between_views"]) if good else max(rows, key=lambda r: r["kept"])
    told = "of what the items themselves tell of the label above its commonest value"
    what = told if shown else "of the views nearer to their own item than to any of 100 others"
    kept = f"{'keep' if shown else 'leave'} {best['kept']:.0%} {what}"
    of = f"on a sample of {rows[0]['items']} items"
    why = f"views {best['name']!r}: {of} they {kept} (asked: {bar:.0%}), and of the views that do they differ most"
    refused = [r["name"] for r in rows if r not in good]
    if not good:
        why = f"views {best['name']!r}: {of} they {kept}, the most of all that were tried; none reach the {bar:.0%} that were asked for"
    elif refused:
        why += f"; {', '.join(refused)} change too much"
    return Choice(parts[best["name"]], why, tuple(rows))
