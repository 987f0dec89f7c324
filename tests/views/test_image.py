"""Pictures: every number of channels and depth, ranges, shares, and that each option does what it says."""

import math

import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import DataError
from counterpoint.views import colour, image
from tests.views.laws import ks

G = torch.Generator
PLAIN = {"flip": 0.0, "jitter": 0.0, "grey": 0.0, "area": (1.0, 1.0), "ratio": (1.0, 1.0)}


@pytest.mark.parametrize("channels", [1, 2, 3, 7])
def test_any_depth_gives_the_same_view(channels):
    bytes_ = torch.randint(0, 256, (5, channels, 12, 12), dtype=torch.uint8)
    wide = (bytes_.int() * 257).to(torch.uint16)
    made = [image.simclr(x, G().manual_seed(0), size=8)[0] for x in (bytes_, wide, bytes_.float() / 255)]
    assert made[0].shape == (5, channels, 8, 8) and made[0].dtype == torch.float32
    assert torch.allclose(made[0], made[1], atol=1e-5) and torch.allclose(made[0], made[2], atol=1e-5)


def test_nothing_asked_nothing_done():
    x = torch.rand(4, 3, 16, 16)
    assert torch.allclose(image.simclr(x, G(), **PLAIN)[0], x, atol=1e-5)


def test_flip_is_a_mirror_on_the_share_asked():
    x = torch.rand(1, 1, 8, 8).expand(2000, 1, 8, 8)
    view, keys = image.simclr(x, G().manual_seed(0), **(PLAIN | {"flip": 0.3}))
    assert torch.allclose(view[keys["flip"]], x[:1].flip(3), atol=1e-5)
    assert torch.allclose(view[~keys["flip"]], x[:1], atol=1e-5)
    assert abs(keys["flip"].float().mean() - 0.3) < 0.04


def test_crop_key_says_where():
    x = torch.linspace(0, 1, 64).expand(50, 1, 64, 64).contiguous()
    view, keys = image.crop(x, G().manual_seed(0), flip=0.0, size=64)
    left, right = keys["crop"][:, 0], keys["crop"][:, 2]
    middle = ((left + right) / 2 * 64 - 0.5) / 63
    assert torch.allclose(view.mean((1, 2, 3)), middle, atol=2e-3)


def test_large_pictures_take_the_same_road_to_the_same_numbers():
    """Bytes are resized as bytes, a call for each item; floats by one grid or by filters: equal to a byte's rounding."""
    for size, target in ((80, 72), (70, 80)):
        x = torch.randint(0, 256, (4, 3, size, size), dtype=torch.uint8)
        one, two = (image.crop(v, G().manual_seed(0), size=target)[0] for v in (x, x.float() / 255))
        assert (one - two).abs().max() < 1.5 / 255


def test_linear_hue_keeps_grey_values_and_a_full_circle_is_nothing():
    turns = torch.tensor([0.1, -0.3, 0.5])
    matrix = colour.hue_matrices(turns)
    weights = torch.tensor(colour.RGB)
    assert torch.allclose(weights @ matrix, weights.expand(3, 3), atol=1e-5)
    assert torch.allclose(matrix @ torch.ones(3), torch.ones(3, 3), atol=1e-5)
    assert torch.allclose(colour.hue_matrices(torch.tensor([1.0]))[0], torch.eye(3), atol=1e-5)
    assert torch.allclose(matrix[0] @ colour.hue_matrices(torch.tensor([-0.1]))[0], torch.eye(3), atol=1e-5)


def test_linear_jitter_is_the_product_of_its_matrices():
    x = torch.rand(30, 3, 6, 6) * 0.2 + 0.4
    made, keys = colour.jitter(x, G().manual_seed(0), (0.2, 0.2, 0.2, 0.1), 0.8, 0.2)
    weights = torch.tensor(colour.RGB)
    for i, view in enumerate(colour.painted(x, made)):
        v = torch.einsum("ij,jhw->ihw", colour.hue_matrices(keys["hue"][i : i + 1])[0], x[i])
        grey = (weights[:, None, None] * v).sum(0, keepdim=True)
        v = keys["saturation"][i] * v + (1 - keys["saturation"][i]) * grey
        v = keys["contrast"][i] * v + (1 - keys["contrast"][i]) * grey.mean()
        v = keys["brightness"][i] * v
        v = (weights[:, None, None] * v).sum(0, keepdim=True).expand(3, 6, 6) if keys["grey"][i] else v
        assert torch.allclose(view, v.clamp(0, 1), atol=1e-5)


