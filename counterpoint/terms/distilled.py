"""Self-distillation: every view of the student predicts the teacher's distribution of the other views (DINO)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, value_of
from counterpoint.terms.alignment import align, position_of


def distilled(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    loss: Part,
    space: str = "z",
    teacher: str = "teacher",
    centre: str | None = None,
    teach: tuple[str, ...] = ("global",),
) -> RowLoss:
    """The mean over pairs (a, v) of a teacher's view a and a student's view v ≠ a of loss(student (b, k), teacher (b, k), centre (k,)).

    loss: losses.distillation; its options may move over the run.
    space: the student's outputs of all views.
    teacher: the teacher's outputs.
    centre: shared rows (1, k), the running mean that the model keeps; none where not given.
    teach: roles of the views that give targets.
    """
    student, other = out[space], out[teacher]
    givers = [i for i, role in enumerate(student.roles) if role in teach and bool((other.keys["view"] == i).any())]
    if not givers or len(student.roles) < 2:
        raise OptionError(f"teach = {teach!r}: two views are needed, one of them the teacher's with such a role; there are {student.roles}")
    middle = None if centre is None else out[centre].z[0]
    moving = {name: value_of(value, now) for name, value in loss.options.items() if isinstance(value, Part)}
    results: list[RowLoss] = []
    for a in givers:
        target = position_of(other, a)
        for v in range(len(student.roles)):
            if v != a:
                rows = position_of(student, v)
                left, right = align(rows, target)
                results.append(loss(rows.z[left], target.z[right], middle, **moving))
    return RowLoss(torch.cat([r.values for r in results]), torch.cat([r.counted for r in results]), results[0].chance)
