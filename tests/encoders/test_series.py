from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.recipe import Modality
from counterpoint.encoders import series

NAN = float("nan")


def small(channels: int, length: int, **options: object) -> series.Dilated:
    return series.dilated(Modality("series", (channels, length)), width=16, channels=8, **options)


@settings(max_examples=25, deadline=None)
@given(length=st.integers(1, 30), padding=st.integers(0, 20), stride=st.integers(1, 4), channels=st.integers(1, 3))
def test_padding_changes_nothing(length: int, padding: int, stride: int, channels: int) -> None:
    torch.manual_seed(0)
    model = small(channels, 50, stride=stride)
    x = torch.randn(2, channels, length)
    padded = torch.cat([x, torch.full((2, channels, padding), NAN)], 2)
    torch.testing.assert_close(model(padded), model(x), rtol=1e-4, atol=1e-5)


def test_a_series_is_the_same_alone_and_in_a_ragged_batch() -> None:
    model = small(2, 40)
    lengths = [40, 7, 23]
    bare = [torch.randn(1, 2, length) for length in lengths]
    batch = torch.full((3, 2, 40), NAN)
    for row, x in zip(batch, bare):
        row[:, : x.shape[2]] = x[0]
    torch.testing.assert_close(model(batch), torch.cat([model(x) for x in bare]), rtol=1e-4, atol=1e-5)


def test_a_gap_is_not_a_zero() -> None:
    model = small(1, 20)
    x = torch.randn(1, 1, 20)
    gap, zero = x.clone(), x.clone()
    gap[0, 0, 8:10], zero[0, 0, 8:10] = NAN, 0.0
    assert not torch.allclose(model(gap), model(zero))
    assert not torch.allclose(model(gap), model(x))
    assert model(gap).isfinite().all()


def test_an_empty_series_gives_finite_rows_and_gradients() -> None:
    model = small(2, 20)
    z = model(torch.full((2, 2, 20), NAN))
    z.square().sum().backward()
    assert z.isfinite().all() and all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(("length", "stride", "depth"), [(8, 1, 3), (64, 1, 5), (256, 1, 6), (257, 2, 6), (5000, 20, 6)])
def test_depth_and_stride_follow_the_length(length: int, stride: int, depth: int) -> None:
    model = small(1, length)
    assert (model.stride, len(model.blocks)) == (stride, depth)


def test_the_convolutions_see_the_whole_series() -> None:
    model = small(1, 128)
    x = torch.randn(1, 1, 128, requires_grad=True)
    seen = []
    model.leave.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model(x)
    seen[0][0, :, 0, 64].sum().backward()
    assert (x.grad[0, 0] != 0).sum() > 120
