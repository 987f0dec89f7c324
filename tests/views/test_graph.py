"""Graphs: both directions go together, nodes keep their rows, diffusion and low rank equal their dense twins."""

import numpy as np
import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import DataError
from counterpoint.core.options import use
from counterpoint.core.recipe import Batch, Graph, Progress
from counterpoint.views import centrality, graph

G = torch.Generator


def made(n=30, e=80, seed=0):
    one = torch.randint(0, n, (2, e), generator=G().manual_seed(seed))
    one = torch.unique(torch.stack([one.min(0).values, one.max(0).values])[:, one[0] != one[1]], dim=1)
    return {"x": torch.randn(n, 6, generator=G().manual_seed(seed)) + 5, "edge_index": torch.cat([one, one.flip(0)], 1)}


def pairs(edges):
    return set(map(tuple, edges.T.tolist()))


def test_both_directions_are_dropped_together_on_the_share_asked():
    big = made(2000, 20_000)
    view, _ = graph.drop_edges(big, G().manual_seed(0), share=0.3)
    kept = pairs(view["edge_index"])
    assert kept < pairs(big["edge_index"]) and all((b, a) in kept for a, b in kept)
    assert abs(len(kept) / big["edge_index"].shape[1] - 0.7) < 0.015
    other, _ = graph.drop_edges(big, G().manual_seed(1), share=0.3)
    both = len(kept & pairs(other["edge_index"])) / big["edge_index"].shape[1]
    assert abs(both - 0.49) < 0.02, "two views are independent"


def test_added_edges_stay_in_their_small_graph():
    one = made() | {"batch": torch.tensor([0] * 10 + [1] * 20)}
    one["edge_index"] = one["edge_index"][:, one["batch"][one["edge_index"][0]] == one["batch"][one["edge_index"][1]]]
    view, _ = graph.add_edges(one, G().manual_seed(0), share=2.0)
    edges = view["edge_index"]
    assert edges.shape[1] > 2 * one["edge_index"].shape[1]
    assert torch.equal(one["batch"][edges[0]], one["batch"][edges[1]])
    assert not bool((edges[0] == edges[1]).any())


def test_weights_follow_their_edges():
    one = made()
    one["edge_weight"] = one["edge_index"].sum(0).float()
    for make in (graph.drop_edges, graph.drop_nodes, graph.subgraph):
        view, _ = make(one, G().manual_seed(0))
        assert torch.equal(view["edge_weight"], view["edge_index"].sum(0).float())


@pytest.mark.parametrize("make", [graph.drop_nodes, graph.subgraph])
def test_nodes_left_out_keep_their_row_and_lose_the_rest(make):
    one = made()
    view, keys = make(one, G().manual_seed(0))
    gone = ~keys["kept"]
    assert view["x"].shape == one["x"].shape and bool((view["x"][gone] == 0).all())
    assert torch.equal(view["x"][keys["kept"]], one["x"][keys["kept"]])
    assert not bool(gone[view["edge_index"]].any()) and bool(gone.any())


def test_features_by_column_and_by_value():
    one = made()
    columns = graph.mask_features(one, G().manual_seed(0), share=0.5)[0]["x"] == 0
    assert torch.equal(columns.all(0), columns.any(0)) and columns.any(0).sum() == 3
    values = graph.mask_features(one, G().manual_seed(0), share=0.5, by="value")[0]["x"] == 0
    assert torch.equal(values.sum(1), torch.full((30,), 3))
    assert graph.varied(one["x"], G().manual_seed(0))[0].shape == one["x"].shape


def test_diffusion_is_personalised_pagerank():
    one, alpha, walks = made(12, 20), 0.2, 20_000
    view, _ = graph.diffuse(one, G().manual_seed(0), alpha=alpha, walks=walks, steps=60, least=0.0)
    dense = torch.zeros(12, 12)
    dense[tuple(view["edge_index"])] = view["edge_weight"]
    step = torch.zeros(12, 12, dtype=torch.float64)
    step[tuple(one["edge_index"])] = 1.0
    alone = step.sum(1) == 0
    step[alone, alone] = 1.0
    step /= step.sum(1, keepdim=True)
    exact = alpha * torch.linalg.inv(torch.eye(12, dtype=torch.float64) - (1 - alpha) * step)
    assert (dense - exact).abs().max() < 5 * (0.25 / walks) ** 0.5
    sparse, _ = graph.diffuse(one, G().manual_seed(0), alpha=alpha, walks=200, least=0.1)
    assert sparse["edge_weight"].min() >= 0.1


