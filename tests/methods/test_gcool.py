"""gCooL: the density of communities moves their centres alone; nodes meet the communities of the other view."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.nn import functional

from counterpoint import terms
from counterpoint.core import values
from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Progress, Rows
from counterpoint.views import centrality

NOW = Progress()
G = torch.Generator


def made(n: int = 8, d: int = 5, k: int = 3) -> tuple[dict[str, Rows], torch.Tensor]:
    g = G().manual_seed(0)
    keys = {"item": torch.arange(n).repeat(2) + 20, "view": torch.arange(2).repeat_interleave(n)}
    z = Rows(torch.randn(2 * n, d, generator=g, dtype=torch.float64).requires_grad_(), keys, False, ("global", "global"))
    centres = Rows(torch.randn(k, d, generator=g, dtype=torch.float64).requires_grad_(), {}, True)
    one = torch.randint(0, n, (2, 12), generator=g)
    one = one[:, one[0] != one[1]] + 20
    return {"z": z, "prototypes": centres}, torch.cat([one, one.flip(0), torch.tensor([[0], [21]])], 1)


def test_the_density_equals_its_dense_twin_and_moves_the_centres_alone() -> None:
    out, edges = made()
    t, lam, n = 0.4, 0.3, 8
    found = terms.dense_communities(out, {"edges": edges}, NOW, temperature=t, balance=lam, expected=0.7)
    a = torch.zeros(n, n, dtype=torch.float64)
    for u, v in edges.T.tolist():
        if u >= 20:
            a[u - 20, v - 20] += 1
    for view in range(2):
        h = functional.normalize(out["z"].z[view * n : (view + 1) * n].detach(), dim=1)
        r = torch.softmax(h @ functional.normalize(out["prototypes"].z, dim=1).T / t, dim=1)
        b = r.T @ a @ r
        wanted = (lam * b.sum() - (n - 1 + lam) * b.trace()) / (n * (n - 1)) + (r.T @ r).trace() / (2 * n)
        wanted = wanted + 0.7 * a.sum() / (n * (n - 1)) * r.sum(0).square().sum() / n
        torch.testing.assert_close(found.values[view], wanted)
    gradient = torch.autograd.grad(found.values.sum(), [out["z"].z, out["prototypes"].z], allow_unused=True)
    assert gradient[0] is None and bool((gradient[1] != 0).any())


def planted(n: int = 120, k: int = 3) -> tuple[torch.Tensor, Rows, torch.Tensor]:
    """Rows that say little of the block, links that say much."""
    g = G().manual_seed(0)
    block = torch.arange(n) % k
    edges = (torch.rand(n, n, generator=g) < torch.where(block[:, None] == block, 0.3, 0.01)).triu(1).nonzero().T
    h = functional.one_hot(block, 8).float() + 0.35 * torch.randn(n, 8, generator=g)
    keys = {"item": torch.arange(n), "view": torch.zeros(n, dtype=torch.int64)}
    return block, Rows(h, keys, False, ("global",)), torch.cat([edges, edges.flip(0)], 1)


def test_dense_communities_alone_recover_a_planted_partition() -> None:
    block, rows, edges = planted()
    centres = torch.randn(3, 8, generator=G().manual_seed(1)).mul_(0.1).requires_grad_()
    optimizer = torch.optim.Adam([centres], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        terms.dense_communities({"z": rows, "prototypes": Rows(centres, {}, True)}, {"edges": edges}, NOW).values.sum().backward()
        optimizer.step()
    assigned = (functional.normalize(rows.z, dim=1) @ functional.normalize(centres, dim=1).T).argmax(1)
    assert adjusted_rand_score(block.numpy(), assigned.detach().numpy()) > 0.8


def test_without_the_links_of_chance_a_single_community_would_be_best() -> None:
    _, rows, edges = planted()
    blocks, one = torch.eye(3, 8), torch.tensor([[1.0] * 3 + [0.0] * 5, [-1.0] * 3 + [0.0] * 5, [-1.0] * 3 + [0.0] * 5])

    def of(centres: torch.Tensor, expected: float) -> float:
        out = {"z": rows, "prototypes": Rows(centres, {}, True)}
        return float(terms.dense_communities(out, {"edges": edges}, NOW, temperature=0.03, expected=expected).values)

    assert of(one, 0.0) < of(blocks, 0.0) and of(blocks, 1.0) < of(one, 1.0)


@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_the_contrast_with_communities_equals_its_loop(gamma: float) -> None:
    out, _ = made()
    t, n = 0.4, 8
    found = terms.communal(out, {}, NOW, temperature=t, gamma=gamma)
    h = functional.normalize(out["z"].z.detach(), dim=1).reshape(2, n, -1)
    centres = functional.normalize(out["prototypes"].z.detach(), dim=1)
    each = []
    for a in range(2):
        member = (h[1 - a] @ centres.T).argmax(1)
        names = member.unique().tolist()
        middle = {c: h[1 - a][member == c].mean(0) for c in names}
        for i in range(n):
            mine = middle[int(member[i])]
            total = sum(torch.exp(-gamma * (mine - middle[c]).square().sum()) * torch.exp(h[a, i] @ middle[c] / t) for c in names)
            each.append(-(h[a, i] @ mine) / t + total.log())
    torch.testing.assert_close(found.values, torch.stack(each))
    assert (found.chance is None) == (gamma > 0)
    gradient = torch.autograd.grad(found.values.sum(), [out["z"].z, out["prototypes"].z], allow_unused=True)
    assert bool((gradient[0] != 0).any()) and gradient[1] is None


def test_communities_of_the_other_view_need_another_view() -> None:
    out, _ = made()
    with pytest.raises(RequirementError, match="between views"):
        terms.communal({**out, "z": out["z"].where(out["z"].keys["view"] == 0)}, {}, NOW)


def test_one_term_hands_over_to_the_other_and_both_vanish() -> None:
    def at(u: float, taken: bool) -> float:
        return values.handed_over(Progress(step=int(u * 1000), steps=1000), weight=2.0, until=0.5, pace=0.7, taken=taken)

    assert at(0.0, False) == 2.0 and at(0.0, True) == 0.0
    for u in (0.1, 0.3, 0.45):
        assert at(u, False) + at(u, True) == pytest.approx(2 * (1 - u / 0.5))
        assert at(u, False) == pytest.approx(2 * (1 - u / 0.5) * math.exp(-0.7 * u / 0.5))
    assert at(0.5, False) == at(0.9, True) == 0.0


@pytest.mark.parametrize("by", ["degree", "pagerank", "eigenvector"])
def test_links_of_central_nodes_and_their_features_are_spared(by: str) -> None:
    n = 60
    hub = torch.stack([torch.zeros(40, dtype=torch.int64), torch.arange(1, 41)])
    chain = torch.stack([torch.arange(41, 58), torch.arange(42, 59)])
    one = torch.cat([hub, chain], 1)
    x = torch.zeros(n, 4)
    x[0, 0], x[45:, 1], x[:, 2:] = 5.0, 0.1, 0.5
    graph = {"x": x, "edge_index": torch.cat([one, one.flip(0)], 1)}
    kept, columns = np.zeros(2), np.zeros(4)
    for seed in range(60):
        view, _ = centrality.adaptive(graph, G().manual_seed(seed), edges=0.4, features=0.4, by=by)
        edges = view["edge_index"]
        assert {(int(b), int(a)) for a, b in edges.T} == {(int(a), int(b)) for a, b in edges.T}, "both directions together"
        kept += [int((edges == 0).any(0).sum()) / 80, int(((edges >= 41).all(0)).sum()) / 34]
        columns += ((view["x"] != 0).any(0) | (x == 0).all(0)).float().numpy()
    assert kept[0] > kept[1] + 3, f"{kept / 60}"
    assert columns[2] >= columns[1]


def test_the_mean_share_is_what_is_asked_and_plain_graphs_are_cut_evenly() -> None:
    g = G().manual_seed(0)
    one = torch.randint(0, 500, (2, 4000), generator=g)
    one = one[:, one[0] != one[1]]
    graph = {"x": torch.rand(500, 50, generator=g), "edge_index": torch.cat([one, one.flip(0)], 1)}
    view, _ = centrality.adaptive(graph, g, edges=0.3, features=0.3)
    assert abs(view["edge_index"].shape[1] / graph["edge_index"].shape[1] - 0.7) < 0.04
    ring = torch.stack([torch.arange(500), (torch.arange(500) + 1) % 500])
    view, _ = centrality.adaptive({**graph, "edge_index": torch.cat([ring, ring.flip(0)], 1)}, g, edges=0.3, features=0.0)
    assert abs(view["edge_index"].shape[1] / 1000 - 0.7) < 0.08
    empty, _ = centrality.adaptive({"x": torch.ones(4, 3), "edge_index": torch.zeros(2, 0, dtype=torch.int64)}, g)
    assert empty["x"].shape == (4, 3)
