"""Masks hide exactly as much as asked, only what exists, and in the shape asked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint.core.errors import DataError
from counterpoint.views import masking

G = torch.Generator


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 20), st.floats(0, 1), st.sampled_from(["random", "run", "block", "mixed"]), st.integers(0, 99))
def test_the_number_hidden_is_exact_and_one_place_stays(b, t, share, how, seed):
    there = torch.arange(t) < torch.randint(0, t + 1, (b, 1), generator=G().manual_seed(seed))
    hidden = masking.mask(there, G().manual_seed(seed), share=share, how=how, length=3)
    n = there.sum(1)
    assert not bool((hidden & ~there).any())
    assert torch.equal(hidden.sum(1), torch.minimum((n * share).round().long(), (n - 1).clamp(min=0)))


def test_runs_are_runs_and_blocks_are_blocks():
    there = torch.ones(50, 40, dtype=torch.bool)
    run = masking.mask(there, G().manual_seed(0), share=0.5, how="run", length=5)
    single = masking.mask(there, G().manual_seed(0), share=0.5)
    changes = [(m[:, 1:] != m[:, :-1]).sum(1).float().mean() for m in (run, single)]
    assert changes[0] < 9 < 17 < changes[1]
    block = masking.mask(torch.ones(30, 36, dtype=torch.bool), G().manual_seed(0), share=0.25, how="block", shape=(6, 6)).view(30, 6, 6)
    rows, columns = block.any(2).sum(1), block.any(1).sum(1)
    assert rows.max() <= 4 and columns.max() <= 6 and (rows * columns).float().mean() < 16


def test_score_hides_the_highest():
    score = torch.arange(12.0).view(2, 6)
    hidden = masking.mask(torch.ones(2, 6, dtype=torch.bool), G(), share=0.5, how="score", score=score)
    assert torch.equal(hidden, torch.tensor([[False, False, False, True, True, True]] * 2))
    with pytest.raises(DataError, match="no score"):
        masking.mask(torch.ones(2, 6, dtype=torch.bool), G(), how="score")


def test_two_masks():
    there = torch.ones(20, 10, dtype=torch.bool)
    one, other = masking.two(there, G().manual_seed(0), share=0.5, disjoint=True)
    assert not bool((one & other).any()) and torch.equal(one.sum(1), other.sum(1))
    one, other = masking.two(there, G().manual_seed(0), share=0.5)
    assert bool((one & other).any()) and not torch.equal(one, other)


def test_a_grid_that_does_not_fit_is_refused():
    with pytest.raises(DataError, match="6 places do not lie in a grid of 2 × 2"):
        masking.mask(torch.ones(1, 6, dtype=torch.bool), G(), how="block", shape=(2, 2))
