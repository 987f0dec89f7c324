"""What a representation says about several things at once: linear probes of several columns, also from single spaces of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.probe import linear_probe
from counterpoint.evaluation.retrieval import retrieval
from counterpoint.evaluation.subject import Subject


def factors(
    subject: Subject,
    *,
    columns: tuple[str, ...] = ("label",),
    spaces: tuple[str, ...] = (),
    between: tuple[str, ...] = (),
    most: Count = 2000,
) -> dict[str, float]:
    """{"linear_<column>", "mean" of those, "linear_<column>_<space>", "recall_at_1", "map"}: probes are fitted on train, scored on test.

    columns: what is asked for, each known for train and test items.
    spaces: of the model's `embed`, probed one by one beside the whole embedding ("private/audio").
    between: two spaces; each test item asks with its row of the first for rows of the second with an equal first column.
    most: queries of that retrieval.
    """
    if not subject.held_out:
        raise RequirementError("factors fits probes on one part and scores them on another, and nothing was held out")
    found: dict[str, float] = {}
    rows = {"": (subject.embed(subject.train), subject.embed(subject.test))}
    if spaces or between:
        wanted = tuple(dict.fromkeys((*spaces, *between)))
        train, test = (_spaces(subject, part, wanted) for part in (subject.train, subject.test))
        rows |= {f"_{name}": (train[name], test[name]) for name in spaces}
        if between:
            label = _column(subject.test, columns[0])
            asked = retrieval(
                test[between[0]], label, gallery=test[between[1]], gallery_labels=label, at=(1,), most=most, seed=subject.seed
            )
            found |= {name: asked[name] for name in ("recall_at_1", "map")}
    for name, (train_rows, test_rows) in rows.items():
        for column in columns:
            known, asked_for = _column(subject.train, column), _column(subject.test, column)
            found[f"linear_{column}{name}"] = linear_probe(train_rows, known, test_rows, asked_for, seed=subject.seed)
    return found | {"mean": float(np.mean([found[f"linear_{column}"] for column in columns]))}


def _column(part: Any, name: str) -> np.ndarray:
    if name not in part.columns:
        raise RequirementError(f"factors reads the column {name!r} and the data have {', '.join(part.columns) or 'none'}")
    return np.asarray(part.columns[name])


def _spaces(subject: Subject, part: Any, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Rows of some spaces of the model's `embed`, in the order of the set's ids."""
    model = subject.needed_model("factors with spaces").eval()
    device = next(model.parameters()).device
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for ids in part.ids.split(512):
        out = model.embed(part.batch(ids).to(device))  # type: ignore[operator]
        for name in names:
            if name not in out:
                raise RequirementError(f"the model's embed gives no space {name!r}; it gives {', '.join(out)}")
            pieces[name].append(out[name].z.float().cpu().numpy())
    return {name: np.concatenate(each) for name, each in pieces.items()}