def test_walks_take_a_link_as_likely_as_its_weight():
    edges = torch.tensor([[0, 0, 0, 1, 2, 3, 4], [1, 2, 3, 0, 0, 0, 0]])
    weight = torch.tensor([1.0, 3.0, 0.0, 1.0, 2.0, 1.0, -1.0])
    one = {"x": torch.ones(5, 2), "edge_index": edges, "edge_weight": weight}
    alpha, walks = 0.3, 20_000
    view, _ = graph.diffuse(one, G().manual_seed(0), alpha=alpha, walks=walks, steps=60, least=0.0)
    dense = torch.zeros(5, 5)
    dense[tuple(view["edge_index"])] = view["edge_weight"]
    step = torch.zeros(5, 5, dtype=torch.float64)
    step[tuple(edges)] = weight.double().clamp(min=0)
    step[4, 4] = 1.0
    step /= step.sum(1, keepdim=True)
    exact = alpha * torch.linalg.inv(torch.eye(5, dtype=torch.float64) - (1 - alpha) * step)
    assert (dense - exact).abs().max() < 5 * (0.25 / walks) ** 0.5 and dense[0, 3] == 0
    for seed in range(20):
        kept = graph.subgraph({**one, "batch": torch.zeros(5, dtype=torch.int64)}, G().manual_seed(seed), roots=0.0, steps=30)[1]["kept"]
        assert not (kept[3] and kept[:3].any()) or kept[3], "node 3 is reached by no link"
        assert int(kept.sum()) in (1, 3, 4)


def test_low_rank_is_the_singular_value_decomposition():
    one = made()
    factors = graph.low_rank(one, G().manual_seed(0), rank=5, passes=6)[0]["factors"]
    dense = np.zeros((30, 30))
    dense[tuple(one["edge_index"].numpy())] = 1.0
    degree = np.maximum(dense.sum(1), 1e-12)
    dense = dense / np.sqrt(degree[:, None] * degree[None, :])
    u, s, v = np.linalg.svd(dense)
    best = np.linalg.norm(dense - (u[:, :5] * s[:5]) @ v[:5])
    found = np.linalg.norm(dense - (factors[0] @ factors[1].T).numpy())
    assert found <= best * 1.01


def test_a_view_never_changes_the_graph():
    one = made()
    before = {k: v.clone() for k, v in one.items()}
    for make in (graph.varied, graph.add_edges, graph.diffuse, graph.low_rank, graph.drop_nodes):
        make(one, G().manual_seed(0))
    assert all(torch.equal(one[k], before[k]) for k in before)


def test_no_edges_at_all():
    empty = {"x": torch.ones(4, 3), "edge_index": torch.zeros(2, 0, dtype=torch.int64)}
    for make in (graph.varied, graph.add_edges, graph.subgraph, graph.diffuse, graph.drop_nodes):
        assert make(empty, G().manual_seed(0))[0]["x"].shape == (4, 3)
    with pytest.raises(DataError, match="edge_index"):
        graph.drop_edges({"x": torch.ones(2, 2)}, G())


@pytest.mark.parametrize("make", ["two", "multi_crop", "modalities"])
def test_views_of_a_batch_see_the_links(make):
    one = made()
    batch = Batch({"x": Graph(one, torch.tensor([3, 1]))}, {"item": torch.tensor([30, 10])})
    change = use(graph.drop_nodes, share=0.5)
    options = {
        "two": {"transform": change},
        "multi_crop": {"global_transform": change, "local_transform": change, "locals": 1},
        "modalities": {"transforms": {"x": change}},
    }[make]
    found = getattr(views, make)(batch, G().manual_seed(0), Progress(), **options)
    assert all(pairs(v.fields["x"].parts["edge_index"]) < pairs(one["edge_index"]) for v in found)
    assert all(len(v) == 2 and v.keys["kept"].shape == (2,) and len(v.fields["x"]) == 2 for v in found)
    assert all(torch.equal(v.fields["x"].x[~v.keys["kept"]], torch.zeros(int((~v.keys["kept"]).sum()), 6)) for v in found)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_both_types_of_edges_keep_the_share_asked(kind):
    """A hash of nodes × nodes does not fit into 32 bits: edges of int32 are counted in 64."""
    big = made(50_000, 25_000)
    big["edge_index"] = big["edge_index"].to(kind)
    view, _ = graph.drop_edges(big, G().manual_seed(0), share=0.3)
    kept = pairs(view["edge_index"])
    assert abs(len(kept) / big["edge_index"].shape[1] - 0.7) < 0.012 and all((b, a) in kept for a, b in kept)
    for make in (graph.add_edges, graph.drop_nodes, graph.subgraph, graph.varied, centrality.adaptive):
        assert make(big, G().manual_seed(0))[0]["edge_index"].max() < 50_000
    small = made(40, 90)
    small["edge_index"] = small["edge_index"].to(kind)
    assert graph.diffuse(small, G().manual_seed(0))[0]["edge_index"].max() < 40
    assert graph.low_rank(small, G().manual_seed(0))[0]["factors"][0].shape == (40, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.float(), "whole numbers, int64 or int32; it is float32"),
        (lambda e: e.bool(), "it is bool"),
        (lambda e: e + 25, r"names node 5\d and there are 30 nodes \(0 … 29\)"),
        (lambda e: e - 20, "names node -"),
        (lambda e: e.T, r"shape \(2, edges\); it has \(\d+, 2\)"),
    ],
)
def test_edges_that_are_none_are_refused(change, words):
    one = made()
    one["edge_index"] = change(one["edge_index"])
    for make in (graph.drop_edges, graph.add_edges, graph.drop_nodes, graph.subgraph, graph.diffuse, graph.low_rank, centrality.adaptive):
        with pytest.raises(DataError, match=words):
            make(one, G().manual_seed(0))


