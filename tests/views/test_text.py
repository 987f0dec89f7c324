"""Text: padding stays at the end, order is kept where it should be, edits are what they say."""

import pytest
import torch

from counterpoint.core.errors import DataError
from counterpoint.views import text

G = torch.Generator


def texts(n=50, t=20, padding=0):
    lengths = torch.randint(1, t + 1, (n, 1), generator=G().manual_seed(0))
    ids = torch.arange(t) + 10  # increasing, so that order can be read
    return torch.where(torch.arange(t) < lengths, ids.expand(n, t), padding), lengths[:, 0]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("make", [text.drop, text.crop, text.repeat, text.swap, text.varied])
def test_padding_stays_at_the_end_and_texts_are_never_empty(make, padding):
    x, _ = texts(padding=padding)
    view, _ = make(x, G().manual_seed(0), padding=padding)
    there = view != padding
    assert bool((there[:, 1:] <= there[:, :-1]).all()) and bool(there[:, 0].all())


def test_drop_keeps_order_and_the_head():
    x, lengths = texts()
    view, keys = text.drop(x, G().manual_seed(0), share=0.5, head=1)
    assert bool((view[:, 0] == 10).all())
    assert torch.equal((view != 0).sum(1), lengths - keys["dropped"].sum(1))
    step = view[:, 1:] - view[:, :-1]
    assert bool((step[view[:, 1:] != 0] > 0).all())


def test_crop_is_one_span():
    x, _ = texts()
    view, keys = text.crop(x, G().manual_seed(0), share=(0.3, 0.6))
    step = (view[:, 1:] - view[:, :-1])[view[:, 1:] != 0]
    assert bool((step == 1).all())
    assert torch.equal(view[:, 0].float() - 10, keys["span"][:, 0])


def test_repeat_only_doubles():
    x, _ = texts()
    view, keys = text.repeat(x, G().manual_seed(0), share=0.8)
    step = (view[:, 1:] - view[:, :-1])[view[:, 1:] != 0]
    assert bool(((step == 0) | (step == 1)).all()) and bool((step == 0).any())
    grown = (view != 0).sum(1)
    assert torch.equal(grown, ((x != 0).sum(1) + keys["repeated"].sum(1)).clamp(max=20))


def test_swap_moves_no_further_than_its_reach():
    x, lengths = texts()
    view, _ = text.swap(x, G().manual_seed(0), reach=3, head=2)
    assert torch.equal(view.sort(1).values, x.sort(1).values)
    moved = (view - 10 - torch.arange(20)).abs()[view != 0]
    assert 0 < moved.max() <= 3
    long = lengths >= 2
    assert torch.equal(view[long, :2], x[long, :2])


def test_mask_and_twin():
    x, _ = texts()
    view, keys = text.mask(x, G().manual_seed(0), token=7, share=0.4)
    assert torch.equal(view == 7, keys["mask"]) and torch.equal(view[~keys["mask"]], x[~keys["mask"]])
    assert text.twin(x, G())[0] is x


def test_kmers_number_words_and_mark_gaps():
    x = torch.tensor([[1, 2, 3, 4, 0, 0]])
    found = text.kmers(x, k=2)
    assert found.tolist() == [[1 * 1 + 1, 1 * 4 + 2 + 1, 2 * 4 + 3 + 1, 0, 0]]
    every = torch.cartesian_prod(*[torch.arange(1, 5)] * 3)
    ids = text.kmers(every, k=3)[:, 0]
    assert sorted(ids.tolist()) == list(range(1, 65))


def test_strand_is_the_reverse_complement_and_its_own_inverse():
    x = torch.tensor([[1, 1, 2, 3, 0]])  # AACG → CGTT
    back, _ = text.strand(x, G(), share=1.0)
    assert back.tolist() == [[2, 3, 4, 4, 0]]
    assert torch.equal(text.strand(back, G(), share=1.0)[0], x)


def test_mutate_changes_letters_only():
    x = torch.tensor([[1, 2, 3, 4, 1, 2, 0, 0]]).expand(200, 8)
    view, _ = text.mutate(x, G().manual_seed(0), share=0.5)
    assert bool((view[:, 6:] == 0).all()) and view[:, :6].min() >= 1 and view.max() <= 4
    assert abs((view[:, :6] != x[:, :6]).float().mean() - 0.5 * 0.75) < 0.05


def test_numbers_that_are_no_ids_are_refused():
    with pytest.raises(DataError, match="whole numbers"):
        text.drop(torch.randn(2, 3), G())
