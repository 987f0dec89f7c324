"""Convolutions under autocast are those of float32, also where one column is left."""

from __future__ import annotations

import pytest
import torch

from counterpoint.encoders.convolutions import Residual, Stages


@pytest.mark.parametrize("width", [1, 2, 3, 8])
@pytest.mark.parametrize("height", [1, 4, 8])
def test_narrow_maps_in_bfloat16(width: int, height: int) -> None:
    torch.manual_seed(0)
    block, x = Residual(2, 64, 128, 2), torch.randn(32, 64, height, width)
    wanted = block(x)
    for _ in range(3):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made = block(x)
        torch.testing.assert_close(made.float(), wanted, rtol=0.05, atol=0.1)


def test_gradients_of_long_thin_pictures_are_finite() -> None:
    torch.manual_seed(0)
    network = Stages(2, 1, 16, 1, (32, 64, 128), 1)
    for _ in range(3):
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = network(torch.randn(16, 1, 32, 4))
        out.float().square().sum().backward()
        assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)
