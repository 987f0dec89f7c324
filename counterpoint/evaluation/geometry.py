"""The shape of an embedding, without labels: alignment, uniformity, effective rank, spectrum."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Positive, Whole, check
from counterpoint.evaluation.inputs import matrix, pair, sample


def alignment(first: Any, second: Any, *, power: Positive = 2.0) -> float:
    """Mean of |x − y|^power over positive pairs, rows i of two views (n, d) brought to length 1. In [0, 2^power]; lower is better.

    Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere", ICML 2020, eq. 4.

    power: exponent α, 2 in the paper.
    """
    check(power, Positive, "alignment: power")
    a, b = pair(first, second, ("the first views", "the second views"), rows=True)
    if a.shape != b.shape or not len(a):
        raise DataError(f"alignment: views of shapes {tuple(a.shape)} and {tuple(b.shape)}; they must be equal and not empty")
    a, b = F.normalize(a.double(), dim=1), F.normalize(b.double(), dim=1)
    return float((a - b).norm(dim=1).pow(power).mean())


def uniformity(z: Any, *, scale: Positive = 2.0, most: Count = 4096, seed: Whole = 0) -> float:
    """log of the mean of exp(−scale · |x − y|²) over all pairs of different rows of z (n, d), brought to length 1.

    In [−4 · scale, 0]; lower is more uniform, 0 is collapse. Wang & Isola, ICML 2020, eq. 5 (t = 2). A row is never paired with itself, so
    that the mean inside the logarithm is unbiased. Over all pairs of at most `most` rows, in tiles.

    scale: t of the paper.
    most: rows used, drawn at random where there are more.
    seed: of that draw.
    """
    check(scale, Positive, "uniformity: scale")
    z = matrix(z)
    if len(z) < 2:
        raise DataError(f"uniformity of {len(z)} rows; at least 2 are needed")
    z = F.normalize(z[sample(len(z), most, seed).to(z.device)], dim=1)
    total = torch.zeros((), dtype=torch.float64, device=z.device)
    for left in range(0, len(z), 1024):
        cosine = z[left : left + 1024] @ z[left:].T  # the upper triangle; each pair once
        kernel = torch.exp((cosine.clamp(max=1) - 1) * (2 * scale)).triu(1)
        total = total + kernel.double().sum()
    return math.log(float(total) / (len(z) * (len(z) - 1) / 2))


def spectrum(z: Any, *, centre: bool = True, most: Count = 2048, seed: Whole = 0) -> Tensor:
    """Singular values of z (n, d), largest first: (min(n, d),) float64 on the CPU.

    centre: take the mean row away first.
    most: where n and d are both larger, that many rows are drawn (the cost is the cube of the smaller side).
    seed: of that draw.
    """
    z = matrix(z)
    if not len(z):
        raise DataError("the spectrum of no rows; at least 1 is needed")
    if min(z.shape) > most:
        z = z[sample(len(z), most, seed).to(z.device)]
    z = z.double()
    z = z - z.mean(0) if centre else z
    size = z.abs().max().clamp(min=1e-300)
    z = z / size  # so that no square over- or underflows
    gram = z @ z.T if len(z) <= z.shape[1] else z.T @ z
    return (torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0) * size).cpu()


def effective_rank(z: Any, *, centre: bool = False, most: Count = 2048, seed: Whole = 0) -> float:
    """exp of the entropy of the singular values of z (n, d) as shares of their sum: between 1 and min(n, d); 0 where z is all zero.

    Roy & Vetterli, "The effective rank", EUSIPCO 2007; as RankMe (Garrido et al., ICML 2023, eq. 1), which takes no mean away.

    centre: take the mean row away first.
    most: where n and d are both larger, that many rows are drawn.
    seed: of that draw.
    """
    values = spectrum(z, centre=centre, most=most, seed=seed)
    # What is smaller than rounding allows to tell from zero is zero.
    values = values[values > values[0] * 1e-7 * len(values) ** 0.5]
    if not len(values):
        return 0.0
    share = values / values.sum()
    return float(torch.exp(-(share * share.log()).sum()))
