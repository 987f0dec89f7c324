"""Boxes, maps and sampling, against torchvision and against what they must do to simple pictures."""

import math

import pytest
import torch

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import use
from counterpoint.views import geometry, image
from tests.views.laws import ks

G = torch.Generator


def boxes(n, height, width, area=(0.08, 1.0), ratio=(0.75, 4 / 3), seed=0):
    return geometry.crop_boxes(torch.zeros(n, 1), G().manual_seed(seed), height, width, area, ratio)


def test_crop_boxes_are_inside_and_whole():
    found = boxes(5000, 37, 23)
    top, left, height, width = found.unbind(1)
    assert bool((found == found.round()).all())
    assert bool(((top >= 0) & (left >= 0) & (height >= 1) & (width >= 1) & (top + height <= 37) & (left + width <= 23)).all())


def test_crop_boxes_have_torchvisions_law():
    """Means and deviations of side lengths and places within four standard errors of 4,000 of torchvision's own."""
    transforms = pytest.importorskip("torchvision.transforms")
    n = 4000
    ours = boxes(n, 64, 48)
    torch.manual_seed(0)
    picture = torch.zeros(1, 64, 48)
    theirs = torch.tensor([transforms.RandomResizedCrop.get_params(picture, (0.08, 1.0), (0.75, 4 / 3)) for _ in range(n)]).float()
    for column in range(4):
        a, b = ours[:, column], theirs[:, column]
        assert abs(a.mean() - b.mean()) < 4 * math.sqrt((a.var() + b.var()) / n)
        assert abs(a.std() / b.std() - 1) < 0.06
    quantiles = torch.linspace(0.05, 0.95, 10)
    shares = [(c[:, 2] * c[:, 3] / (64 * 48)).quantile(quantiles) for c in (ours, theirs)]
    assert torch.allclose(shares[0], shares[1], atol=0.04)


def test_crop_boxes_fall_back_to_the_centre():
    """A square of the full area does not fit into a narrow picture: torchvision's central crop."""
    found = boxes(5, 10, 100, area=(1.0, 1.0), ratio=(1.0, 1.0))
    assert torch.equal(found, torch.tensor([[0.0, 45.0, 10.0, 10.0]]).expand(5, 4))


def maps(angle=0.0, zoom=1.0, shear=0.0, shift=(0.0, 0.0), aspect=1.0):
    one = torch.tensor([1.0])
    return geometry.affine(one * angle, one * zoom, one * shear, torch.tensor([shift]), aspect)


def test_affine_turns_exactly():
    x = torch.rand(1, 1, 8, 8)
    turned = geometry.sample(x, geometry.grid_of(maps(angle=math.pi / 2), (8, 8)))
    assert torch.allclose(turned, torch.rot90(x, -1, (2, 3)), atol=1e-5) or torch.allclose(turned, torch.rot90(x, 1, (2, 3)), atol=1e-5)


def test_affine_keeps_shapes_when_oblong():
    """A quarter turn of a wide picture: a place 4 pixels right of the middle comes from 4 pixels above or below it."""
    height, width = 9, 17
    x = torch.zeros(1, 1, height, width)
    x[0, 0, 4, 8 + 3] = 1.0
    turned = geometry.sample(x, geometry.grid_of(maps(angle=math.pi / 2, aspect=width / height), (height, width)), 0.0)
    hot = divmod(int(turned.argmax()), width)
    assert hot in {(4 - 3, 8), (4 + 3, 8)}
    assert turned.max() > 0.99


def test_affine_zoom_and_shift():
    x = torch.zeros(1, 1, 16, 16)
    x[0, 0, 6:10, 6:10] = 1.0
    larger = geometry.sample(x, geometry.grid_of(maps(zoom=2.0), (16, 16)), 0.0)
    assert larger.sum() == pytest.approx(64, rel=0.02)
    moved = geometry.sample(x, geometry.grid_of(maps(shift=(0.5, -0.25)), (16, 16)), 0.0)  # 4 right, 2 up
    assert torch.allclose(moved[0, 0, 4:8, 10:14], torch.ones(4, 4), atol=1e-5)
    assert moved.sum() == pytest.approx(16, abs=1e-3)


