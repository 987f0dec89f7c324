"""Soft assignment by Student's t-distribution and its sharpened target, as in deep embedded clustering."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core.options import Positive, check


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
