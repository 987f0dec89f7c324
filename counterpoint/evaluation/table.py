"""The score table: every arm measured the same way, with the protocol in words beside the figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import CounterpointError, DataError
from counterpoint.core.options import Count, Positive, Whole, check
from counterpoint.evaluation.agreement import neighbour_agreement
from counterpoint.evaluation.clusters import clusters
from counterpoint.evaluation.geometry import alignment, effective_rank, uniformity
from counterpoint.evaluation.inputs import generator_of, matrix
from counterpoint.evaluation.neighbours import knn
from counterpoint.evaluation.probe import GRID, fit_probe
from counterpoint.evaluation.retrieval import retrieval
from counterpoint.evaluation.setting import CLUSTERS_WITHOUT_LABELS, STARTS, Setting, arrange
from counterpoint.evaluation.splits import OpenShare

WIDE, HASHED = 8192, 4096  # arms with more columns (raw pictures, as a rule) are hashed, else their probe would outlast the training
RETRIEVAL = ("recall_at_1", "recall_at_5", "recall_at_10", "map")


def table(
    arms: Mapping[str, Any],
    labels: Any = None,
    split: Any = None,
    groups: Any = None,
    views: Mapping[str, tuple[Any, Any]] | None = None,
    *,
    seed: Whole = 0,
    k: Count = 20,
    temperature: Positive = 0.07,
    share: OpenShare = 0.2,
    grid: Sequence[float] = GRID,
    limit: Count = 50_000,
    about: str = "checkpoint last, encoders in eval mode",
) -> dict[str, Any]:
    """All figures of all arms: {"protocol": str, "scores": {arm: {figure: float}}, "spread", "classes", "n_train", "n_test", …}, JSON-able.

    Figures: knn, linear (train → test) · acc, nmi, ari, silhouette (k-means; "spread" holds their deviation over three seeds) ·
    recall_at_1, recall_at_5, recall_at_10, map (among the test items) · uniformity, effective_rank · alignment, neighbour_agreement (of two
    views) · raw_agreement (of an item's neighbours with those in the raw input). A figure that cannot be had (no labels, one class, too few
    items) is absent, and the protocol says why. "majority": what guessing the most frequent class of train would give.

    arms: name → embeddings (n, d) of the same n items: "trained", "untrained", "raw". Where there is "raw" and no "pca", PCA of the raw
    input is added, fitted on the train rows, as wide as the trained embedding. More than 8192 columns are hashed to 4096.
    labels: (n,) classes, −1 = unknown: left out of all that needs labels, and counted.
    split: (n,) 0 = train, 1 = test, −1 = in neither; None = drawn by `holdout`. Test items whose group is in train as well are left out.
    groups: (n,) group of each item, kept whole.
    views: arm → embeddings of two views of the same items, (m, d) each; with m = n those of the test part are taken.
    seed: of every draw; k-means runs with seed, seed + 1, seed + 2.
    k: neighbours of the vote and of the agreement; all there are where they are fewer.
    temperature: of the vote.
    share: of the items that go to the test where no split is given.
    grid: values of C among which the linear probe chooses.
    limit: rows of train, and of test, at most; more are drawn at random, and the protocol says so.
    about: first words of the protocol: where the embeddings come from.

    Raises DataError where arms do not fit each other and LabelError where labels, groups or split do not fit the items.
    """
    for name, value, hint in (("seed", seed, Whole), ("k", k, Count), ("temperature", temperature, Positive), ("limit", limit, Count)):
        check(value, hint, f"table: {name}")
    rows = {name: matrix(z, f"the {name} embeddings", finite=False).cpu() for name, z in arms.items()}
    items = {len(z) for z in rows.values()}
    if len(items) != 1 or 0 in items:
        given = ", ".join(f"{name} {len(z)}" for name, z in rows.items()) or "no arms"
        raise DataError(f"table: embeddings of differing or no items ({given}); one row per item is needed in at least one arm")
    now = arrange(items.pop(), labels, split, groups, share=share, limit=limit, seed=seed, k=k, temperature=temperature, grid=grid)
    for name, z in list(rows.items()):
        bad = int((~torch.isfinite(z)).any(1).sum())
        if bad:
            now.note(f"{name}: {bad} of {len(z)} rows are NaN or infinite, nothing measured")
            del rows[name]
        elif z.shape[1] > WIDE:
            now.note(f"{name}: {z.shape[1]} columns hashed to {HASHED} with random signs")
            rows[name] = _hashed(z, now.seed)
    if "raw" in rows and "pca" not in arms:
        project = _add_pca(rows, now)
        if project is not None and views and "raw" in views and views["raw"][0].shape[1] == rows["raw"].shape[1]:
            first, second = (project(matrix(v, "the raw views", finite=False).cpu()) for v in views["raw"])
            views = {**views, "pca": (first, second)}
    scores: dict[str, dict[str, float]] = {name: {} for name in (*arms, *rows)}
    spread: dict[str, dict[str, float]] = {}
    for name, z in rows.items():
        into = scores[name]
        _labelled(now, name, z, into)
        spread[name] = _clusters(now, name, z, into)
        here = z[now.here]
        if now.classes(now.here) > 1:
            _add(now, into, RETRIEVAL, retrieval, here, now.labels[now.here], seed=seed)
        _add(now, into, ("uniformity",), uniformity, here, seed=seed)
        _add(now, into, ("effective_rank",), effective_rank, here, seed=seed)
        if views and name in views:
            both = [matrix(v, "the views", finite=False).cpu() for v in views[name]]
            both = [v[now.here] for v in both] if all(len(v) == now.items for v in both) else both
            _add(now, into, ("alignment",), alignment, *both)
            _add(now, into, ("neighbour_agreement",), neighbour_agreement, *both, k=k, seed=seed)
        if name != "raw" and "raw" in rows:
            _add(now, into, ("raw_agreement",), neighbour_agreement, here, rows["raw"][now.here], k=k, seed=seed)
    train, test = now.known(now.train), now.known(now.test)
    labelled = bool((now.labels >= 0).any())
    result = {
        "protocol": now.protocol(about),
        "scores": scores,
        "spread": spread,
        "classes": now.classes(torch.arange(now.items)),
        "n_train": len(train if labelled else now.train),
        "n_test": len(test if labelled else now.test),
        "unlabelled": int((now.labels < 0).sum()),
        "seeds": list(now.seeds),
    }
    if len(train) and len(test):
        result["majority"] = float((now.labels[test] == now.labels[train].mode().values).double().mean())
    return result


def _add(now: Setting, into: dict[str, float], names: Sequence[str], measure: Any, *args: Any, **option: Any) -> None:
    """Add the figures `names` that `measure` gives, or note why they cannot be had."""
    try:
        given = measure(*args, **option)
    except CounterpointError as error:
        now.note(f"no {', '.join(names)}: {error}")
        return
    values = given if isinstance(given, dict) else {names[0]: given}
    into.update({name: values[name] for name in names if math.isfinite(values[name])})


def _hashed(z: Tensor, seed: int) -> Tensor:
    """(n, HASHED): columns dealt at random and added up with random signs, which keeps inner products in expectation (Weinberger et al.,
    "Feature Hashing for Large Scale Multitask Learning", ICML 2009)."""
    generator = generator_of(seed)
    column = torch.randint(HASHED, (z.shape[1],), generator=generator)
    sign = torch.randint(2, (z.shape[1],), generator=generator) * 2.0 - 1
    out = z.new_zeros(len(z), HASHED)
    for left in range(0, len(z), 1024):
        out[left : left + 1024].index_add_(1, column, z[left : left + 1024] * sign.to(z))
    return out


def _add_pca(rows: dict[str, Tensor], now: Setting) -> Callable[[Tensor], Tensor] | None:
    """Principal components of the raw input, fitted on train, as wide as the trained embedding (or the first other arm).

    Returns the projection, for views of the raw input.
    """
    raw = rows["raw"]
    others = [name for name in ("trained", "untrained", *rows) if name in rows and name != "raw"]
    train = raw[now.train] if len(now.train) else raw
    width = min(rows[others[0]].shape[1] if others else 64, raw.shape[1], len(train) - 1)
    if width < 1:
        now.note("no PCA: too few train items")
        return None
    from sklearn.decomposition import PCA

    # Centred here: scikit-learn divides by the variance that is left, which is 0 where all rows are equal.
    mean = train.mean(0)
    train = train - mean
    if not bool(train.any()):
        now.note("no PCA: the raw input is the same for all train items")
        return None
    fitted = PCA(width, random_state=now.seed).fit(train.numpy())
    components = torch.as_tensor(fitted.components_, dtype=raw.dtype)
    rows["pca"] = (raw - mean) @ components.T
    return lambda x: (x - mean) @ components.T


def _labelled(now: Setting, name: str, z: Tensor, into: dict[str, float]) -> None:
    """knn and linear, from train to test."""
    train, test = now.known(now.train), now.known(now.test)
    if not len(train) + len(test):
        return
    if now.classes(train) < 2 or not len(test):
        have = f"{now.classes(train)} class{'es' * (now.classes(train) != 1)}"
        now.note(f"no knn, linear: {have} among {len(train)} labelled train items, {len(test)} labelled test items")
        return
    into["knn"] = knn(z[train], now.labels[train], z[test], now.labels[test], k=now.k, temperature=now.temperature)
    groups = None if now.groups is None else now.groups[train]
    probe = fit_probe(z[train], now.labels[train], grid=now.grid, groups=groups, seed=now.seed)
    into["linear"] = float((probe.predict(z[test]) == now.labels[test]).double().mean())
    now.chosen[name] = probe.c
    if not probe.chosen and len(now.grid) > 1:
        now.note(f"too few train items to choose C, {probe.c:g} taken")
    if not probe.converged:
        now.note(f"{name}: the linear probe had not converged")


def _clusters(now: Setting, name: str, z: Tensor, into: dict[str, float]) -> dict[str, float]:
    """acc, nmi, ari and silhouette into the scores; their deviation over the seeds is returned."""
    here, classes = now.here, now.classes(now.here)
    if classes == 1:
        now.note("no acc, nmi, ari: one class among the items measured")
    k = classes if classes > 1 else CLUSTERS_WITHOUT_LABELS
    if len(here) <= k:
        now.note(f"no clusters: {len(here)} items for {k}")
        return {}
    found = clusters(z[here], now.labels[here] if classes > 1 else None, k=k, seeds=now.seeds, starts=STARTS)
    if "silhouette" not in found:
        now.note(f"{name}: no silhouette, k-means finds a single cluster")
    into.update({figure: mean for figure, (mean, _) in found.items()})
    return {figure: deviation for figure, (_, deviation) in found.items()}
