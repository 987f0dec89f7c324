"""Nodes come in the midst of their graph: all of it, or neighbours drawn hop by hop with all links among them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.core.recipe import Graph, View
from counterpoint.data.dataset import Dataset

RNG = np.random.default_rng(0)


def made(nodes: int = 60, links: int = 150) -> Dataset:
    return data.read({"x": RNG.normal(size=(nodes, 4)), "edges": RNG.integers(0, nodes, (links, 2)), "y": np.arange(nodes) % 3})


def drawn(found: Dataset, ids: list[int], hops: tuple[int, ...], seed: int = 0) -> Graph:
    return found.batch(ids, hops=hops, generator=torch.Generator().manual_seed(seed)).fields["x"]


def test_without_hops_the_whole_graph_comes_along_that_of_other_parts_too() -> None:
    found = made().subset([3, 5, 8])
    nodes = found.batch([8, 3]).fields["x"]
    assert len(nodes) == 2 and nodes.parts["x"].shape == (60, 4)
    assert torch.equal(nodes.x, nodes.parts["x"][[8, 3]])
    assert [len(piece) for piece in found.pieces(2)] == [3], "all items at once"


def test_drawn_neighbours_are_neighbours_and_all_links_among_them_are_there() -> None:
    found = made()
    edges = found.tables["edges"]
    whole = found.batch([7, 2]).fields["x"].parts["x"]
    part = drawn(found, [7, 2], (3,))
    number = {tuple(row.tolist()): i for i, row in enumerate(whole)}
    ids = [number[tuple(row.tolist())] for row in part.parts["x"]]
    assert [ids[i] for i in part.rows] == [7, 2]
    near = {int(b) for a, b in edges.T if int(a) in (7, 2)}
    assert set(ids) <= near | {7, 2} and len(ids) <= 2 + 6
    links = {(ids[a], ids[b]) for a, b in part.parts["edge_index"].T.tolist()}
    assert links == {(int(a), int(b)) for a, b in edges.T if int(a) in ids and int(b) in ids}


def test_enough_hops_of_enough_neighbours_are_the_component() -> None:
    found = made(20, 60)
    assert len(drawn(found, [0], (200,) * 8).parts["x"]) == 20


def test_the_same_generator_draws_the_same_and_another_others() -> None:
    found = made(200, 2000)
    one, two, other = drawn(found, [0, 1], (2, 2)), drawn(found, [0, 1], (2, 2)), drawn(found, [0, 1], (2, 2), seed=1)
    assert torch.equal(one.parts["x"], two.parts["x"]) and not torch.equal(one.parts["x"][:9], other.parts["x"][:9])


def test_a_node_without_links_comes_alone() -> None:
    found = data.read({"x": RNG.normal(size=(4, 2)), "edges": np.array([[0, 1]])})
    part = drawn(found, [3], (5, 5))
    assert part.parts["x"].shape == (1, 2) and part.parts["edge_index"].shape == (2, 0)


def test_a_part_of_a_view_keeps_the_graph() -> None:
    nodes = made().batch([4, 9, 1]).fields["x"]
    cut = View("global", {"x": nodes}, {"item": torch.tensor([4, 9, 1])}).part(1, 3)
    assert cut.fields["x"].rows.tolist() == [9, 1] and len(cut.fields["x"]) == 2
    assert cut.fields["x"].parts["edge_index"] is nodes.parts["edge_index"]


def test_a_graph_in_memory_is_refused_where_it_is_wrong() -> None:
    with pytest.raises(DataError, match="edges name node 9 and there are 5"):
        data.read({"x": np.zeros((5, 2)), "edges": np.array([[0, 9]])})
    with pytest.raises(DataError, match="nodes×features"):
        data.read({"x": np.zeros(5), "edges": np.array([[0, 1]])})
