"""Users and products as one graph: what was chosen in both directions, what was kept back, the plain factors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data.interactions import users

CHOSEN = np.array([[0, 0], [0, 2], [1, 1], [3, 2], [0, 0]])


def test_users_come_first_and_repetitions_count_once() -> None:
    found = data.read({"interactions": CHOSEN, "held_out": np.array([[1, 4]])})
    assert found.items == 4 + 5 and found.spec.only.info == {"users": 4, "products": 5}
    edges = found.tables["edges"]
    assert set(map(tuple, edges.T.tolist())) == {(0, 4), (0, 6), (1, 5), (3, 6), (4, 0), (6, 0), (5, 1), (6, 3)}
    assert found.tables["held_out"].tolist() == [[1], [8]] and found.tables["users"] == 4
    assert found.columns["side"].tolist() == [0] * 4 + [1] * 5
    assert "4 choices of 4 users among 5 products" in found.summary()


def test_factors_approximate_the_choices() -> None:
    rng = np.random.default_rng(0)
    chosen = np.argwhere(rng.random((9, 7)) < 0.4)
    found = data.read({"interactions": np.concatenate([chosen, [[8, 6]]])})
    z = found.flat()
    matrix = np.zeros((9, 7))
    matrix[tuple(chosen.T)] = matrix[8, 6] = 1
    assert np.allclose(z[:9] @ z[9:].T, matrix, atol=1e-4), "all singular values of a small matrix are kept"


def test_batches_are_of_users_who_chose_something() -> None:
    found = data.read({"interactions": CHOSEN})
    drawn = torch.cat(list(users(found, torch.Generator().manual_seed(0), batch=2)))
    assert sorted(drawn.tolist()) in ([0, 1, 3], [0, 1], [0, 3], [1, 3])
    assert 2 not in drawn.tolist() and bool((drawn < 4).all())


@pytest.mark.parametrize(
    ("chosen", "kept", "message"),
    [
        (np.zeros((0, 2), int), None, "no choices"),
        (CHOSEN - 1, None, "whole numbers from 0"),
        (CHOSEN.astype(float), None, "whole numbers"),
        (CHOSEN, CHOSEN[:1], "are among those to learn from"),
        (np.arange(4), None, "shape"),
    ],
)
def test_wrong_choices_are_refused(chosen: np.ndarray, kept: np.ndarray | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.read({"interactions": chosen, "held_out": kept})
