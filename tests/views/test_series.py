"""Series: time stays inside each item's own length, gaps stay gaps, and each transform does what it says."""

import pytest
import torch

from counterpoint.views import clock, series

G = torch.Generator
NAN = float("nan")


def ragged(n=6, c=2, t=40, ends=(40, 25, 10, 2, 1, 33)):
    x = torch.randn(n, c, t, generator=G().manual_seed(0))
    for i, end in enumerate(ends[:n]):
        x[i, :, end:] = NAN
    return x, torch.tensor(ends[:n])


def ramp(n=1, t=50):
    return torch.arange(t, dtype=torch.float32).expand(n, 1, t).contiguous()


def test_lengths_look_at_all_channels():
    x, ends = ragged()
    x[0, 0, 30:] = NAN  # the other channel goes on
    assert torch.equal(series.lengths(x), ends)
    assert series.lengths(torch.full((1, 2, 5), NAN)).item() == 0


def test_every_transform_keeps_lengths():
    x, ends = ragged()
    makers = (series.jitter, series.scaling, series.warp, series.window, series.permutation, series.mask, series.frequency, series.varied)
    for make in makers:
        for seed in range(5):
            view, _ = make(x, G().manual_seed(seed))
            assert torch.equal(series.lengths(view), ends), make.__name__


def test_an_empty_series_stays_empty():
    x = torch.full((2, 1, 8), NAN)
    assert bool(series.varied(x, G())[0].isnan().all())


def test_at_interpolates():
    assert torch.allclose(series.at(ramp(), torch.tensor([[0.0, 1.5, 48.25, 49.0]])), torch.tensor([[[0.0, 1.5, 48.25, 49.0]]]))


def test_warp_is_increasing_and_keeps_the_ends():
    view, _ = series.warp(ramp(20), G().manual_seed(0), strength=0.5)
    assert bool((view[:, 0, 1:] >= view[:, 0, :-1]).all())
    assert torch.allclose(view[:, 0, 0], torch.zeros(20)) and torch.allclose(view[:, 0, -1], torch.full((20,), 49.0), atol=1e-3)
    assert (view - ramp(20)).abs().max() > 1


def test_window_is_the_piece_that_the_key_names():
    view, keys = series.window(ramp(30), G().manual_seed(0), share=(0.3, 0.8))
    assert torch.allclose(view[:, 0, 0], keys["window"][:, 0], atol=1e-3)
    assert torch.allclose(view[:, 0, -1], keys["window"][:, 1] - 1, atol=1e-3)
    share = (keys["window"][:, 1] - keys["window"][:, 0]) / 50
    assert share.min() >= 0.29 and share.max() <= 0.81
    kept, keys = series.window(ramp(30), G().manual_seed(0), share=(0.3, 0.8), stretch=False)
    assert torch.equal(series.lengths(kept).float(), keys["window"][:, 1] - keys["window"][:, 0])


def test_permutation_moves_whole_pieces():
    view, keys = series.permutation(ramp(5, 42), G().manual_seed(0), pieces=4)
    assert torch.equal(view.sort(2).values, ramp(5, 42))
    assert torch.equal(view[:, 0, :40:10], keys["order"].float() * 10)
    assert torch.equal(view[:, 0, 40:], ramp(5, 42)[:, 0, 40:])


def test_frequency_keeps_the_mean_and_loses_what_it_should():
    x = torch.randn(5, 1, 64, generator=G().manual_seed(0))
    view, _ = series.frequency(x, G().manual_seed(1))
    assert torch.allclose(view.mean(2), x.mean(2), atol=1e-5)
    flat, _ = series.frequency(x, G().manual_seed(1), amplitude=0.0, phase=0.0, lost=1.0)
    assert torch.allclose(flat, x.mean(2, keepdim=True).expand_as(x), atol=1e-5)


def test_jitter_and_scaling_have_their_spread():
    x = torch.ones(2000, 1, 10)
    assert abs((series.jitter(x, G().manual_seed(0), scale=0.3)[0] - 1).std() - 0.3) < 0.01
    view, keys = series.scaling(x, G().manual_seed(0), spread=0.2, invert=0.25)
    assert abs(keys["scale"].log().std() - 0.2) < 0.02
    assert abs((keys["sign"] < 0).float().mean() - 0.25) < 0.04
    assert torch.allclose(view[:, :, 0], keys["scale"] * keys["sign"][:, None])


def test_channels_dropped_are_zero_and_gaps_stay():
    x, _ = ragged()
    view, keys = series.drop(x, G().manual_seed(0), share=0.5)
    assert torch.equal(keys["dropped"].sum(1), torch.ones(6, dtype=torch.int64))
    assert torch.equal(view.isnan(), x.isnan())
    assert bool((view[keys["dropped"]].nan_to_num(0) == 0).all())


def test_masks_are_runs_of_the_length_they_say():
    x = torch.ones(200, 1, 100)
    hidden = series.mask(x, G().manual_seed(0), share=0.2, length=5)[1]["mask"].int()
    starts = (hidden.diff(dim=1, prepend=torch.zeros(200, 1, dtype=torch.int32)) == 1).sum()
    assert hidden.sum() / starts > 4.5, "runs of 5, and longer ones where two touch"
    assert abs(hidden.float().mean() - 0.2) < 0.02


def test_a_very_large_batch_is_made_in_pieces_of_the_same_law():
    x = torch.randn(40_000, 1, 64)
    view, keys = series.varied(x, G().manual_seed(0))
    assert view.shape == x.shape and all(len(v) == len(x) for v in keys.values())
    assert abs(view[:20_000].std() - view[20_000:].std()) < 0.01