def test_shear_moves_rows_against_each_other_and_keeps_area():
    x = torch.zeros(1, 1, 33, 33)
    x[0, 0, 8:25, 15:18] = 1.0
    leant = geometry.sample(x, geometry.grid_of(maps(shear=math.pi / 6), (33, 33)), 0.0)[0, 0]
    assert leant.sum() == pytest.approx(51, rel=0.03)
    centre = (leant * torch.arange(33)).sum(1) / leant.sum(1)
    slope = (centre[22] - centre[10]) / 12
    assert abs(slope) == pytest.approx(math.tan(math.pi / 6), rel=0.05)


def test_grid_of_with_boxes_is_the_crop():
    x = torch.rand(4, 1, 20, 30)
    found = torch.tensor([[2.0, 3.0, 10.0, 12.0]]).expand(4, 4)
    grid = geometry.grid_of(maps().expand(4, 2, 3), (10, 12), found, (20, 30))
    assert torch.allclose(geometry.sample(x, grid), x[:, :, 2:12, 3:15], atol=1e-5)


def test_sample_fills_beyond_the_border():
    x = torch.ones(1, 1, 4, 4)
    far = torch.full((1, 1, 1, 2), 3.0)
    assert geometry.sample(x, far, 0.25).item() == pytest.approx(0.25)
    assert geometry.sample(x, far, 0.0).item() == 0.0
    assert geometry.sample(x, far).item() == 1.0


def test_bend_is_smooth_and_of_the_stated_strength():
    field = geometry.bend(torch.zeros(200, 1), G().manual_seed(0), (32, 32), 0.1, 4)
    assert field.shape == (200, 32, 32, 2)
    assert 0.06 < field.std().item() < 0.11
    assert (field[:, 1:] - field[:, :-1]).abs().max() < 0.15


def test_inside_counts_the_box():
    found = boxes(20, 15, 12)
    inside = geometry.inside(found, 15, 12)
    assert torch.equal(inside.sum((1, 2)).float(), found[:, 2] * found[:, 3])


@pytest.mark.parametrize(
    ("area", "ratio", "words"),
    [
        ((0.9, 0.2), (0.75, 1.3), r"area = \(0.9, 0.2\) .* smaller share first"),
        ((0.2, 1.5), (0.75, 1.3), r"area = \(0.2, 1.5\)"),
        ((0.0, 0.0), (0.75, 1.3), r"area = \(0.0, 0.0\)"),
        ((0.2, 1.0), (1.3, 0.75), r"ratio = \(1.3, 0.75\) .* smaller first"),
        ((0.2, 1.0), (0.0, 1.0), r"ratio = \(0.0, 1.0\) .* above 0"),
        ((0.2, 1.0), (0.5, float("inf")), "ratio"),
    ],
)
@pytest.mark.parametrize("make", [image.crop, image.simclr, image.warp, image.erase])
def test_boxes_that_there_cannot_be_are_refused(make, area, ratio, words):
    with pytest.raises(OptionError, match=words):
        make(torch.rand(2, 3, 8, 8), G(), area=area, ratio=ratio)


def test_options_out_of_range_are_refused_when_a_part_is_made():
    for options in ({"area": (0.2, 1.5)}, {"ratio": (0.0, 1.0)}):
        with pytest.raises(OptionError):
            use(image.crop, **options)
    with pytest.raises(OptionError, match="zoom"):
        use(image.warp, zoom=(0.0, 1.0))


@pytest.mark.parametrize("size", [6, 8, 70])
def test_pictures_that_ask_for_a_gradient_are_refused(size):
    x = torch.rand(2, 3, 8, 8).requires_grad_()
    for make in (image.simclr, image.crop, image.warp):
        with pytest.raises(DataError, match=r"give x.detach\(\)"):
            make(x, G(), size=size)
    with torch.no_grad():
        assert image.simclr(x, G(), size=size)[0].shape == (2, 3, size, size)


def test_crop_shares_and_ratios_have_their_law():
    """Where every proposal fits, area is uniform and the ratio log-uniform; up to whole pixels."""
    found = boxes(4000, 400, 400, area=(0.1, 0.5), ratio=(0.5, 2.0))
    share = found[:, 2] * found[:, 3] / 400**2
    assert ks(((share - 0.1) / 0.4).clamp(0, 1)) < 1.63 / 4000**0.5 + 0.005
    assert ks((found[:, 3] / found[:, 2]).log() / math.log(4) + 0.5) < 1.63 / 4000**0.5 + 0.005
    room = 400 - found[:, 2] + 1
    assert ks((found[:, 0] + 0.5) / room) < 1.63 / 4000**0.5 + 0.005
