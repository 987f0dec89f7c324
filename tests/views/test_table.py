"""Tables: values stay legal, each column keeps its own, numbers and categories are treated as such."""

import pytest
import torch

from counterpoint.core.errors import DataError
from counterpoint.views import array, mixing, table
from tests.views.laws import ks

G = torch.Generator


def rows(n=400):
    g = G().manual_seed(0)
    x = torch.cat([torch.randn(n, 3, generator=g) + torch.tensor([0.0, 100.0, 200.0]), torch.randint(0, 4, (n, 2), generator=g).float()], 1)
    x[torch.rand(n, 5, generator=g) < 0.1] = float("nan")
    return x


def test_corruption_takes_values_of_the_same_column_and_counts():
    x = rows()
    view, keys = table.corrupt(x, G().manual_seed(0), share=0.6)
    assert torch.equal(keys["corrupted"].sum(1), torch.full((400,), 3))
    same = (view == x) | (view.isnan() & x.isnan())
    assert bool(same[~keys["corrupted"]].all())
    for column in range(5):
        legal = x[:, column][~x[:, column].isnan()]
        found = view[:, column][~view[:, column].isnan()]
        assert bool(torch.isin(found, legal).all())
    assert abs(view[keys["corrupted"]].isnan().float().mean() - x.isnan().float().mean()) < 0.04


def test_noise_leaves_categories_and_gaps():
    x = rows()
    for quantile in (False, True):
        view, _ = table.noise(x, G().manual_seed(0), numeric=3, quantile=quantile)
        assert torch.equal(view[:, 3:].nan_to_num(-1), x[:, 3:].nan_to_num(-1))
        assert torch.equal(view.isnan(), x.isnan())
        assert not torch.equal(view[:, :3].nan_to_num(0), x[:, :3].nan_to_num(0))


def test_quantile_noise_stays_among_the_values_and_near_in_rank():
    x = torch.randn(1000, 1, generator=G().manual_seed(0)).exp()
    view, _ = table.noise(x, G().manual_seed(0), scale=0.02, quantile=True)
    assert bool(torch.isin(view, x).all())
    ranks = x[:, 0].sort().values
    moved = torch.searchsorted(ranks, view[:, 0].contiguous()) - torch.searchsorted(ranks, x[:, 0].contiguous())
    assert 10 < moved.float().std() < 25


def test_hide_makes_gaps():
    x = torch.randn(50, 10)
    view, keys = table.hide(x, G().manual_seed(0), share=0.3)
    assert torch.equal(view.isnan(), keys["hidden"]) and torch.equal(keys["hidden"].sum(1), torch.full((50,), 3))


def test_mixup_mixes_numbers_and_draws_categories():
    x = torch.cat([torch.randn(500, 2), torch.randint(0, 3, (500, 2)).float()], 1)
    view, keys = table.mixup(x, G().manual_seed(0), numeric=2)
    share, other = keys["share"][:, None], x[keys["partner"]]
    assert torch.allclose(view[:, :2], share * x[:, :2] + (1 - share) * other[:, :2], atol=1e-6)
    assert bool(((view[:, 2:] == x[:, 2:]) | (view[:, 2:] == other[:, 2:])).all())
    assert keys["share"].min() >= 0.5
    differ = x[:, 2:] != other[:, 2:]
    kept = ((view[:, 2:] == x[:, 2:]) & differ).sum() / differ.sum()
    assert abs(kept - 0.75) < 0.06, "a category stays with the weight of its row, uniform in [0.5, 1]"


def test_arrays():
    x = torch.randn(300, 8)
    view, keys = array.corrupt(x, G().manual_seed(0), share=0.5, drop=0.2)
    assert bool((view[keys["dropped"]] == 0).all())
    assert abs((array.noise(x, G().manual_seed(0), scale=0.2)[0] - x).std() - 0.2) < 0.02
    assert bool((array.drop(x, G().manual_seed(0), share=0.25)[0] == 0).sum(1).eq(2).all())


