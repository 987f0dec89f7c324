"""Each colour operation alone is torchvision's, to 1e-3; composed ones are the product of the single ones."""

import pytest
import torch

from counterpoint.views import colour

functional = pytest.importorskip("torchvision.transforms.v2.functional")


def jitter(x, generator, *chosen):
    made, keys = colour.jitter(x, generator, *chosen, "hsv")
    return colour.painted(x, made), keys


def pictures(n=6, c=3, seed=0):
    return torch.rand(n, c, 11, 13, generator=torch.Generator().manual_seed(seed))


def test_grey_is_torchvisions():
    x = pictures()
    ours, _ = jitter(x, torch.Generator().manual_seed(0), (0.0, 0.0, 0.0, 0.0), 1.0, 1.0)
    assert torch.allclose(ours, functional.rgb_to_grayscale(x, 3), atol=1e-3)
    turned, keys = jitter(x, torch.Generator().manual_seed(0), (0.0, 0.0, 0.0, 0.5), 1.0, 1.0)  # grey comes last: of what the hue made
    theirs = [functional.rgb_to_grayscale(functional.adjust_hue(i, float(f)), 3) for i, f in zip(x, keys["hue"])]
    assert torch.allclose(turned, torch.stack(theirs), atol=1e-3)


def test_hue_is_torchvisions():
    x = pictures()
    x[0] = 0.5  # grey has no hue
    x[1, 1] = x[1, 0]  # two channels equal
    turns = torch.tensor([0.1, -0.3, 0.5, -0.5, 0.0, 0.25])
    theirs = torch.stack([functional.adjust_hue(i, float(f)) for i, f in zip(x, turns)])
    assert torch.allclose(colour.turn_hue(x, turns), theirs, atol=1e-3)


def test_blur_is_torchvisions():
    x = pictures(3)
    sigma = torch.tensor([0.5, 1.0, 1.3])
    theirs = torch.stack([functional.gaussian_blur(i, [9, 9], [float(s), float(s)]) for i, s in zip(x, sigma)])
    assert torch.allclose(colour.blur(x, sigma), theirs, atol=1e-3)


def test_solarise_is_torchvisions_where_used():
    x = pictures(2)
    ours = colour.solarise(x, torch.tensor([True, False]), 0.5)
    assert torch.allclose(ours[0], functional.solarize(x[0], 0.5), atol=1e-6)
    assert torch.equal(ours[1], x[1])


@pytest.mark.parametrize("strengths", [(1.0, 0.0, 0.0, 0.0), (0.0, 1.5, 0.0, 0.0), (0.0, 0.0, 1.5, 0.0), (0.0, 0.0, 0.0, 0.5)])
def test_jitter_with_one_operation_is_that_operation(strengths):
    x = pictures(40)
    view, keys = jitter(x, torch.Generator().manual_seed(3), strengths, 0.8, 0.0)
    name = ("brightness", "contrast", "saturation", "hue")[next(i for i, s in enumerate(strengths) if s)]
    adjust = getattr(functional, f"adjust_{name}")
    theirs = torch.stack([adjust(i, float(f)) for i, f in zip(x, keys[name])])
    assert torch.allclose(view, theirs, atol=1e-3)
    untouched = keys[name] == (0.0 if name == "hue" else 1.0)
    assert 0 < untouched.sum() < 20
    assert torch.allclose(view[untouched], x[untouched], atol=1e-5)


def test_jitter_composes_in_the_order_drawn():
    """All four at once, mild enough that nothing is clamped: torchvision's operations in this item's order."""
    x = pictures(30) * 0.3 + 0.35
    generator = torch.Generator().manual_seed(5)
    view, keys = jitter(x, generator, (0.2, 0.2, 0.2, 0.1), 1.0, 0.0)
    best = []
    for i in range(30):
        from itertools import permutations

        errors = []
        for order in permutations(("brightness", "contrast", "saturation", "hue")):
            y = x[i]
            for name in order:
                y = getattr(functional, f"adjust_{name}")(y, float(keys[name][i]))
            errors.append(float((y - view[i]).abs().max()))
        best.append(min(errors))
    assert max(best) < 1e-3


def test_jitter_factors_cover_their_ranges_evenly():
    x = torch.zeros(4000, 3, 1, 1)
    _, keys = jitter(x, torch.Generator().manual_seed(0), (0.4, 0.3, 0.2, 0.1), 1.0, 0.2)
    for name, low, high in (("brightness", 0.6, 1.4), ("contrast", 0.7, 1.3), ("saturation", 0.8, 1.2), ("hue", -0.1, 0.1)):
        values = keys[name]
        assert low <= values.min() and values.max() <= high
        spread = (values - low) / (high - low)
        assert torch.allclose(spread.quantile(torch.tensor([0.1, 0.5, 0.9])), torch.tensor([0.1, 0.5, 0.9]), atol=0.03)
    assert keys["grey"].float().mean() == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_any_number_of_channels(channels):
    x = pictures(8, channels)
    view, _ = jitter(x, torch.Generator().manual_seed(0), (0.4, 0.4, 0.4, 0.1), 1.0, 1.0)
    assert view.shape == x.shape and view.min() >= 0 and view.max() <= 1
    if channels > 1:  # grey: all channels equal
        assert torch.allclose(view, view[:, :1].expand_as(view), atol=1e-5)
