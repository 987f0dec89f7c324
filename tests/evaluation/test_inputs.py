"""What arrays and labels may look like."""

import numpy as np
import pytest
import torch

from counterpoint.core.errors import DataError, LabelError
from counterpoint.evaluation.inputs import codes, matrix, sample


def test_labels_of_every_kind() -> None:
    assert codes([3, 0, -1, -7], 4).tolist() == [3, 0, -1, -1]
    assert codes(np.array([1.0, np.nan, 2.0]), 3).tolist() == [1, -1, 2]
    assert codes(torch.tensor([True, False]), 2).tolist() == [1, 0]
    assert codes(["b", "a", "", "b"], 4).tolist() == [1, 0, -1, 1]
    assert codes(np.array(["x", None, float("nan")], dtype=object), 3).tolist() == [0, -1, -1]


def test_labels_refused() -> None:
    with pytest.raises(LabelError, match="for 3 items"):
        codes([0, 1], 3)
    with pytest.raises(LabelError, match=r"fractions such as 0\.5"):
        codes([0.0, 0.5], 2)
    with pytest.raises(LabelError, match="one value per item"):
        codes([[0], [1]], 2)


def test_matrices() -> None:
    assert matrix(np.ones((2, 3), np.uint8)).dtype == torch.float32
    assert matrix(torch.ones(2, 3, dtype=torch.bfloat16)).dtype == torch.float32
    assert matrix(np.ones((2, 3))).dtype == torch.float64
    assert not matrix(torch.ones(2, 3, requires_grad=True)).requires_grad
    frozen = np.ones((2, 2), np.float32)
    frozen.flags.writeable = False
    assert matrix(frozen).shape == (2, 2)
    letters, infinite = np.array([["a"]]), np.full((1, 1), np.inf)
    for bad, why in ((np.ones(3), "shape"), (np.ones((2, 0)), "shape"), (letters, "numbers"), (infinite, "NaN or infinite")):
        with pytest.raises(DataError, match=why):
            matrix(bad)


def test_sample_is_a_seeded_subset() -> None:
    assert sample(5, 9, 0).tolist() == [0, 1, 2, 3, 4]
    rows = sample(1000, 50, 3)
    assert torch.equal(rows, sample(1000, 50, 3))
    assert not torch.equal(rows, sample(1000, 50, 4))
    assert bool((rows[1:] > rows[:-1]).all())
