"""Embeddings of a data set, and the score table of a run on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint import evaluation
from counterpoint.core.recipe import Batch, Progress

EVALUATED = 20_000  # items the score table is made of, at most


def embed(model: nn.Module, given: Any, batch: int = 512) -> np.ndarray:
    """Embeddings (n, d) float32 of a data set, in eval mode."""
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    pieces = []
    with torch.no_grad():
        for made in in_order(given, batch):
            pieces.append(model.embed(made.to(device))["embedding"].z.float().cpu())  # type: ignore[operator]
    return torch.cat(pieces).numpy()


def in_order(given: Any, batch: int) -> Any:
    pieces = given.pieces(batch)
    return (given.batch(piece) for piece in pieces) if given.in_memory else given.loader(iter(pieces))


def evaluate(run: Any, given: Any, split: Tensor, seed: int) -> dict[str, Any]:
    """The score table of a run on a data set: see evaluation.table for what is in it."""
    label = run.config["data"]["read"].get("label")
    labels = given.columns.get("label", given.columns.get(label) if isinstance(label, str) else None)
    groups = given.columns.get("group")
    names = given.names.get("label")
    given, split, labels, groups = _few(given, split, labels, groups, seed)
    with seeded(seed):
        untrained = run.recipe.encoder(run.spec).eval()
    arms = {"trained": embed(run.model, given), "untrained": embed(untrained, given), "raw": given.flat(given.ids)}
    result = evaluation.table(
        arms,
        None if labels is None else np.asarray(labels),
        np.asarray(split) if bool((split >= 0).any()) else np.ones(given.items, np.int8),
        groups=None if groups is None else np.asarray(groups),
        views=_views(run, untrained, given, split, seed),
        seed=seed,
    )
    about = {"method": run.config["method"], "data": run.config["data"]["understood"]}
    return {**result, **about, **({"labels": list(names)} if names else {})}


def _views(run: Any, untrained: nn.Module, given: Any, split: Tensor, seed: int) -> dict[str, tuple[Any, Any]] | None:
    """Two views of some test items under each arm, for alignment; None where the recipe makes no two alike."""
    test = (split == 1).nonzero().flatten() if bool((split == 1).any()) else torch.arange(given.items)
    with seeded(seed):
        made = run.recipe.views(given.batch(given.ids[test[:1024]]), torch.Generator().manual_seed(seed), Progress())
    pair = two_alike(made)
    if pair is None:
        return None
    found = {}
    for name, model in (("trained", run.model), ("untrained", untrained)):
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        with torch.no_grad():
            both = [model.embed(Batch(v.fields, v.keys).to(device))["embedding"].z.float().cpu().numpy() for v in pair]  # type: ignore[operator]
        found[name] = (both[0], both[1])
    plain = [given.features(v.fields) for v in pair]
    return found if plain[0] is None else {**found, "raw": (plain[0], plain[1])}


def _few(given: Any, split: Tensor, labels: Any, groups: Any, seed: int) -> tuple[Any, Tensor, Any, Any]:
    """At most EVALUATED items, drawn at random; evaluation holds raw inputs of all its items in memory."""
    if given.items <= EVALUATED:
        return given, split, labels, groups
    kept = torch.randperm(given.items, generator=torch.Generator().manual_seed(seed))[:EVALUATED].sort().values
    return given.subset(given.ids[kept]), split[kept], *(None if x is None else x[kept] for x in (labels, groups))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def two_alike(views: Any) -> Any:
    """Two views of the same role and modality, or None."""
    for i, first in enumerate(views):
        for second in views[i + 1 :]:
            if first.name == second.name and set(first.fields) == set(second.fields):
                return first, second
    return None
