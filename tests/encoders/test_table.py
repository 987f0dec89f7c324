from __future__ import annotations

import pytest
import torch

from counterpoint.core.errors import OptionError
from counterpoint.core.recipe import Modality
from counterpoint.encoders import table

NAN = float("nan")
MIXED = Modality("table", (5,), {"numeric": 3, "categories": (4, 2)})


def test_missing_values_are_neither_zero_nor_the_first_category() -> None:
    model = table.mixed(MIXED).eval()
    x = torch.tensor([[0.0, 1.0, -1.0, 0.0, 1.0]]).repeat(6, 1)
    x[1, 0] = NAN
    x[2, 3] = NAN
    x[3] = NAN
    x[4, 3] = 9.0  # a category that was not there before
    x[5, 3] = -1.0
    z = model(x)
    assert z.isfinite().all()
    for row in (1, 2, 3):
        assert not torch.allclose(z[0], z[row])
    torch.testing.assert_close(z[4], z[2])
    torch.testing.assert_close(z[5], z[2])


def test_categories_have_vectors_of_their_own_column() -> None:
    model = table.mixed(MIXED, embedding=3)
    assert model.embedding.weight.shape == (4 + 1 + 2 + 1, 3)
    x = torch.zeros(1, 5)
    x[0, 3:] = torch.tensor([2.0, 1.0])
    rows = []
    model.embedding.register_forward_hook(lambda module, inputs, output: rows.append(inputs[0].tolist()))
    model.eval()(torch.cat([x, torch.full((1, 5), NAN)]))
    assert rows == [[[2, 6], [4, 7]]]


@pytest.mark.parametrize("info", [{"numeric": 5, "categories": ()}, {}, {"numeric": 0, "categories": (2, 3, 4, 5, 6)}])
def test_only_numbers_and_only_categories(info: dict[str, object]) -> None:
    model = table.mixed(Modality("table", (5,), info), width=12)
    assert model(torch.ones(4, 5)).shape == (4, 12) == (4, model.width)


def test_columns_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(OptionError, match="5 columns, but 3 numeric and 1 categorical"):
        table.mixed(Modality("table", (5,), {"numeric": 3, "categories": (2,)}))
