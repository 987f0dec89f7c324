"""Views of plain vectors, (b, d) float32, standardised by column; NaN = missing and stays so unless it is replaced."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.core.options import NotNegative, Positive, Share
from counterpoint.views import draw, masking, mixing

Keys = dict[str, Tensor]


def corrupt(
    x: Tensor,
    generator: Generator,
    *,
    share: Share = 0.3,
    noise: NotNegative = 0.0,
    drop: Share = 0.0,
) -> tuple[Tensor, Keys]:
    """A share of each item's entries is replaced by the same column's value of random items (SCARF, Bahri et al. 2022); then noise, drop.

    share: share of entries replaced; 0.6 in the paper, whose tables are wide; 0.3 keeps more of narrow ones.
    noise: standard deviation of normal noise on all entries, in the column's own.
    drop: share of entries set to 0, the column's mean.
    """
    chosen = masking.mask(torch.ones_like(x, dtype=torch.bool), generator, share=share)
    view = mixing.resample(x.float(), generator, chosen)
    keys = {"corrupted": chosen}
    if noise > 0:
        view = view + noise * draw.normal(x, generator, *x.shape)
    if drop > 0:
        keys["dropped"] = draw.chance(x, generator, drop, *x.shape)
        view = view.masked_fill(keys["dropped"], 0.0)
    return view, keys


def noise(x: Tensor, generator: Generator, *, scale: Positive = 0.1) -> tuple[Tensor, Keys]:
    """Normal noise on every entry.

    scale: standard deviation, in the column's own.
    """
    return x.float() + scale * draw.normal(x, generator, *x.shape), {}


def drop(x: Tensor, generator: Generator, *, share: Share = 0.2) -> tuple[Tensor, Keys]:
    """A share of each item's entries set to 0, the column's mean.

    share: share of entries.
    """
    gone = masking.mask(torch.ones_like(x, dtype=torch.bool), generator, share=share)
    return x.float().masked_fill(gone, 0.0), {"dropped": gone}


def mixup(x: Tensor, generator: Generator, *, alpha: Positive = 1.0, least: Share = 0.5) -> tuple[Tensor, Keys]:
    """A weighted mean with another item.

    alpha: the share of the item ~ Beta(alpha, alpha).
    least: the item keeps at least this share.
    """
    return mixing.mixup(x, generator, alpha=alpha, least=least)
