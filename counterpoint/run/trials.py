"""One method on one data set with one seed, measured under a protocol; and what stands beside it: raw input, PCA, the untrained encoder.

Claims and comparisons are made of these.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from counterpoint.core.errors import CounterpointError, OptionError, nearest
from counterpoint.evaluation import protocols
from counterpoint.evaluation.subject import Subject
from counterpoint.run import Run, fit
from counterpoint.run.choices import training_part
from counterpoint.run.scores import embed, seeded

REFERENCES = ("raw", "pca", "untrained")


@contextlib.contextmanager
def trained(source: Any, method: str, seed: int, **chosen: Any) -> Iterator[tuple[Run, float]]:
    """A finished run without report in a folder that is removed afterwards, and the seconds its training took."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        run = fit(source, method=method, seed=seed, out=Path(folder) / "run", evaluate=False, report=False, **chosen)
        yield run, time.monotonic() - begun


def subject(run: Run, seed: int) -> Subject:
    """The trained model of a run with the items it learned from and those held out."""
    whole = run.data
    split = run.split(whole)
    train = training_part(whole, split)
    test = whole.subset(whole.ids[split == 1]) if bool((split == 1).any()) else whole
    return Subject(lambda given: embed(run.model, given), train, test, whole, seed, run.model)


def references(run: Run, judged: Subject) -> dict[str, Subject]:
    """The same items under the raw input, its principal components (fitted on train, as wide as the embedding), the untrained encoder."""
    with seeded(judged.seed):
        untrained = run.recipe.encoder(run.spec).to(next(run.model.parameters()).device).eval()
    found = {"untrained": replace(judged, embed=lambda given: embed(untrained, given), model=untrained, name="untrained")}
    with contextlib.suppress(CounterpointError):  # kinds without plain features have no raw input to stand beside
        width = judged.embed(judged.train.subset(judged.train.ids[:2])).shape[1]
        project = _pca(judged.train.flat(), width, judged.seed)
        found["raw"] = replace(judged, embed=lambda given: given.flat(), model=None, name="raw")
        found["pca"] = replace(judged, embed=lambda given: project(given.flat()), model=None, name="pca")
    return found


def _pca(rows: np.ndarray, width: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    from sklearn.decomposition import PCA

    mean = rows.mean(0)
    wide = min(width, rows.shape[1], len(rows) - 1)
    if wide < 1 or not (rows - mean).any():
        return lambda given: given
    fitted = PCA(wide, random_state=seed, svd_solver="randomized" if min(rows.shape) > 512 else "auto").fit(rows - mean)
    return lambda given: np.ascontiguousarray((given - mean) @ fitted.components_.T, np.float32)


def figures(judged: Subject, protocol: str, options: Mapping[str, Any]) -> dict[str, float]:
    """What the protocol gives for one subject, finite figures only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # solvers that stop early and the like: their figure tells
        found = protocols.measure(protocol, judged, options)
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def reference_figures(other: Subject, protocol: str, options: Mapping[str, Any]) -> dict[str, float]:
    """`figures` of a reference; none where the protocol asks more of it than it has (a model, other data)."""
    try:
        return figures(other, protocol, options)
    except CounterpointError:
        return {}


def decided(row: Mapping[str, float], metric: str, whose: str) -> float:
    """The figure that decides, of one trial; OptionError where it is none of the protocol's, or came out as no number."""
    if metric not in row:
        raise OptionError(f"{whose} has no finite figure {metric!r}{nearest(metric, row)}")
    return row[metric]


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """figure → {"mean", "spread" (standard deviation over seeds, n − 1), "values"} of those that every seed has."""
    if not rows:
        return {}
    shared = [name for name in rows[0] if all(name in row for row in rows)]
    found = {}
    for name in shared:
        values = [row[name] for row in rows]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        found[name] = {"mean": float(np.mean(values)), "spread": spread, "values": values}
    return found


def paired(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """The difference first − second, seed by seed: mean, its standard error, and the two-sided p of a paired t-test.

    With one seed, or differences that are all alike, error and p are None.
    """
    gaps = np.asarray(first) - np.asarray(second)
    error = float(gaps.std(ddof=1) / math.sqrt(len(gaps))) if len(gaps) > 1 else None
    p = None
    if error:
        from scipy.stats import ttest_rel

        p = float(ttest_rel(first, second).pvalue)
    return {"mean": float(gaps.mean()), "error": error, "p": p, "values": gaps.tolist()}


def steps_of(run: Run) -> int:
    """The steps that a run's training took, from its metrics."""
    import json

    lines = (run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return int(json.loads(lines[-1])["step"]) if lines else 0
