"""Whitening of small groups of channels over a batch: another distortion of the same rows for every way the channels are dealt out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import Count, Positive, Whole
from counterpoint.core.recipe import Embeddings, Progress, Rows, Spec


class _InverseRoot(torch.autograd.Function):
    """C^(−1/2) of symmetric positive definite matrices (…, k, k).

    With C = U diag(λ) Uᵀ the gradient is U (K ∘ Uᵀ G U) Uᵀ, K_ij = −1 / (√λ_i √λ_j (√λ_i + √λ_j)): the difference quotient of λ^(−1/2),
    whole also where eigenvalues are equal, at which the gradient of the eigenvectors themselves breaks.
    """

    @staticmethod
    def forward(ctx: Any, c: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(c)
        root = values.clamp(min=1e-12).sqrt()
        ctx.save_for_backward(root, vectors)
        return (vectors / root.unsqueeze(-2)) @ vectors.mT

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
        root, vectors = ctx.saved_tensors
        rows, columns = root.unsqueeze(-1), root.unsqueeze(-2)
        inner = vectors.mT @ ((g + g.mT) / 2) @ vectors
        return vectors @ (-inner / (rows * columns * (rows + columns))) @ vectors.mT


def group_whitened(x: Tensor, *, group: Count, order: Tensor | None = None, shrink: Positive = 1e-3, detach: bool = False) -> Tensor:
    """(n, d): in each group of `group` channels the rows are centred and multiplied by C^(−1/2), C their covariance over the n rows (ZCA).

    A group of 1 is batch normalisation without scale, a group of d is whitening as a whole. C gets shrink × its mean variance on the
    diagonal, without which fewer rows than channels, or a constant channel, have no inverse. float64 inside.

    group: channels of a group; divides d.
    order: (d,) a permutation by which channels are dealt to groups, undone afterwards; as they are where not given.
    shrink: > 0.
    detach: whether C^(−1/2) is a constant for the gradient, as in the code of WhitenedCSE (paper 039).
    """
    if x.ndim != 2 or x.shape[1] % group:
        raise OptionError(f"group_whitened: groups of {group} channels do not come out even in rows of shape {tuple(x.shape)}")
    if len(x) < 2:
        raise DataError(f"group_whitened: {len(x)} row has no variance; at least two are needed")
    n, d = x.shape
    with torch.autocast(x.device.type, enabled=False):
        dealt = x if order is None else x.index_select(1, order)
        centred = dealt.double() - dealt.double().mean(0)
        groups = centred.view(n, d // group, group).transpose(0, 1)  # (groups, n, group)
        c = groups.mT @ groups / n
        level = c.diagonal(dim1=-2, dim2=-1).mean(-1)[:, None, None]
        c = c + (shrink * level + 1e-8) * torch.eye(group, dtype=c.dtype, device=c.device)
        root: Tensor = _InverseRoot.apply(c.detach() if detach else c)  # type: ignore[no-untyped-call]
        white = (groups @ root).transpose(0, 1).reshape(n, d)
        return (white if order is None else white.index_select(1, order.argsort())).to(x.dtype)


def shuffled(
    spec: Spec, width_h: int, width_z: int, *, group: Whole = 8, shuffle: bool = True, detach: bool = True, shrink: Positive = 1e-3
) -> Shuffled:
    """Every view's rows of h whitened in groups of channels that are dealt anew, then a matrix and a tanh: the space "whitened" (n, width
    of h). WhitenedCSE, paper 039. In eval mode nothing is whitened, so that no row depends on another.

    A batch that goes through in chunks is whitened chunk by chunk, as batch normalisation is.

    group: channels of a group; 0 whitens nothing, 1 is batch normalisation without scale.
    shuffle: whether each view's channels are dealt at random.
    detach: whether whitening is a constant for the gradient.
    shrink: see `group_whitened`.
    """
    if group and width_h % group:
        raise OptionError(f"group = {group} does not divide the encoder's width {width_h}")
    return Shuffled(width_h, group, shuffle, detach, shrink)


class Shuffled(nn.Module):
    """See `shuffled`."""

    def __init__(self, width: int, group: int, shuffle: bool, detach: bool, shrink: float) -> None:
        super().__init__()
        self.group, self.shuffle, self.detach, self.shrink = group, shuffle, detach, shrink
        self.head = nn.Sequential(nn.Linear(width, width), nn.Tanh())

    def forward(self, out: Mapping[str, Rows], now: Progress) -> Embeddings:
        rows = out["h"]
        x = rows.z
        if self.group and self.training:
            white = torch.zeros_like(x)
            for view in rows.keys["view"].unique().tolist():  # a loop over views, not over items
                place = (rows.keys["view"] == view).nonzero()[:, 0]
                order = torch.randperm(x.shape[1]).to(x.device) if self.shuffle else None
                made = group_whitened(x[place], group=self.group, order=order, shrink=self.shrink, detach=self.detach)
                white = white.index_copy(0, place, made)
            x = white
        return {"whitened": rows.holding(self.head(x))}
