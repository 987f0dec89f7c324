"""Soft assignment by Student's t-distribution and its sharpened target, as in deep embedded clustering."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from counterpoint.clustering.kmeans import kmeans
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Positive, check


def student_t(x: Tensor, centres: Tensor, *, freedom: Positive = 1.0) -> Tensor:
    """q_ij ∝ (1 + |x_i − c_j|² / ν)^(−(ν + 1) / 2), rows sum to 1: rows (n, d), centres (k, d) → (n, k), in float32 at least.

    Xie, Girshick & Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016, equation 1; ν = 1 there.

    freedom: degrees of freedom ν, > 0; small has heavy tails, large approaches a Gaussian.
    """
    check(freedom, Positive, "student_t: freedom")
    wide = torch.promote_types(torch.promote_types(x.dtype, centres.dtype), torch.float32)
    x, centres = x.to(wide), centres.to(wide)
    middle = centres.detach().mean(0)  # distances stay, digits are saved
    a, c = x - middle, centres - middle
    square = ((a * a).sum(1, keepdim=True) + (c * c).sum(1) - 2 * (a @ c.T)).clamp(min=0)
    return torch.softmax(torch.log1p(square / freedom) * (-(freedom + 1) / 2), dim=1)


def sharpened(q: Tensor, *, power: Positive = 2.0) -> Tensor:
    """The target p_ij ∝ q_ij^a / f_j with f_j = ∑_i q_ij: confident rows count more, large clusters less; (n, k) → (n, k), no gradient.

    Xie et al., ICML 2016, equation 3, where a = 2.

    power: exponent a, > 0; 1 only balances, more sharpens.
    """
    check(power, Positive, "sharpened: power")
    q = q.detach()
    q = q if q.dtype == torch.float64 else q.float()
    log = power * q.clamp(min=1e-38).log() - q.sum(0).clamp(min=1e-38).log()
    return torch.softmax(log, dim=1)


def start_centres(run: Any, *, part: str = "prototypes", starts: Count = 20) -> None:
    """A round: the centres that a part of the model learns are set to those of k-means on the embedding of all training items.

    part: child of the model with `weight` (k, d).
    starts: of k-means.
    """
    weight = run.model.get_submodule(part).weight
    rows = run.embed_all()
    if rows.z.shape[1] != weight.shape[1]:
        raise RequirementError(
            f"the centres of {part!r} have {weight.shape[1]} numbers and the embedding {rows.z.shape[1]}; they must agree"
        )
    seeded = Generator().manual_seed(int(torch.randint(2**31, (1,))))  # the loop seeds torch for every round
    found = kmeans(rows.z.float().cpu(), k=min(len(weight), len(rows)), starts=starts, generator=seeded)
    with torch.no_grad():
        weight[: len(found.centres)].copy_(found.centres)