def test_mixup_never_mixes_an_item_with_itself_and_fills_gaps():
    x = torch.randn(40, 3)
    x[0, 0] = float("nan")
    view, keys = mixing.mixup(x, G().manual_seed(0))
    assert not bool((keys["partner"] == torch.arange(40)).any())
    assert torch.equal(view.isnan(), x.isnan())


def test_cutmix_pastes_the_share_it_says():
    x = torch.rand(30, 1, 16, 16)
    view, keys = mixing.cutmix(x, G().manual_seed(0))
    changed = (view != x).float().mean((1, 2, 3))
    assert torch.allclose(changed, 1 - keys["share"], atol=1e-6)
    assert keys["share"].min() >= 0.4


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0])
def test_quantile_noise_keeps_the_law_of_a_column(scale):
    """Ranks are mirrored at both ends, so that the extremes are drawn no more often than other rows."""
    x = torch.randn(4000, 2, generator=G().manual_seed(0))
    x[:, 1] = x[:, 1].exp()
    x[::10, 0] = float("nan")
    view, _ = table.noise(x, G().manual_seed(1), scale=scale, quantile=True)
    for column in range(2):
        before, after = (v[:, column][~v[:, column].isnan()] for v in (x, view))
        assert column or abs(after.std() / before.std() - 1) < 0.05  # that of a skewed law hangs on few rows
        ends = (after == before.min()) | (after == before.max())
        assert ends.float().mean() < 10 / len(before)
        place = (torch.searchsorted(before.sort().values, after.contiguous()) + 0.5) / len(before)
        assert ks(place) < 1.63 / len(before) ** 0.5


@pytest.mark.parametrize(("alpha", "least"), [(1.0, 0.7), (0.4, 0.7), (3.0, 0.5), (0.5, 0.5), (1.0, 0.2), (2.0, 0.0)])
def test_mixup_shares_are_beta_within_their_bound(alpha, least):
    """Beta(α, α) given that it is at least `least`: no share has a lump at the bound."""
    from scipy.stats import beta

    share = mixing.mixup(torch.zeros(4000, 2), G().manual_seed(0), alpha=alpha, least=least)[1]["share"]
    assert share.min() >= least and (share == least).float().mean() < 0.01
    low = beta.cdf(least, alpha, alpha)
    assert ks(torch.from_numpy((beta.cdf(share.double().numpy(), alpha, alpha) - low) / (1 - low))) < 1.63 / 4000**0.5


@pytest.mark.parametrize(("alpha", "most"), [(1.0, 0.5), (0.5, 0.3), (2.0, 1.0)])
def test_cutmix_areas_are_beta_within_their_bound(alpha, most):
    from scipy.stats import beta

    share = mixing.cutmix(torch.zeros(600, 1, 100, 100), G().manual_seed(0), alpha=alpha, most=most)[1]["share"]
    assert (1 - share).max() <= most + 0.015
    place = beta.cdf((1 - share).double().numpy(), alpha, alpha) / beta.cdf(most, alpha, alpha)
    assert ks(torch.from_numpy(place)) < 1.63 / 600**0.5 + 0.01


def test_a_bound_that_leaves_nothing_is_an_end():
    assert bool((mixing.mixup(torch.zeros(9, 2), G(), least=1.0)[1]["share"] == 1).all())
    x = torch.rand(9, 1, 8, 8)
    view, keys = mixing.cutmix(x, G(), most=0.0)
    assert torch.equal(view, x) and bool((keys["share"] == 1).all())


@pytest.mark.parametrize("make", [table.corrupt, table.uniform, table.hide, table.noise, table.mixup])
@pytest.mark.parametrize("shape", [(7,), (3, 4, 5)])
def test_what_is_no_table_is_refused_by_every_view(make, shape):
    with pytest.raises(DataError, match=r"rows, columns"):
        make(torch.randn(shape), G())
