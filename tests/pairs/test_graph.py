"""Rules over tables: edges, powers, neighbours, true answers; counterfactual versions; rules of rules."""

from __future__ import annotations

import pytest
import torch

from counterpoint import pairs
from counterpoint.core.errors import DataError, OptionError, RequirementError
from counterpoint.core.options import use
from tests.pairs.rows import matrices, rows, views_of


def test_edges_by_item_id():
    edges = torch.tensor([[3, 5, 9, 5], [5, 3, 3, 8]])
    z = views_of([5, 3, 7])
    positive, negative = matrices(pairs.graph(z, z, {"edges": edges}))
    assert positive[0].tolist() == [0, 1, 0, 1, 1, 0]
    assert positive[2].tolist() == [0, 0, 0, 0, 0, 1]
    assert torch.equal(negative > 0, (positive == 0) & ~torch.eye(6, dtype=torch.bool))
    heavy = {"edges": {"edges": edges, "weights": torch.tensor([0.5, 2.0, 1.0, 1.0])}}
    positive = matrices(pairs.graph(z, z, heavy, own=False))[0]
    assert positive[0].tolist() == [0, 2, 0, 0, 2, 0] and positive[1].tolist() == [0.5, 0, 0, 0.5, 0, 0]
    with pytest.raises(RequirementError, match="no table 'edges'"):
        pairs.graph(z, z, {})
    with pytest.raises(DataError, match="edges are"):
        pairs.graph(z, z, {"edges": torch.zeros(4, 3)})


def test_powers_are_those_of_the_dense_matrix():
    g = torch.Generator().manual_seed(0)
    edges = torch.randint(0, 8, (2, 12), generator=g)
    table = pairs.powers(edges, items=8, power=3)
    adjacency = torch.eye(8, dtype=torch.float64).index_put((edges[0], edges[1]), torch.ones(12, dtype=torch.float64), accumulate=True)
    step = adjacency / adjacency.sum(1, keepdim=True)
    expected = step + step @ step + step @ step @ step
    found = torch.zeros(8, 8).index_put((table["edges"][0], table["edges"][1]), table["weights"])
    assert torch.allclose(found.double(), expected, atol=1e-6)
    with pytest.raises(DataError, match="ids go from 0 to 3"):
        pairs.powers(edges, items=4)
    dense = torch.randint(0, 200, (2, 2000), generator=g)
    with pytest.warns(UserWarning, match="choose a lower power"):
        pairs.powers(dense, items=200, power=3)


def test_neighbours_named_by_one_or_by_both():
    table = torch.tensor([[1, 2], [2, 3], [0, -1], [1, 0]])
    z = rows(item=[0, 1, 2, 3], view=[0] * 4)
    assert matrices(pairs.neighbours(z, z, {"neighbours": table}))[0].tolist() == [[0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]
    assert matrices(pairs.neighbours(z, z, {"neighbours": table}, top=1))[0][1].tolist() == [0, 0, 1, 0]
    mutual = matrices(pairs.neighbours(z, z, {"neighbours": table}, mutual=True))[0]
    assert mutual.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]


def test_true_answers_are_not_pushed_away():
    true = torch.tensor([[10, 10, 11], [0, 1, 2]])
    queries = rows(item=[50, 51], query=[10, 11], target=[0, 3])
    answers = rows(item=[0, 1, 2, 3])
    positive, negative = matrices(pairs.known(queries, answers, {"known": true}))
    assert positive.tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]] and negative.tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]
    positive, negative = matrices(pairs.known(queries, answers, {"known": true}, all_positive=True))
    assert positive.tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]] and negative.tolist() == [[0, 0, 1, 1], [1, 1, 0, 0]]


def test_the_flipped_version_is_the_heaviest_negative():
    z = rows(item=[0, 1, 2, 3, 4], view=[0] * 5, source=[7, 7, 7, 8, 8], label=[1, 1, 0, 1, -1])
    found = pairs.counterfactual(z, z, {}, weight=3.0)
    positive, negative = matrices(found)
    assert positive[0].tolist() == [0, 1, 0, 1, 0] and negative[0].tolist() == [0, 0, 3, 0, 1]
    assert positive[3].tolist() == [1, 1, 0, 0, 0] and negative[3].tolist() == [0, 0, 1, 0, 0]
    positive, negative = matrices(pairs.counterfactual(z, z, {}, weight=3.0, others=False))
    assert positive[0].tolist() == [0, 1, 0, 0, 0] and negative[0].tolist() == [0, 0, 3, 0, 1]


def test_rules_of_rules():
    z = rows(item=[0, 1, 2, 3], view=[0] * 4, label=[0, 0, 1, 1], group=[0, 1, 1, 1])
    label, group = use(pairs.same, key="label"), use(pairs.same, key="group")
    positive, negative = matrices(pairs.either(z, z, {}, rules=(label, group)))
    assert positive[1].tolist() == [1, 0, 1, 1] and negative[1].tolist() == [0, 0, 0, 0] and negative[0].tolist() == [0, 0, 1, 1]
    positive, negative = matrices(pairs.both(z, z, {}, rules=(label, group)))
    assert positive[2].tolist() == [0, 0, 0, 1] and negative[2].tolist() == [1, 1, 0, 0]
    excluding = use(pairs.same, exclude="group")
    assert matrices(pairs.either(z, z, {}, rules=(label, excluding)))[1][2].tolist() == [1, 0, 0, 0]
    with pytest.raises(OptionError, match="at least one rule"):
        pairs.either(z, z, {}, rules=())
