"""The statistics by plain autograd on a whole matrix: small n, learned similarities, second derivatives.

S (n, m) scores, W (n, m) weights ≥ 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from counterpoint.core.similarity.precision import ln


def lse(S: Tensor, W: Tensor) -> Tensor:
    """log Σ_j W_ij exp(S_ij), (n,); −∞ with gradient 0 for a row without weight."""
    S = S.masked_fill(W == 0, -torch.inf)
    top = S.detach().amax(1, keepdim=True) if S.shape[1] else S.new_full((len(S), 1), -torch.inf)
    top = top.masked_fill(top == -torch.inf, 0.0)
    mass = ((S - top).exp() * W).sum(1)
    empty = mass == 0
    return (ln(mass.masked_fill(empty, 1.0)) + top[:, 0]).masked_fill(empty, -torch.inf)


def mean(S: Tensor, W: Tensor) -> Tensor:
    """Σ_j W_ij S_ij / Σ_j W_ij, (n,); 0 for a row without weight."""
    mass = W.sum(1)
    return torch.where(W == 0, 0.0, S * W).sum(1) / mass.masked_fill(mass == 0, 1.0)


def softmax_mean(S: Tensor, W: Tensor, sharpness: float, through_weights: bool) -> Tensor:
    """Σ_j p_ij S_ij, p = softmax_j(sharpness · S + log W), (n,); 0 for a row without weight."""
    sharp = (S if through_weights else S.detach()) * sharpness
    P = (sharp - lse(sharp, W).nan_to_num(neginf=0.0)[:, None]).masked_fill(W == 0, -torch.inf).exp() * W
    return torch.where(W == 0, 0.0, P * S).sum(1)


def sum_of(S: Tensor, W: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Σ_j W_ij f(S_ij), (n,)."""
    return torch.where(W == 0, 0.0, function(S) * W).sum(1)
