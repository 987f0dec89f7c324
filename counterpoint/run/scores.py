"""Embeddings of a data set, and the score table of a run on it."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint import evaluation
from counterpoint.core.recipe import Batch, Progress


def embed(model: nn.Module, given: Any, batch: int = 512) -> np.ndarray:
    """Embeddings (n, d) float32 of a data set, in eval mode."""
    model.eval()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    pieces = []
    with torch.no_grad():
        for made in in_order(given, batch):
            pieces.append(model.embed(made.to(device))["embedding"].z.float().cpu())  # type: ignore[operator]
    return cast(np.ndarray, torch.cat(pieces).numpy())


def in_order(given: Any, batch: int) -> Any:
    pieces = given.ids.split(batch)
    return (given.batch(piece) for piece in pieces) if given.in_memory else given.loader(iter(pieces))


def evaluate(run: Any, given: Any, split: Tensor, seed: int) -> dict[str, Any]:
    """The score table of a run on a data set: see evaluation.table for what is in it."""
    label = run.config["data"]["read"].get("label") or "label"
    labels = given.columns.get("label", given.columns.get(label))
    groups = given.columns.get("group")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = run.recipe.encoder(run.spec).eval()
    test = (split == 1).nonzero().flatten() if bool((split == 1).any()) else torch.arange(given.items)
    few = given.ids[test[:1024]]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = run.recipe.views(given.batch(few), torch.Generator().manual_seed(seed), Progress())
    arms = {"trained": embed(run.model, given), "untrained": embed(untrained, given), "raw": given.flat(given.ids)}
    pair = two_alike(made)
    views = {}
    if pair is not None:
        for name, model in (("trained", run.model), ("untrained", untrained)):
            device = next((p.device for p in model.parameters()), torch.device("cpu"))
            with torch.no_grad():
                views[name] = tuple(
                    model.embed(Batch(v.fields, v.keys).to(device))["embedding"].z.float().cpu().numpy()
                    for v in pair  # type: ignore[operator]
                )
    result = evaluation.table(
        arms,
        None if labels is None else np.asarray(labels),
        np.asarray(split),
        groups=None if groups is None else np.asarray(groups),
        views=views or None,
        seed=seed,
    )
    names = given.names.get("label")
    return {**result, "method": run.config["method"], "data": run.config["data"]["understood"], **({"classes": names} if names else {})}


def two_alike(views: Any) -> Any:
    """Two views of the same role and modality, or None."""
    for i, first in enumerate(views):
        for second in views[i + 1 :]:
            if first.name == second.name and set(first.fields) == set(second.fields):
                return first, second
    return None