def test_the_linear_turn_moves_the_hue_of_hsv_as_far_and_as_evenly():
    """It keeps the grey value where HSV keeps the largest channel; the angle is the one asked on average, each within 0.03."""
    from colorsys import rgb_to_hsv

    x = torch.rand(200, 3, generator=G().manual_seed(0)) * 0.3 + 0.35
    for share in (0.1, 0.05, -0.1):
        turned = torch.einsum("ij,nj->ni", colour.hue_matrices(torch.tensor([share]))[0], x)
        moves = torch.tensor([(rgb_to_hsv(*b)[0] - rgb_to_hsv(*a)[0] + 0.5) % 1 - 0.5 for a, b in zip(x.tolist(), turned.tolist())])
        assert abs(moves.mean() - share) < 0.01 and (moves - share).abs().mean() < 0.03


def test_blur_upside_solarise_are_used_on_their_share():
    x = torch.rand(1, 1, 16, 16).expand(600, 1, 16, 16).contiguous()
    view, keys = image.simclr(x, G().manual_seed(0), **PLAIN, blur=0.5, solarise=0.2, upside=0.25)
    shares = [keys["blur"].gt(0).float().mean(), keys["solarise"].float().mean(), keys["upside"].float().mean()]
    assert all(abs(a - b) < 0.07 for a, b in zip(shares, (0.5, 0.2, 0.25)))
    still = (keys["blur"] == 0) & ~keys["solarise"] & ~keys["upside"]
    assert torch.allclose(view[still], x[still], atol=1e-5)
    assert keys["blur"].max() <= 2.0


def test_warp_within_its_ranges():
    x = torch.rand(500, 1, 12, 12)
    _, keys = image.warp(x, G().manual_seed(0), rotation=20.0, zoom=(0.8, 1.2), shear=10.0, shift=0.1, thickness=0.5)
    degrees = keys["angle"].rad2deg()
    assert 18 < degrees.max() <= 20 and keys["shear"].rad2deg().abs().max() <= 10
    assert keys["zoom"].min() >= 0.8 and keys["zoom"].max() <= 1.2 and keys["shift"].abs().max() <= 0.2
    assert abs((keys["thickness"] != 0).float().mean() - 0.5) < 0.1
    none = {"rotation": 0.0, "zoom": (1.0, 1.0), "shear": 0.0, "shift": 0.0, "elastic": 0.0}
    assert torch.allclose(image.warp(x, G(), **none)[0], x, atol=1e-5)
    assert torch.allclose(image.warp(x, G(), **none, flip=1.0)[0], x.flip(3), atol=1e-5)


def test_thickness_widens_and_thins_strokes():
    x = torch.zeros(300, 1, 12, 12)
    x[:, :, 3:9, 5:7] = 1.0
    still = {"rotation": 0.0, "zoom": (1.0, 1.0), "shear": 0.0, "shift": 0.0, "elastic": 0.0}
    view, keys = image.warp(x, G().manual_seed(0), **still, thickness=1.0)
    ink = view.sum((1, 2, 3))
    assert bool((ink[keys["thickness"] > 0] > 12.5).all()) and bool((ink[keys["thickness"] < 0] < 11.5).all())


def test_erase_covers_what_it_says():
    x = torch.rand(300, 2, 20, 20) * 0.9 + 0.1
    view, keys = image.erase(x, G().manual_seed(0), share=0.5)
    gone = (view == 0).all(1).float().mean((1, 2))
    box = keys["erased"]
    assert torch.allclose(gone, (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]), atol=1e-5)
    assert abs((gone > 0).float().mean() - 0.5) < 0.1 and gone.max() < 0.36


