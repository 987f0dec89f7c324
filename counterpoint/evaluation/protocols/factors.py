"""What a representation says about several things at once: linear probes of several columns, also from single spaces of the model."""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.probe import linear_probe
from counterpoint.evaluation.retrieval import paired_retrieval, retrieval
from counterpoint.evaluation.subject import Subject


def factors(
    subject: Subject,
    *,
    columns: tuple[str, ...] = ("label",),
    beside: tuple[str, ...] = (),
    spaces: tuple[str, ...] = (),
    between: tuple[str, ...] = (),
    labelled: Count | None = None,
    most: Count = 2000,
) -> dict[str, float]:
    """{"linear_<column>" (accuracy of a linear probe for classes, R² of ridge regression for numbers), "mean" of those of `columns`,
    "linear_<column>_<space>", "recall_at_1"}: probes are fitted on train items and scored on test items.

    columns: what is asked for, each known for train and test items.
    beside: further columns that are probed and do not count in the mean (what should better not be read off).
    spaces: of the model's `embed`, probed one by one beside the whole embedding ("private/audio").
    between: two spaces; each test item asks with its row of the first for its row of the second or, where the first column holds classes,
        for a row with an equal one.
    labelled: train items that probes see, drawn at random; all where not given.
    most: test items in that retrieval.
    """
    if not subject.held_out:
        raise RequirementError("factors fits probes on one part and scores them on another, and nothing was held out")
    found: dict[str, float] = {}
    train, test = subject.train, subject.test
    if labelled is not None and labelled < train.items:
        rng = np.random.default_rng(subject.seed)
        train = train.subset(train.ids[np.sort(rng.permutation(train.items)[:labelled])])
    rows = {"": (subject.embed(train), subject.embed(test))}
    if spaces or between:
        seen, asked = (_spaces(subject, part, tuple(dict.fromkeys((*spaces, *between)))) for part in (train, test))
        rows |= {f"_{name}": (seen[name], asked[name]) for name in spaces}
        if between:
            found["recall_at_1"] = _recall(asked, between, _column(test, columns[0]), most, subject.seed)
    for name, (train_rows, test_rows) in rows.items():
        for column in (*columns, *beside):
            known, truth = _column(train, column), _column(test, column)
            probe = _explained if known.dtype.kind == "f" else linear_probe
            found[f"linear_{column}{name}"] = probe(train_rows, known, test_rows, truth, seed=subject.seed)
    return found | {"mean": float(np.mean([found[f"linear_{column}"] for column in columns]))}


def _recall(asked: dict[str, np.ndarray], between: tuple[str, ...], column: np.ndarray, most: int, seed: int) -> float:
    first, second = (asked[name][:most] for name in between[:2])
    if column.dtype.kind == "f":
        return paired_retrieval(first, second, at=(1,))["recall_at_1"]
    label = column[:most]
    return retrieval(first, label, gallery=second, gallery_labels=label, at=(1,), most=most, seed=seed)["recall_at_1"]


def _explained(train: np.ndarray, known: np.ndarray, test: np.ndarray, truth: np.ndarray, *, seed: int) -> float:
    """R² on test of a ridge regression whose penalty is chosen by leave-one-out on train; unknown values are left out."""
    from sklearn.linear_model import RidgeCV

    here, there = np.isfinite(known), np.isfinite(truth)
    mean, spread = train[here].mean(0), train[here].std(0)
    scale = np.where(spread > 1e-6 * np.abs(train[here]).max(0), spread, np.inf)
    fitted = RidgeCV(alphas=np.logspace(-2, 4, 13)).fit((train[here] - mean) / scale, known[here])
    return float(fitted.score((test[there] - mean) / scale, truth[there]))


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
