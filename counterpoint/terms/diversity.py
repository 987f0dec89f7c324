"""Use all codes: a codebook whose mean choice is one code says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.core.errors import OptionError
from counterpoint.core.options import Count
from counterpoint.core.recipe import Embeddings, Progress, RowLoss


def diversity(out: Embeddings, tables: Mapping[str, Any], now: Progress, *, space: str = "choices", groups: Count = 1) -> RowLoss:
    """How far the codebooks are from being used evenly, in [0, 1), the same for every row, (n,).

    L = (G V − Σ_g exp(entropy of p̄_g)) / (G V),   p̄_g (V,) the mean over the rows of the probabilities of codebook g. 0 where all are
    used alike; 1 − 1/V where one code of each is. No chance level: at the start all codes are nearly alike. Of the batch, not of an item.

    space: rows of probabilities (n, G · V), codebook by codebook.
    groups: codebooks, G.
    """
    p = out[space].z.float()
    if p.shape[1] % groups:
        raise OptionError(f"groups = {groups} does not divide the {p.shape[1]} probabilities of {space!r}")
    mean = p.mean(0).view(groups, -1)
    perplexity = (-(mean * mean.clamp(min=1e-9).log()).sum(1)).exp().sum()
    value = (p.shape[1] - perplexity) / p.shape[1]
    return RowLoss(value.expand(len(p)), p.new_ones(len(p)).bool())
