"""Measures that need the encoder itself: functions of (embed, data)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Whole, check
from counterpoint.evaluation.agreement import neighbour_agreement
from counterpoint.evaluation.inputs import generator_of, matrix, pair
from counterpoint.evaluation.retrieval import paired_retrieval

Embed = Callable[[Tensor], Any]
Distort = Callable[[Tensor, Generator], Any]


def robustness(
    embed: Embed, x: Tensor, distortions: Mapping[str, Distort], *, k: Count = 20, batch: Count = 512, seed: Whole = 0
) -> dict[str, dict[str, float]]:
    """What each distortion does to the embedding of x (n, …): {name: {"cosine", "neighbour_agreement", "found"}}; 1 = nothing.

    cosine: mean similarity of an item to its distorted self. neighbour_agreement: share of the k nearest others that stay the same. found:
    share of distorted items whose own original is nearest among all n, which a collapsed embedding cannot fake as it does the cosine.

    embed: (b, …) → (b, d); called in batches without gradient; bring the model to eval mode first.
    distortions: name → (batch, generator) → the distorted batch, or it with keys, as transforms of views give it.
    k: neighbours compared; n − 1 where there are fewer.
    batch: items at a time.
    seed: of the distortions.
    """
    check(batch, Count, "robustness: batch")
    if len(x) < 2:
        raise DataError(f"robustness of {len(x)} items; at least 2 are needed")
    plain = _embedded(embed, x.split(batch))
    found = {}
    for name, distort in distortions.items():
        generator = generator_of(seed)
        z = _embedded(embed, (_only(distort(piece, generator)) for piece in x.split(batch)))
        a, b = pair(z, plain, (f"embeddings under {name}", "the plain embeddings"), rows=True)
        found[name] = {
            "cosine": float(F.cosine_similarity(a.double(), b.double(), dim=1).mean()),
            "neighbour_agreement": neighbour_agreement(a, b, k=k, seed=seed),
            "found": paired_retrieval(a, b, at=(1,))["recall_at_1"],
        }
    return found


def _embedded(embed: Embed, pieces: Any) -> Tensor:
    with torch.no_grad():
        return torch.cat([matrix(embed(piece)).cpu() for piece in pieces])


def _only(made: Any) -> Tensor:
    tensor: Tensor = made[0] if isinstance(made, tuple) else made
    return tensor
