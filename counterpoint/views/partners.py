"""Which other class a row shall be compared with: drawn once per item and batch, emitted as a key (paper 034)."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Generator

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Part
from counterpoint.core.recipe import UNKNOWN, Batch, Progress, View, provides, requires


@requires(column=("{key}",))
@provides(column=("{partner}",))
def partnered(
    batch: Batch,
    generator: Generator,
    now: Progress,
    *,
    views: Part,
    key: str = "label",
    partner: str = "partner",
    choice: Literal["arbitrary", "distinct", "identical"] = "arbitrary",
) -> list[View]:
    """The views of another part, each item with a class to be paired with, the same in all its views.

    views: what makes the views.
    key: the class of an item; an unknown one (−1) has no partner.
    partner: the key that holds the chosen class.
    choice: "arbitrary" the classes of the batch, shuffled; "distinct" another class of the batch, drawn evenly; "identical" its own.
    """
    made: list[View] = list(views(batch, generator, now))
    if key not in batch.keys:
        raise RequirementError(f"pairing classes needs the key {key!r}, and the batch has {', '.join(batch.keys)}")
    own = batch.keys[key]
    known = (own != UNKNOWN).nonzero()[:, 0]
    chosen = own.clone()
    if choice == "arbitrary":
        order = torch.randperm(len(known), generator=generator, device=generator.device).to(known.device)
        chosen[known] = own[known[order]]
    elif choice == "distinct":
        present, place = own[known].unique(return_inverse=True)
        if len(present) > 1:
            step = torch.randint(1, len(present), (len(known),), generator=generator, device=generator.device).to(known.device)
            chosen[known] = present[(place + step) % len(present)]
    return [replace(view, keys={**view.keys, partner: chosen}) for view in made]