def test_a_graph_without_features():
    one = {"edge_index": made()["edge_index"]}
    for make in (graph.drop_edges, graph.diffuse, graph.subgraph, graph.varied, graph.low_rank):
        assert "x" not in make(one, G().manual_seed(0))[0]
    with pytest.raises(DataError, match='no features "x"'):
        graph.mask_features(one, G())
    with pytest.raises(DataError, match='no features "x"'):
        centrality.adaptive(one, G())


def molecules(count=60, seed=0):
    """Small connected graphs of 1 to 12 nodes, side by side: trees with a few more links."""
    sizes = torch.randint(1, 13, (count,), generator=G().manual_seed(seed)).tolist()
    links, batch, start = [], [], 0
    for i, size in enumerate(sizes):
        for node in range(1, size):
            other = int(torch.randint(0, node, (), generator=G().manual_seed(seed + 100 * i + node)))
            links.append((start + node, start + other))
        batch += [i] * size
        start += size
    edges = torch.tensor(links).T
    return {"x": torch.ones(start, 6), "edge_index": torch.cat([edges, edges.flip(0)], 1), "batch": torch.tensor(batch)}


def test_of_every_small_graph_a_connected_part_stays():
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    one = molecules()
    for seed in range(5):
        view, keys = graph.subgraph(one, G().manual_seed(seed), roots=0.3, steps=3)
        kept, batch = keys["kept"], one["batch"]
        assert torch.equal(batch[kept].unique(), torch.arange(60)), "none is empty"
        source, target = view["edge_index"].numpy()
        _, part = connected_components(coo_matrix((np.ones(len(source)), (source, target)), shape=(len(batch),) * 2), directed=False)
        for i in range(60):
            assert len(set(part[(kept & (batch == i)).numpy()])) == 1, "in one piece"
    shares = torch.stack([torch.bincount(batch, kept.float()) / torch.bincount(batch) for kept in [keys["kept"]]])
    assert 0.2 < shares.mean() < 0.95
    mixed = torch.randperm(len(batch), generator=G().manual_seed(0))  # nodes of one graph need not stand together
    place = mixed.argsort()
    strewn = {"x": one["x"][mixed], "edge_index": place[one["edge_index"]], "batch": batch[mixed]}
    kept = graph.subgraph(strewn, G().manual_seed(0))[1]["kept"]
    assert torch.equal(strewn["batch"][kept].unique(), torch.arange(60))
    edges = graph.add_edges(strewn, G().manual_seed(0), share=1.0)[0]["edge_index"]
    assert torch.equal(strewn["batch"][edges[0]], strewn["batch"][edges[1]])


def test_roots_are_drawn_evenly_in_each_small_graph():
    one = {"x": torch.ones(4000, 2), "edge_index": torch.zeros(2, 0, dtype=torch.int64), "batch": torch.arange(4000) // 4}
    kept = graph.subgraph(one, G().manual_seed(0), roots=0.0)[1]["kept"].view(1000, 4)
    assert torch.equal(kept.sum(1), torch.ones(1000, dtype=torch.int64))
    assert bool(((kept.float().mean(0) - 0.25).abs() < 4 * (0.1875 / 1000) ** 0.5).all())


def test_columns_are_hidden_in_each_small_graph_by_itself():
    one = molecules()
    hidden = graph.mask_features(one, G().manual_seed(0), share=0.5)[0]["x"] == 0
    first = torch.stack([hidden[one["batch"] == i][0] for i in range(60)])
    assert torch.equal(hidden, first[one["batch"]]), "the same for all nodes of a graph"
    assert torch.equal(first.sum(1), torch.full((60,), 3)) and len(first.unique(dim=0)) > 10


def test_a_batch_of_another_length_is_refused():
    one = made() | {"batch": torch.zeros(7, dtype=torch.int64)}
    for make in (graph.subgraph, graph.add_edges, graph.mask_features):
        with pytest.raises(DataError, match=r'"batch" .* 30 nodes'):
            make(one, G().manual_seed(0))
