"""Student's t against the formula in float64."""

import numpy as np
import torch

from counterpoint.clustering import sharpened, student_t


def test_equals_the_formula() -> None:
    g = torch.Generator().manual_seed(0)
    x, c = torch.randn(20, 5, generator=g), torch.randn(4, 5, generator=g)
    for freedom in (0.5, 1.0, 7.0):
        square = ((x.double()[:, None] - c.double()) ** 2).sum(2).numpy()
        q = (1 + square / freedom) ** (-(freedom + 1) / 2)
        q /= q.sum(1, keepdims=True)
        np.testing.assert_allclose(student_t(x, c, freedom=freedom), q, rtol=1e-4)
    p = q**2 / q.sum(0)
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(sharpened(torch.as_tensor(q)), p, rtol=1e-8)


def test_gradient_reaches_rows_and_centres_but_not_the_target() -> None:
    x, c = torch.randn(6, 3, dtype=torch.float64, requires_grad=True), torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(student_t, (x, c))
    assert not sharpened(student_t(x, c)).requires_grad


def test_extremes() -> None:
    x = torch.tensor([[1e6, 0.0], [0.0, 0.0]]).to(torch.bfloat16)
    q = student_t(x, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    assert q.dtype == torch.float32
    assert bool(q.isfinite().all())
    certain = sharpened(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(certain, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