@pytest.mark.parametrize("pieces", [2, 4, 6])
def test_permutation_of_short_series_loses_nothing(pieces):
    """Of a series shorter than the pieces asked there are as many pieces as steps: each value stands there once."""
    x = torch.full((600, 1, 12), NAN)
    ends = torch.arange(600) % 6 + 1
    for i, end in enumerate(ends.tolist()):
        x[i, 0, :end] = torch.arange(float(end))
    view, keys = series.permutation(x, G().manual_seed(0), pieces=pieces)
    assert torch.equal(view.sort(2).values.nan_to_num(-1), x.nan_to_num(-1))
    assert torch.equal(keys["order"].sort(1).values, torch.arange(pieces).expand(600, pieces))
    for end in range(2, 7):
        found = view[ends == end][:, 0, :end]
        assert len(found.unique(dim=0)) > 1 and (end > pieces or len(found[:, 0].unique()) == end)


def test_frequency_works_in_each_items_own_length():
    """The mean over what is there stays, gaps stay, and a short item in a long batch has the view of its own spectrum."""
    x, _ = ragged()
    x[0, 0, 5], x[1, 1, 3:6] = NAN, NAN
    x = x + 3.0
    view, keys = series.frequency(x, G().manual_seed(1), amplitude=0.5, phase=0.5, lost=0.3)
    assert torch.allclose(view.nanmean(2), x.nanmean(2), atol=1e-4) and torch.equal(view.isnan(), x.isnan())
    assert keys["lost"].shape == keys["change"].shape == (6,)
    long = torch.randn(2000, 1, 64, generator=G().manual_seed(0))
    short = torch.cat([long, torch.full((2000, 1, 192), NAN)], 2)
    moved = [(series.frequency(v, G().manual_seed(2), amplitude=0.4, phase=0.0, lost=0.0)[0] - v)[:, :, :64] for v in (long, short)]
    assert abs(moved[0].std() / moved[1].std() - 1) < 0.02, "nothing of the change leaks into the padding"
    gone, _ = series.frequency(short, G().manual_seed(2), amplitude=0.0, phase=0.0, lost=1.0)
    assert torch.allclose(gone[:, :, :64], long.mean(2, keepdim=True).expand_as(long), atol=1e-4)


def test_the_spectrum_of_its_own_length_is_the_fourier_transform():
    """Against torch.fft of each item alone, in float64."""
    x = torch.randn(9, 2, 50)
    ends = torch.tensor([50, 49, 1, 2, 3, 17, 32, 31, 0])
    x = x * (torch.arange(50) < ends[:, None])[:, None]
    found = clock.spectrum(x, ends)
    for i, end in enumerate(ends.tolist()):
        assert torch.allclose(found[i, :, :end], torch.fft.fft(x[i, :, :end].double()).cfloat(), atol=2e-4) if end else True
        assert not bool(found[i, :, end:].abs().any())
    back = clock.spectrum(found, ends, back=True)
    assert torch.allclose(back.real, x, atol=1e-5)


def test_frequency_changes_by_the_law_it_says():
    """Log factors have the deviation `amplitude`, phases `phase`, and a share `lost` of the frequencies is gone; the keys say how much."""
    x = torch.randn(1500, 1, 64, generator=G().manual_seed(0))
    before = torch.fft.rfft(x)[:, 0, 1:-1]
    after = torch.fft.rfft(series.frequency(x, G().manual_seed(1), amplitude=0.3, phase=0.0, lost=0.0)[0])[:, 0, 1:-1]
    factor = (after.abs() / before.abs()).log()
    assert abs(factor.std() - 0.3) < 0.01 and abs(factor.mean()) < 0.01
    after = torch.fft.rfft(series.frequency(x, G().manual_seed(1), amplitude=0.0, phase=0.2, lost=0.0)[0])[:, 0, 1:-1]
    assert abs((after / before).angle().std() - 0.2) < 0.01
    view, keys = series.frequency(x, G().manual_seed(1), amplitude=0.0, phase=0.0, lost=0.25)
    gone = torch.fft.rfft(view)[:, 0, 1:].abs() < 0.5 * torch.fft.rfft(x)[:, 0, 1:].abs()
    assert abs(gone.float().mean() - 0.25) < 0.01 and torch.allclose(gone.float().mean(1), keys["lost"], atol=1e-6)
    assert torch.allclose(keys["change"].square(), keys["lost"], atol=1e-5)


def test_warp_strength_is_the_spread_of_the_speed():
    """Knots of the speed are exp(normal × strength): their key has that deviation, and the view follows it."""
    x = ramp(3000, 40)
    view, keys = series.warp(x, G().manual_seed(0), strength=0.3, knots=4)
    assert keys["pace"].shape == (3000, 5) and abs(keys["pace"].log().std() - 0.3) < 0.01
    slope = view[:, 0, 1] - view[:, 0, 0]
    assert float(torch.corrcoef(torch.stack([slope.log(), keys["pace"][:, 0].log()]))[0, 1]) > 0.75


def test_missing_values_are_not_filled():
    """What `data.read` marks as missing stays missing, whatever stands around it."""
    x = torch.randn(20, 2, 40)
    x[:, 0, 11], x[3, 1, 20:25] = NAN, NAN
    for make in (series.jitter, series.scaling, series.drop, series.mask, series.frequency, series.moved):
        assert torch.equal(make(x, G().manual_seed(0))[0].isnan(), x.isnan()), make.__name__