def test_frequency_keeps_the_mean():
    x = torch.rand(6, 3, 16, 15) * 0.2 + 0.4
    view, _ = image.frequency(x, G().manual_seed(0), amplitude=0.3)
    assert torch.allclose(view.mean((2, 3)), x.mean((2, 3)), atol=1e-3)
    assert torch.allclose(image.frequency(x, G(), amplitude=0.0)[0], x, atol=1e-5)


def test_turns_are_exact():
    x = torch.rand(1, 1, 6, 6).expand(64, 1, 6, 6)
    view, keys = image.turn(x, G().manual_seed(0), flip=0.0)
    for count in range(4):
        assert torch.equal(view[keys["quarters"] == count][0], torch.rot90(x[0], count, (1, 2)))
    oblong = torch.rand(40, 1, 4, 6)
    view, keys = image.turn(oblong, G().manual_seed(0))
    assert view.shape == oblong.shape and set(keys["quarters"].tolist()) == {0, 2}


def test_wrong_pictures_are_refused():
    with pytest.raises(DataError, match="channels, height, width"):
        image.simclr(torch.rand(3, 4, 4), G())
    with pytest.raises(DataError, match="int64"):
        image.simclr(torch.zeros(1, 1, 4, 4, dtype=torch.int64), G())
    with pytest.raises(DataError, match="scale them"):
        views.preset("image", "simclr")(torch.rand(2, 3, 8, 8) * 255)


def test_frequency_changes_by_the_law_it_says():
    """Log factors of the deviation `amplitude`, phases of `phase`, a share `lost` set to zero; the keys say how much."""
    x = torch.rand(400, 1, 16, 16, generator=G().manual_seed(0)) * 0.02 + 0.5

    def factors(**options):
        view, keys = image.frequency(x, G().manual_seed(1), **options)
        inner = (slice(None), 0, slice(1, 8), slice(1, 8))
        return torch.fft.rfft2(view)[inner] / torch.fft.rfft2(x)[inner], keys

    factor, _ = factors(amplitude=0.3)
    assert abs(factor.abs().log().std() - 0.3) < 0.01 and abs(factor.abs().log().mean()) < 0.01
    factor, _ = factors(amplitude=0.0, phase=0.4)
    assert abs(factor.angle().std() - 0.4) < 0.01
    factor, keys = factors(amplitude=0.0, lost=0.3)
    assert abs((factor.abs() < 0.1).float().mean() - 0.3) < 0.015
    assert abs(keys["lost"].mean() - 0.3) < 0.01 and torch.allclose(keys["change"].square(), keys["lost"], atol=1e-5)
    assert len(keys["lost"].unique()) > 20


def test_elastic_moves_pixels_by_the_strength_and_each_picture_its_own_way():
    still = {"rotation": 0.0, "zoom": (1.0, 1.0), "shear": 0.0, "shift": 0.0}
    x = ((torch.arange(32) + 0.5) / 32).expand(300, 1, 32, 32).contiguous()  # each pixel says its column
    view, _ = image.warp(x, G().manual_seed(0), **still, elastic=0.06)
    move = 2 * (view - x)[:, 0, 8:24, 8:24]  # in half sides
    assert 0.04 < float(move.std()) < 0.065
    assert abs(float(torch.corrcoef(move.flatten(1)).fill_diagonal_(0).mean())) < 0.02
    assert torch.allclose(image.warp(x, G(), **still, elastic=0.0)[0], x, atol=1e-5)


def test_turns_of_pictures_are_uniform():
    x = torch.rand(3000, 1, 4, 4)
    _, keys = image.warp(x, G().manual_seed(0), rotation=30.0, zoom=(0.5, 2.0), shear=20.0, shift=0.1)
    places = {
        "angle": keys["angle"].rad2deg() / 60 + 0.5,
        "shear": keys["shear"].rad2deg() / 40 + 0.5,
        "zoom": keys["zoom"].log() / math.log(4) + 0.5,
        "shift": keys["shift"].flatten() / 0.4 + 0.5,
    }
    for name, place in places.items():
        assert ks(place) < 1.63 / len(place) ** 0.5, name
    assert ks(image.noise(x, G().manual_seed(0), scale=0.1)[1]["noise"] / 0.1) < 1.63 / 3000**0.5
