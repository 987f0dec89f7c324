"""pairs.show: the drawing, the list, the picture."""

from __future__ import annotations

import pytest
import torch

from counterpoint import pairs
from counterpoint.core.errors import DataError, OutputError
from counterpoint.core.options import use
from counterpoint.core.similarity import Pairs, Relation
from tests.pairs.rows import rows, views_of


def test_the_matrix_and_the_list():
    z = views_of([7, 3], label=[0, -1])
    assert pairs.show(use(pairs.same), z).splitlines() == [
        "                0 1 2 3",
        "item 7, view 0  . - + -",
        "item 3, view 0  - . - +",
        "item 7, view 1  + - . -",
        "item 3, view 1  - + - .",
        "",
        "0 (item 7, view 0): positive 2 (item 7, view 1); 2 negative, 1 ignored",
        "1 (item 3, view 0): positive 3 (item 3, view 1); 2 negative, 1 ignored",
        "2 (item 7, view 1): positive 0 (item 7, view 0); 2 negative, 1 ignored",
        "3 (item 3, view 1): positive 1 (item 3, view 0); 2 negative, 1 ignored",
    ]


def test_graded_weighted_and_lonely_rows():
    edges = Relation.sparse(torch.tensor([0, 0]), torch.tensor([1, 2]), torch.tensor([0.3, 2.0]))
    found = Pairs(edges, Relation.all().weighted(column=torch.tensor([1.0, 1, 1, 2, 0])), (2, 5))
    text = pairs.show(found)
    assert "0  - 3 * = ." in text and "positive 1 (1) x 0.3; 2 (2) x 2" in text and "positive none, does not count" in text


def test_large_batches_are_cut_and_said_to_be():
    z = rows(item=range(50))
    assert "(the first 4 of 50 rows and 4 of 50 columns)" in pairs.show(use(pairs.same), z, limit=4)


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    pairs.show(use(pairs.same), views_of([1, 2, 3]), picture=tmp_path / "pairs.png")
    assert (tmp_path / "pairs.png").read_bytes()[:4] == b"\x89PNG" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(OutputError, match="cannot be written"):
        pairs.show(use(pairs.same), views_of([1]), picture=tmp_path / "nowhere" / "pairs.png")


def test_a_rule_needs_rows():
    with pytest.raises(DataError, match="needs rows"):
        pairs.show(use(pairs.same))
