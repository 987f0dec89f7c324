"""Communities of a graph that are learned while nodes are: dense inside, and as wholes contrasted with nodes (paper 038)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from counterpoint.core.errors import RequirementError, nearest
from counterpoint.core.options import NotNegative, Positive
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Rows, requires
from counterpoint.terms.alignment import align


def _unit(z: Tensor) -> Tensor:
    return functional.normalize(z if z.dtype == torch.float64 else z.float(), dim=1)


def _soft(h: Tensor, centres: Tensor, temperature: float) -> Tensor:
    """Assignment (n, k) of unit rows, without gradient to them."""
    return torch.softmax(h.detach() @ _unit(centres).T / temperature, dim=1)


def _views(rows: Rows) -> list[Rows]:
    return [rows.where(rows.keys["view"] == v) for v in rows.keys["view"].unique().tolist()]


@requires(table=("{table}",))
def dense_communities(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    space: str = "z",
    centres: str = "prototypes",
    table: str = "edges",
    temperature: Positive = 0.3,
    balance: NotNegative = 0.1,
    expected: NotNegative = 1.0,
) -> RowLoss:
    """Many edges inside communities, few between them, and none that swallows all; one value per view.

    L = (λ Σ_ab B_ab − (n − 1 + λ) tr B) / (n (n − 1)) + tr(RᵀR) / 2n + ε d Σ_a n_a² / n,
    B = RᵀAR,  R = softmax(h Φᵀ / t)  (n, k),  n_a = Σ_i R_ia,  d = links / n (n − 1): the last term is what chance would put inside.
    Without it, as in the published code, the best partition is a single community, which holds every link.

    Gradient reaches the centres Φ alone. A are the links of the table between the batch's nodes; B is summed over them, never through A.

    space: the nodes' rows.
    centres: a shared space (k, d).
    table: links (2, e) between item ids.
    temperature: t.
    balance: λ, how much links between communities cost.
    expected: ε.
    """
    if table not in tables:
        raise RequirementError(f"communities need the table {table!r}{nearest(table, tables)}")
    values = []
    for rows in _views(out[space]):
        r = _soft(_unit(rows.z), out[centres].z, temperature)
        source, target = _links(torch.as_tensor(tables[table]).to(r.device), rows.keys["item"])
        n = len(r)
        between = r[source].T @ r[target]
        inside = between.trace()
        possible = max(n * (n - 1), 1)
        density = (balance * between.sum() - (n - 1 + balance) * inside) / possible
        by_chance = len(source) / possible * r.sum(0).square().sum() / n
        values.append(density + r.square().sum() / (2 * n) + expected * by_chance)
    loss = torch.stack(values)
    return RowLoss(loss, torch.ones_like(loss, dtype=torch.bool))


def _links(edges: Tensor, items: Tensor) -> Tensor:
    """(2, e) places of the rows that an edge joins; items are distinct."""
    ordered, order = items.sort()
    place = torch.searchsorted(ordered, edges).clamp(max=len(items) - 1)
    there = (ordered[place] == edges).all(0)
    return order[place[:, there]]


def communal(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    space: str = "z",
    centres: str = "prototypes",
    temperature: Positive = 0.3,
    gamma: NotNegative = 1.0,
) -> RowLoss:
    """A node against the communities of the other view, (rows of all pairs of views and both directions,).

    L_i = −h_i·c_a / t + log Σ_b w_ab exp(h_i·c_b / t),   a = community of i's other view, c = mean of its members there (constants),
    w_ab = exp(−γ |c_a − c_b|²): near communities repel less. Communities without members do not exist. Chance: log of their number.

    space: the nodes' rows.
    centres: a shared space (k, d), which says who belongs where.
    temperature: t.
    gamma: γ; 0 lets all communities repel alike.
    """
    views = _views(out[space])
    if len(views) < 2:
        raise RequirementError(f"communities are contrasted between views, and {space!r} has {len(views)}")
    found, counts = [], []
    for first in views:
        for second in views:
            if first is second:
                continue
            here, there = align(first, second)
            h, other = _unit(first.z)[here], _unit(second.z).detach()[there]
            own = _soft(other, out[centres].z.detach(), temperature).argmax(1)
            names, own = own.unique(return_inverse=True)
            middle = torch.zeros(len(names), h.shape[1], dtype=h.dtype, device=h.device).index_add_(0, own, other)
            middle = middle / torch.bincount(own, minlength=len(names))[:, None]
            apart = -gamma * torch.cdist(middle, middle).square()
            scores = h @ middle.T / temperature
            found.append(torch.logsumexp(scores + apart[own], dim=1) - scores.gather(1, own[:, None])[:, 0])
            counts.append(len(names))
    values = torch.cat(found)
    chance = float(torch.tensor(counts).float().log().mean()) if gamma == 0 else None
    return RowLoss(values, torch.ones_like(values, dtype=torch.bool), chance)
