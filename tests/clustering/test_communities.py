"""Communities of graphs whose groups are known, and the number of clusters of data whose number is known."""

import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from counterpoint.clustering import communities, neighbour_graph, number_of_clusters
from counterpoint.core.errors import DataError


def blobs(k: int, n: int = 240, spread: float = 0.15) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(n) % k
    return torch.nn.functional.normalize(torch.randn(k, 6, generator=g), dim=1)[y] + spread * torch.randn(n, 6, generator=g), y


def test_communities_of_a_neighbour_graph() -> None:
    pytest.importorskip("networkx")
    x, y = blobs(4)
    edges, weights = neighbour_graph(x, k=10)
    assert bool((edges[0] < edges[1]).all())
    assert len(torch.unique(edges[0] * len(x) + edges[1])) == edges.shape[1]
    assert int(weights.mul(2).sum()) == len(x) * 10  # each (row, neighbour) counted once
    found = communities(edges, items=len(x), weights=weights)
    assert adjusted_rand_score(y, found) > 0.95
    assert torch.equal(found, communities(edges, items=len(x), weights=weights, seed=0))
    sizes = torch.bincount(found)
    assert bool((sizes[:-1] >= sizes[1:]).all())


def test_communities_edges() -> None:
    pytest.importorskip("networkx")
    assert communities(torch.empty(2, 0, dtype=torch.int64), items=3).tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="0 … 2"):
        communities(torch.tensor([[0], [3]]), items=3)
    with pytest.raises(DataError, match="positive"):
        communities(torch.tensor([[0], [1]]), items=3, weights=torch.tensor([-1.0]))
    with pytest.raises(DataError, match=r"\(2, m\)"):
        communities(torch.tensor([0, 1]), items=3)


@pytest.mark.parametrize("k", [2, 5])
def test_number_of_clusters(k: int) -> None:
    found, scores = number_of_clusters(blobs(k, spread=0.05)[0], most=8)
    assert found == k
    assert set(scores) == set(range(2, 9))


def test_number_of_clusters_refuses() -> None:
    with pytest.raises(DataError, match="distinct"):
        number_of_clusters(torch.ones(30, 2))
    with pytest.raises(DataError, match="least is 2"):
        number_of_clusters(torch.randn(30, 2), least=1)
