"""Every loss once more, row by row and pair by pair, as its definition reads. Slow, in float64, by plain autograd.

A twin takes s (m,), the scores of one anchor, p (m,) the weights of its positives and k (m,) those of its negatives, and returns the loss
of that row, or None where the row does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation, Scores


def lse(s: Tensor, w: Tensor) -> Tensor:
    return torch.log(sum(w[j] * torch.exp(s[j]) for j in range(len(s)) if w[j] > 0))


def mean(s: Tensor, w: Tensor) -> Tensor:
    return sum(w[j] * s[j] for j in range(len(s)) if w[j] > 0) / w.sum()


def info_nce(s, p, k, *, temperature=0.1, several="together", negatives="sum"):
    if p.sum() == 0:
        return None
    s = s / temperature
    if k.sum() == 0:
        return 0 * s.sum()
    against = lse(s, k).exp() / (k.sum() if negatives == "mean" else 1)
    if several == "each":
        return sum(p[j] * torch.log(1 + against / torch.exp(s[j])) for j in range(len(s)) if p[j] > 0) / p.sum()
    own = lse(s, p).exp()
    return -torch.log(own / (own + against))


def decoupled(s, p, k, *, temperature=0.1):
    if p.sum() == 0 or k.sum() == 0:
        return None
    return -mean(s, p) / temperature + lse(s / temperature, k)


def supervised(s, p, k, *, temperature=0.1, mean="out", soft=False):
    if p.sum() == 0:
        return None
    s = s / temperature
    total = torch.log(sum(torch.exp(s[j]) for j in range(len(s)) if soft or p[j] > 0 or k[j] > 0))
    if mean == "in":
        return total - torch.log(sum(p[j] * torch.exp(s[j]) for j in range(len(s))) / p.sum())
    return -sum(p[j] * (s[j] - total) for j in range(len(s))) / p.sum()


def cosine_regression(s, p, k):
    return None if p.sum() == 0 else sum(p[j] * (2 - 2 * s[j]) for j in range(len(s))) / p.sum()


def sigmoid(s, p, k, *, temperature=0.1, bias=-10.0):
    if p.sum() + k.sum() == 0:
        return None
    x = s / temperature + bias
    return -sum(
        (p[j] * torch.sigmoid(x[j]).log() if p[j] > 0 else 0) + (k[j] * torch.sigmoid(-x[j]).log() if k[j] > 0 else 0)
        for j in range(len(s))
    )


@dataclass(frozen=True)
class Case:
    """Rows and pairs: anchors (n, d), candidates (m, d) or None for the anchors themselves."""

    name: str
    anchors: Tensor
    candidates: Tensor | None
    positive: Relation
    candidate: Relation
    leaves: list[Tensor] = field(default_factory=list)

    def pairs(self) -> Pairs:
        c = self.anchors if self.candidates is None else self.candidates
        return Pairs(self.positive, self.candidate, (len(self.anchors), len(c)))

    def tensors(self, dtype: torch.dtype) -> list[Tensor]:
        return [t.detach().to(dtype).clone().requires_grad_() for t in (self.anchors, self.candidates) if t is not None]


def cases() -> list[Case]:
    """Two views, labels (some alone, some unknown), two modalities, a queue with ignored rows, graded edges, one row without candidates."""
    g = torch.Generator().manual_seed(0)

    def draw(n: int) -> Tensor:
        return torch.randn(n, 5, generator=g, dtype=torch.float64)

    me = Relation.itself()
    labels = torch.tensor([0, 0, 0, 1, 1, 2, -1, 0, 1])
    half = torch.arange(10).roll(5)
    edges = (
        torch.tensor([0, 0, 1, 3, 3, 3]),
        torch.tensor([1, 4, 0, 2, 5, 6]),
        torch.tensor([1.0, 0.25, 0.5, 2.0, 1.0, 0.125], dtype=torch.float64),
    )
    graded = Relation.sparse(*edges)
    ignored = Relation.sparse(torch.tensor([0, 1, 2]), torch.tensor([6, 7, 8]))
    alone = Relation.sparse(torch.tensor([0, 0, 0, 0, 2, 2, 2]), torch.tensor([0, 1, 2, 3, 1, 2, 3]))
    return [
        Case("two views", draw(10), None, Relation.index(half), Relation.all().without(me)),
        Case("labels", draw(9), None, Relation.equal(labels).without(me), Relation.all().without(me)),
        Case("two modalities", draw(6), draw(6), Relation.itself(), Relation.all()),
        Case("queue", draw(4), draw(9), Relation.index(torch.tensor([0, 1, 2, -1])), Relation.all().without(ignored)),
        Case("graded edges", draw(4), draw(7), graded, Relation.all()),
        Case("nobody", draw(3), draw(4), Relation.index(torch.tensor([-1, -1, 0])), Relation.all().without(alone)),
    ]


def scores_of(tensors: list[Tensor], kind: str = "cosine") -> Scores:
    return getattr(similarity, kind)(tensors[0], tensors[-1])


def plain_scores(tensors: list[Tensor], kind: str = "cosine") -> Tensor:
    a, c = tensors[0], tensors[-1]
    if kind == "cosine":
        return (a / a.norm(dim=1, keepdim=True)) @ (c / c.norm(dim=1, keepdim=True)).T
    return a @ c.T


def total(twin: Callable, matrix: Tensor, pairs: Pairs, **options) -> tuple[Tensor, list[bool]]:
    """(mean of the twin over the rows that count, which rows do)."""
    positive = pairs.positives.dense(pairs.shape).double()
    negative = pairs.negatives.dense(pairs.shape).double()
    values = [twin(matrix[i], positive[i], negative[i], **options) for i in range(len(matrix))]
    known = [v for v in values if v is not None]
    return (sum(known) / len(known) if known else 0 * matrix.sum()), [v is not None for v in values]


def gradients(value: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, tensors, allow_unused=True)
    return [torch.zeros_like(t) if f is None else f for t, f in zip(tensors, found, strict=True)]
