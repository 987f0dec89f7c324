from __future__ import annotations

import pytest
import torch
from torch import nn

from counterpoint.core.recipe import Progress
from counterpoint.encoders import heads


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_mlp_has_its_layers_and_width(norm: str, layers: int) -> None:
    head = heads.mlp(12, width=7, hidden=20, layers=layers, norm=norm)
    assert head.width == 7 and head(torch.randn(5, 12)).shape == (5, 7)
    matrices = [m for m in head if isinstance(m, nn.Linear)]
    assert len(matrices) == layers
    assert sum(isinstance(m, (nn.BatchNorm1d, nn.LayerNorm)) for m in head) == (0 if norm == "none" else layers - 1)


def test_hidden_width_is_the_inputs_where_not_given() -> None:
    assert heads.mlp(12, width=7)[0].weight.shape == (12, 12)


def test_last_norm_gives_columns_of_mean_zero_and_deviation_one() -> None:
    z = heads.mlp(12, width=7, last_norm=True)(torch.randn(64, 12) * 3)
    torch.testing.assert_close(z.mean(0), torch.zeros(7), atol=1e-5, rtol=0)
    torch.testing.assert_close(z.std(0, unbiased=False), torch.ones(7), atol=1e-2, rtol=0)


def test_linear_is_one_matrix() -> None:
    head = heads.linear(5, width=3)
    x = torch.randn(2, 5)
    torch.testing.assert_close(head(x), x @ head[0].weight.T)
    assert len([*head.parameters()]) == 1


def test_prototypes_have_length_one_again_after_every_update() -> None:
    part = heads.prototypes(6, count=4)
    torch.testing.assert_close(part().z.norm(dim=1), torch.ones(4))
    direction = part.weight.detach().clone()
    with torch.no_grad():
        part.weight.mul_(torch.tensor([[2.0], [0.5], [3.0], [1.0]]))
    part.after_update({}, Progress())
    torch.testing.assert_close(part.weight.detach(), direction)
    out = part()
    assert out.shared and out.z is part.weight
    assert out.keys["prototype"].tolist() == [0, 1, 2, 3] and out.keys["item"].tolist() == [-1] * 4
