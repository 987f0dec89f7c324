"""GroCo's network and what it detaches (paper 074); its definition is checked with the other losses."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation
from counterpoint.losses.sorting import soft_ranks


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9), st.integers(0, 9))
def test_a_steep_network_sorts(values, low):
    x = torch.tensor([values], dtype=torch.float64)
    gap = min((abs(a - b) for i, a in enumerate(values) for b in values[:i]), default=1.0)
    chance = soft_ranks(x, low=low, steepness=1e15)[0]
    assert ((chance >= -1e-9) & (chance <= 1 + 1e-9)).all()
    assert chance.sum().item() == pytest.approx(min(low, len(values)))  # ranks are shared out, none is lost
    if gap > 1e-3:
        assert torch.allclose(chance, (x[0].argsort().argsort() < low).double(), atol=1e-6)


def test_rows_of_different_lengths_are_sorted_as_if_alone():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3, 7, generator=g, dtype=torch.float64)
    present = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0, 0]], dtype=torch.bool)
    found = soft_ranks(x, low=4, steepness=2.0, present=present)
    for row, (start, stop) in enumerate([(0, 7), (2, 6), (1, 4)]):
        alone = soft_ranks(x[row : row + 1, start:stop], low=4 - start, steepness=2.0)[0]
        assert torch.allclose(found[row, start:stop], alone)


def test_only_the_anchor_gets_a_gradient():
    g = torch.Generator().manual_seed(0)
    a, c = (torch.randn(6, 4, generator=g, requires_grad=True) for _ in range(2))
    pairs = Pairs(Relation.itself(), Relation.all(), (6, 6))
    losses.groco(similarity.cosine(a, c), pairs, nearest=3).mean().backward()
    assert a.grad.abs().sum(1).min() > 0 and c.grad is None
    losses.groco(similarity.cosine(a, c), pairs, nearest=3, detach=False).mean().backward()
    assert c.grad.abs().sum() > 0


def test_order_inside_a_group_is_free_and_order_between_them_is_not():
    def value(near, far):
        scores = similarity.learned(torch.tensor([[*near, *far]]))
        pairs = Pairs(Relation.sparse(torch.zeros(2, dtype=torch.int64), torch.arange(2)), Relation.all(), (1, 5))
        return losses.groco(scores, pairs, steepness=50.0).mean().item()

    assert value([0.9, 0.7], [0.1, 0.2, 0.3]) == pytest.approx(value([0.7, 0.9], [0.3, 0.1, 0.2]))
    assert value([0.9, 0.7], [0.1, 0.2, 0.3]) < value([0.9, 0.25], [0.1, 0.2, 0.3]) < value([0.15, 0.25], [0.1, 0.2, 0.3])
