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
    rows = range(len(matrix))
    whole = getattr(twin, "whole", False)
    values = twin(matrix, positive, negative, **options) if whole else [twin(matrix[i], positive[i], negative[i], **options) for i in rows]
    known = [v for v in values if v is not None]
    return (sum(known) / len(known) if known else 0 * matrix.sum()), [v is not None for v in values]


def whole(twin: Callable) -> Callable:
    """Mark a twin of all rows at once: (n, m) scores, positives and negatives -> a value or None for each row."""
    twin.whole = True
    return twin


def gradients(value: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(value, tensors, allow_unused=True)
    return [torch.zeros_like(t) if f is None else f for t, f in zip(tensors, found, strict=True)]


# ---- the twins of the other losses


def margin(s, p, k, *, positive=0.9, negative=0.4):
    if p.sum() + k.sum() == 0:
        return None
    pull = sum(p[j] * max(0 * s[j], positive - s[j]) for j in range(len(s))) / max(float(p.sum()), 1e-30)
    push = sum(k[j] * max(0 * s[j], s[j] - negative) for j in range(len(s))) / max(float(k.sum()), 1e-30)
    return pull + push


def triplet(s, p, k, *, margin=0.2, mining="semi_hard", active=True):
    if p.sum() == 0 or k.sum() == 0:
        return None
    costs = []
    for a in range(len(s)):
        if p[a] > 0:
            far = [j for j in range(len(s)) if k[j] > 0]
            if mining == "hardest":
                far = [max(far, key=lambda j: float(s[j].detach()))]
            for j in far:
                x = s[j] - s[a] + margin
                costs.append(torch.relu(x) * (0 if mining == "semi_hard" and x >= margin else 1))
    return sum(costs) / max(sum(float(c.detach()) > 0 for c in costs) if active else len(costs), 1)


def multi_similarity(s, p, k, *, positive=2.0, negative=50.0, base=0.5):
    if p.sum() + k.sum() == 0:
        return None
    near = sum(p[j] * torch.exp(-positive * (s[j] - base)) for j in range(len(s)))
    far = sum(k[j] * torch.exp(negative * (s[j] - base)) for j in range(len(s)))
    return torch.log(1 + near) / positive + torch.log(1 + far) / negative


def cacr(s, p, k, *, attraction=1.0, repulsion=1.0, positive_sharpness=1.0, negative_sharpness=2.0):
    if p.sum() == 0 or k.sum() == 0:
        return None
    d = 2 - 2 * s
    w = p * torch.exp(positive_sharpness * d)
    v = k * torch.exp(-negative_sharpness * d)
    return attraction * (w * d).sum() / w.sum() - repulsion * (v * d).sum() / v.sum()


def reweighted(s, p, k, *, temperature=0.2, hardness=0.5, prior=0.0):
    if p.sum() == 0:
        return None
    if k.sum() == 0:
        return 0 * s.sum()
    e = torch.exp(s / temperature)
    own, m = (p * e).sum(), k.sum()
    w = k * e**hardness / (k * e**hardness).sum()
    against = m * (w * e).sum()
    if prior:
        against = torch.maximum((against - prior * m * own) / (1 - prior), m * torch.exp(torch.tensor(-1 / temperature)))
    return -torch.log(own / (own + against))


def density_ratio(s, p, k, *, temperature=1.0, noise=None, measure="logistic"):
    if p.sum() == 0 or k.sum() == 0:
        return None
    x = s / temperature
    near, far = lambda f: (p * f).sum() / p.sum(), lambda f: (k * f).sum() / k.sum()
    if measure == "exponential":
        return -near(x) + far(x.exp()) - 1
    if measure == "square":
        return -near(x.exp()) + far((2 * x).exp()) / 2 + 0.5
    nu = noise if noise is not None else float(k.sum() / p.sum())
    yes = x.exp() / (x.exp() + nu)  # the chance of a pair against ν draws of noise
    return -near(yes.log()) - nu * far((1 - yes).log())


def _number(x):
    return float(x.detach())


def groco(s, p, k, *, nearest=10, steepness=1.0):
    """With whole permutation matrices, as the network is defined."""
    if p.sum() == 0 or k.sum() == 0:
        return None
    low = sorted((s[j] for j in range(len(s)) if k[j] > 0), key=_number)[-nearest:]
    x = torch.stack([*low, *sorted((s[j] for j in range(len(s)) if p[j] > 0), key=_number)])
    m, n = len(x), len(low)
    P = torch.eye(m, dtype=x.dtype)
    for layer in range(m):
        step = torch.eye(m, dtype=x.dtype)
        for j in range(layer % 2, m - 1, 2):
            c = 0.5 + torch.atan(steepness * (x[j + 1] - x[j])) / torch.pi
            step = step + torch.zeros_like(step).index_put(
                (torch.tensor([j, j + 1, j, j + 1]), torch.tensor([j, j + 1, j + 1, j])), torch.stack([c - 1, c - 1, 1 - c, 1 - c])
            )
        x, P = step.T @ x, P @ step
    chance = P[:, :n].sum(1)
    return -torch.cat([chance[:n], 1 - chance[n:]]).log().mean()


@whole
def weighted(S, P, K, *, temperature=0.1, sigma=0.5):
    """DCLW: positives weigh 2 − exp(s_ip / σ) over its mean, which passes its gradient."""
    there = [bool(p.sum() > 0 and k.sum() > 0) for p, k in zip(P, K, strict=True)]
    own = [mean(S[i], P[i]) for i in range(len(S)) if there[i]]
    middle = sum(torch.exp(s / sigma) for s in own) / len(own) if own else None
    out = []
    for i, counted in enumerate(there):
        if counted:
            s = mean(S[i], P[i])
            out.append(-(2 - torch.exp(s / sigma) / middle) * s / temperature + lse(S[i] / temperature, K[i]))
        else:
            out.append(None)
    return out


def neighbouring(s, p, k, *, temperature=1.0):
    if p.sum() == 0:
        return None
    e = torch.exp(s / temperature)
    return torch.log(sum(e[j] for j in range(len(s)) if p[j] > 0 or k[j] > 0)) - torch.log((p * e).sum())


@whole
def active_margin(S, P, K, *, margin=0.5, balance=0.5, active=True, least=1e-6):
    near, far, rows = [], [], []
    for i in range(len(S)):
        rows.append([0 * S[i].sum(), 0 * S[i].sum()])
        for j in range(S.shape[1]):
            d = (1 - S[i, j]) / 2
            if P[i, j] > 0:
                rows[i][0] = rows[i][0] + P[i, j] * d
                near.append(P[i, j] * bool(not active or d > least))
            if K[i, j] > 0:
                hinge = torch.relu(margin - d)
                rows[i][1] = rows[i][1] + K[i, j] * hinge
                far.append(K[i, j] * bool(not active or hinge > least))
    counted = [bool(P[i].sum() + K[i].sum() > 0) for i in range(len(S))]
    one, two = (max(float(sum(x)), 1.0) for x in (near, far))
    return [sum(counted) * (balance * r[0] / one + (1 - balance) * r[1] / two) if c else None for r, c in zip(rows, counted, strict=True)]


@whole
def score_gap(S, P, K, *, whole=False):
    rows = [i for i in range(len(S)) if P[i].sum() > 0 and K[i].sum() > 0]
    own = {i: mean(S[i], P[i]) for i in rows}
    top = {i: max((S[i, j] for j in range(S.shape[1]) if K[i, j] > 0), key=_number) for i in rows}
    out = []
    for i in range(len(S)):
        if i not in rows:
            out.append(None)
            continue
        low, high = (min(own.values(), key=_number), max(top.values(), key=_number)) if whole else (own[i], top[i])
        least, most = torch.minimum(low, high), torch.maximum(low, high)
        push = sum(K[i, j] * torch.relu(most - S[i, j]) for j in range(S.shape[1])) / K[i].sum()
        out.append(torch.relu(own[i] - least) + push)
    return out
