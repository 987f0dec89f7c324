"""Volumes, clips, points and skeletons: each transform does what it says."""

import math

import pytest
import torch

from counterpoint.core.errors import DataError, OptionError
from counterpoint.views import points, skeleton, video, volume
from tests.views.laws import ks

G = torch.Generator
STILL = {"brightness": 0.0, "contrast": 0.0, "noise": 0.0}


def test_a_volume_left_alone_is_itself_and_flips_are_exact():
    x = torch.randn(3, 1, 6, 7, 8)
    still = STILL | {"share": (1.0, 1.0), "rotation": 0.0}
    assert torch.allclose(volume.varied(x, G(), **still, flip=(0.0, 0.0, 0.0))[0], x, atol=1e-5)
    for axis in range(3):
        flip = tuple(1.0 if k == axis else 0.0 for k in range(3))
        assert torch.allclose(volume.varied(x, G(), **still, flip=flip)[0], x.flip(axis + 2), atol=1e-5)


def test_a_box_of_a_volume_is_where_its_key_says():
    x = torch.linspace(-1, 1, 32).view(1, 1, 32, 1, 1).expand(20, 1, 32, 32, 32).contiguous()
    view, keys = volume.varied(x, G().manual_seed(0), **STILL, share=(0.5, 0.9), rotation=0.0, flip=(0.0, 0.0, 0.0))
    assert torch.allclose(view.mean((1, 2, 3, 4)), keys["place"][:, 2] * 32 / 31, atol=0.02)


def test_turns_are_rotations():
    maps = volume.turns(torch.randn(20, 3))
    assert torch.allclose(maps @ maps.transpose(1, 2), torch.eye(3).expand(20, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(maps), torch.ones(20), atol=1e-5)


def test_intensity_is_relative_to_the_item():
    x = torch.randn(50, 1, 6, 6, 6) * 300 + 1000
    view, keys = volume.intensity(x, G().manual_seed(0), noise=0.0)
    again, _ = volume.intensity((x - 1000) / 300, G().manual_seed(0), noise=0.0)
    assert torch.allclose((view - 1000) / 300, again, atol=1e-3)
    assert keys["contrast"].min() >= 0.8 and keys["contrast"].max() <= 1.2
    noisy, _ = volume.intensity(x, G().manual_seed(0), brightness=0.0, contrast=0.0, noise=0.2)
    share = (noisy - x).std((1, 2, 3, 4)) / x.std((1, 2, 3, 4))
    assert share.max() < 0.25 and abs(share.mean() - 0.1) < 0.03, "its deviation is uniform up to 0.2"


def test_frames_of_a_clip_are_treated_alike():
    x = torch.randint(0, 256, (6, 3, 1, 10, 10), dtype=torch.uint8).expand(6, 3, 4, 10, 10).contiguous()
    view, _ = video.simclr(x, G().manual_seed(0), size=8)
    assert view.shape == (6, 3, 4, 8, 8)
    assert torch.allclose(view, view[:, :, :1].expand_as(view), atol=1e-5)


def test_a_moment_is_a_start_and_a_stride():
    x = torch.arange(12.0).view(1, 1, 12, 1, 1).expand(40, 1, 12, 2, 2).contiguous()
    view, keys = video.moment(x, G().manual_seed(0), frames=4, strides=(1, 3), backward=0.5)
    expected = keys["start"][:, None] + keys["stride"][:, None] * torch.arange(4)
    expected = torch.where(keys["backward"][:, None], expected.flip(1), expected)
    assert torch.equal(view[:, 0, :, 0, 0], expected.float())
    assert set(keys["stride"].tolist()) == {1, 2, 3}
    with pytest.raises(DataError, match="13 frames of a clip of 12"):
        video.moment(x, G(), frames=13)


def cloud(n=10):
    x = torch.randn(n, 4, 60)
    x[::2, :, 50:] = float("nan")
    return x


def test_strides_are_the_smallest_and_the_largest():
    with pytest.raises(OptionError, match="in this order"):
        video.moment(torch.rand(2, 3, 9, 4, 4), G(), frames=2, strides=(4, 1))


def test_points_turn_without_changing_distances():
    x = torch.randn(10, 4, 60)
    for axis in ("up", "any"):
        view, _ = points.rotate(x, G().manual_seed(0), axis=axis)
        assert torch.allclose(view[:, :3].norm(dim=1), x[:, :3].norm(dim=1), atol=1e-4)
        assert torch.equal(view[:, 3], x[:, 3])
        assert torch.allclose(view[:, 2], x[:, 2], atol=1e-5) == (axis == "up")


def test_cropped_points_are_the_nearest_and_features_stay_with_them():
    x = cloud()
    view, keys = points.crop(x, G().manual_seed(0), share=(0.5, 0.5))
    assert not bool(view.isnan().any())
    for i in range(10):
        there = x[i][:, ~x[i].isnan().any(0)]
        distance = (there[:3] - x[i, :3, keys["centre"][i], None]).norm(dim=0)
        near = there[:, distance.argsort()[: int(keys["kept"][i])]]
        assert set(view[i, 3].tolist()) == set(near[3].tolist())
    fewer, keys = points.drop(x, G().manual_seed(0))
    assert all(len(set(fewer[i, 3].tolist())) == int(keys["kept"][i]) for i in range(10))


def test_points_mask_and_scale():
    x = cloud()
    view, keys = points.mask(x, G().manual_seed(0), share=0.5)
    assert torch.equal(view.isnan().all(1), keys["mask"] | x.isnan().all(1))
    _, keys = points.scale(x, G().manual_seed(0), factor=(0.5, 2.0))
    assert keys["scale"].min() >= 0.5 and keys["scale"].max() <= 2.0


def walker():
    x = torch.randn(8, 3, 20, 12)
    x[::2, :, 15:] = float("nan")
    return x


def test_skeletons_turn_rigidly_and_keep_their_length():
    x = walker()
    view, _ = skeleton.rotate(x, G().manual_seed(0))
    assert torch.allclose(view.norm(dim=1), x.norm(dim=1), atol=1e-4, equal_nan=True)
    for make in (skeleton.moment, skeleton.varied, skeleton.joints, skeleton.jitter, skeleton.shear):
        made, _ = make(x, G().manual_seed(0))
        assert torch.equal(made.isnan(), x.isnan()), make.__name__


def test_joints_are_hidden_in_all_frames():
    x = walker()
    view, keys = skeleton.joints(x, G().manual_seed(0), share=0.25)
    assert torch.equal(keys["mask"].sum(1), torch.full((8,), 3))
    zero = (view.nan_to_num(0) == 0).all(1).all(1)
    assert torch.equal(zero, keys["mask"])


def test_noise_of_points_and_joints_has_the_deviation_it_says():
    step = points.jitter(torch.zeros(50, 3, 200), G().manual_seed(0), scale=0.02, most=1.0)[0]
    assert abs(step.std() - 0.02) < 0.001
    assert points.jitter(torch.zeros(50, 3, 200), G().manual_seed(0), scale=0.02, most=0.03)[0].abs().max() == pytest.approx(0.03)
    assert abs(skeleton.jitter(torch.zeros(50, 3, 20, 12), G().manual_seed(0), scale=0.02)[0].std() - 0.02) < 0.001


def test_still_jitter_is_the_same_in_all_frames():
    x = torch.zeros(2, 3, 6, 5)
    view, _ = skeleton.jitter(x, G().manual_seed(0), still=True)
    assert torch.equal(view, view[:, :, :1].expand_as(view))


@pytest.mark.parametrize(
    ("make", "shape", "words"),
    [
        (volume.varied, (2, 3, 4, 5), "depth, height, width"),
        (video.simclr, (2, 3, 4, 5), "frames, height, width"),
        (points.rotate, (2, 2, 5), "3 or more channels"),
        (skeleton.joints, (2, 3, 5), "frames, joints"),
    ],
)
def test_wrong_shapes_are_refused(make, shape, words):
    with pytest.raises(DataError, match=words):
        make(torch.randn(shape), G())


# ---- laws --------------------------------------------------------------------------------------------------------------


def test_any_turn_is_uniform_on_all_turns():
    """Haar's law: where each axis ends is uniform on the sphere, so that its squares have the mean 1/3 and its height is uniform."""
    n = 20_000
    x = torch.eye(3).expand(n, 3, 3)  # the three axes as points
    view, keys = points.rotate(x, G().manual_seed(0), axis="any")
    assert bool((view.square().mean(0) - 1 / 3).abs().max() < 4 * (4 / 45 / n) ** 0.5)
    for axis in range(3):
        for point in range(3):
            assert ks((view[:, axis, point] + 1) / 2) < 1.95 / n**0.5
    angle = keys["angle"].norm(dim=1)
    assert ks((angle - angle.sin()) / math.pi) < 1.63 / n**0.5
    some, keys = points.rotate(x, G().manual_seed(1), axis="any", angle=60.0)
    angle, most = keys["angle"].norm(dim=1), math.pi / 3
    assert float(angle.max()) <= most + 1e-5
    assert ks((angle - angle.sin()) / (most - math.sin(most))) < 1.63 / n**0.5
    trace = some.diagonal(dim1=1, dim2=2).sum(1)
    assert torch.allclose(((trace - 1) / 2).clamp(-1, 1).acos(), angle, atol=2e-3), "the key is the turn that was made"
    none, _ = points.rotate(x, G().manual_seed(1), axis="any", angle=0.0)
    assert torch.allclose(none, x, atol=1e-6)


def test_turns_about_the_vertical_are_uniform():
    _, keys = points.rotate(torch.randn(5000, 3, 2), G().manual_seed(0), angle=90.0)
    assert not bool(keys["angle"][:, :2].any())
    assert ks(keys["angle"][:, 2] / math.pi + 0.5) < 1.63 / 5000**0.5


def test_skeletons_lean_as_the_key_says():
    x = torch.randn(4000, 3, 2, 4)
    view, keys = skeleton.shear(x, G().manual_seed(0), strength=0.4)
    assert keys["shear"].shape == (4000, 6)
    maps = torch.eye(3).repeat(4000, 1, 1)
    maps[:, ~torch.eye(3, dtype=torch.bool)] = keys["shear"]
    assert torch.allclose(view, (maps @ x.flatten(2)).view_as(x), atol=1e-5)
    assert ks(keys["shear"].flatten() / 0.8 + 0.5) < 1.63 / 24_000**0.5
    assert "shear" in skeleton.varied(x[:2], G().manual_seed(0))[1]
    angle = skeleton.rotate(x, G().manual_seed(0), angle=40.0)[1]["angle"]
    assert ks((angle.rad2deg() / 80 + 0.5).flatten()) < 1.63 / 12_000**0.5


def test_sides_and_angles_of_volumes_are_uniform():
    x = torch.zeros(4000, 1, 2, 2, 2)
    _, keys = volume.varied(x, G().manual_seed(0), share=(0.6, 0.9), rotation=20.0)
    assert ks((keys["side"] - 0.6) / 0.3) < 1.63 / 4000**0.5
    assert ks((keys["angle"].rad2deg() / 40 + 0.5).flatten()) < 1.63 / 12_000**0.5
    room = 1 - keys["side"][:, None]
    assert ks((keys["place"] / room / 2 + 0.5).flatten()) < 1.63 / 12_000**0.5


def test_erased_boxes_are_where_the_key_says_and_hold_the_mean():
    x = torch.randn(200, 2, 10, 12, 14) + 7
    view, keys = volume.erase(x, G().manual_seed(0), share=(0.2, 0.6), boxes=2)
    assert keys["erased"].shape == (200, 12)
    gone = (view == x.mean((1, 2, 3, 4), keepdim=True)).all(1)
    sides = torch.tensor([10.0, 12.0, 14.0])
    places = torch.stack(torch.meshgrid(*[torch.arange(n) + 0.5 for n in (10, 12, 14)], indexing="ij"))
    for i in range(200):
        inside = torch.zeros(10, 12, 14, dtype=torch.bool)
        for box in keys["erased"][i].view(2, 2, 3):
            low, high = (edge.view(3, 1, 1, 1) * sides.view(3, 1, 1, 1) for edge in box)
            inside |= ((places > low) & (places < high)).all(0)
        assert torch.equal(gone[i], inside)
    assert torch.equal(view[~gone[:, None].expand_as(x)], x[~gone[:, None].expand_as(x)])
    size = (keys["erased"].view(200, 2, 2, 3)[:, :, 1] - keys["erased"].view(200, 2, 2, 3)[:, :, 0]) * sides
    assert bool((size >= 0.2 * sides - 0.51).all()) and bool((size <= 0.6 * sides + 0.51).all())


def test_elastic_volumes_move_by_the_strength():
    """A ramp along each axis shows where each voxel was taken from: smooth moves with the deviation asked, different for each item."""
    line = (torch.arange(24) + 0.5) / 12 - 1
    for axis in range(3):
        x = line.view(*[24 if k == axis else 1 for k in range(3)]).expand(60, 1, 24, 24, 24).contiguous()
        view, keys = volume.elastic(x, G().manual_seed(axis), strength=0.05, cells=3)
        move = (view - x)[:, 0, 6:18, 6:18, 6:18]
        assert 0.03 < float(move.std()) < 0.06 and keys["moved"].shape == (60,)
        assert float((move[:, 1:] - move[:, :-1]).abs().max()) < 0.06, "smooth"
        assert float(torch.corrcoef(move.flatten(1)).fill_diagonal_(0).abs().mean()) < 0.3, "each item its own"
    assert torch.allclose(volume.elastic(x, G(), strength=0.0)[0], x, atol=1e-5)


def test_blurred_volumes_are_convolved():
    """A point becomes the Gaussian of its item's σ; the mean stays; on the share asked."""
    x = torch.zeros(400, 1, 15, 15, 15)
    x[:, :, 7, 7, 7] = 1.0
    view, keys = volume.blur(x, G().manual_seed(0), share=0.5, sigma=(0.6, 1.5))
    assert abs((keys["blur"] > 0).float().mean() - 0.5) < 0.1 and keys["blur"].max() <= 1.5
    assert torch.equal(view[keys["blur"] == 0], x[keys["blur"] == 0])
    used = (keys["blur"] > 0).nonzero()[:5, 0]
    distance = torch.stack(torch.meshgrid(*[torch.arange(15.0) - 7] * 3, indexing="ij")).square().sum(0)
    for i in used.tolist():
        exact = torch.exp(-0.5 * distance / keys["blur"][i] ** 2)
        assert torch.allclose(view[i, 0], exact / exact.sum(), atol=2e-3)
    assert torch.allclose(view.sum((1, 2, 3, 4)), torch.ones(400), atol=1e-3)
    flat = torch.full((4, 1, 3, 4, 5), 2.0)
    assert torch.allclose(volume.blur(flat, G(), share=1.0)[0], flat, atol=1e-5)


def test_gamma_bends_the_greys_between_the_items_own_ends():
    x = torch.rand(3000, 1, 3, 3, 3) * 400 - 1000
    view, keys = volume.gamma(x, G().manual_seed(0), factor=(0.5, 2.0))
    low, high = x.amin((1, 2, 3, 4), keepdim=True), x.amax((1, 2, 3, 4), keepdim=True)
    exact = low + (high - low) * ((x - low) / (high - low)) ** keys["gamma"].view(-1, 1, 1, 1, 1)
    assert torch.allclose(view, exact, atol=0.05)
    assert ks(keys["gamma"].log() / (2 * math.log(2)) + 0.5) < 1.63 / 3000**0.5
    flat = torch.full((2, 1, 2, 2, 2), 5.0)
    assert torch.equal(volume.gamma(flat, G())[0], flat)


def test_a_clip_of_all_frames_is_another_moment_at_another_pace():
    """Without a number of frames: half to the whole of the clip, from a random start, in as many frames as it had."""
    x = torch.arange(24.0).view(1, 1, 24, 1, 1).expand(3000, 1, 24, 2, 2).contiguous() / 24
    view, keys = video.moment(x, G().manual_seed(0))
    assert view.shape == x.shape
    at = (view[:, 0, :, 0, 0] * 24).round()
    start, end = keys["window"].unbind(1)
    assert torch.equal(at[:, 0], start) and torch.equal(at[:, -1], end - 1) and bool((at[:, 1:] >= at[:, :-1]).all())
    assert torch.equal(at, (start[:, None] + torch.linspace(0, 1, 24) * (end - start - 1)[:, None]).round())
    size = end - start
    assert size.min() == 12 and size.max() == 24 and bool((start[size == 12].unique() == torch.arange(13)).all())
    still, keys = video.simclr(x, G().manual_seed(0), area=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, jitter=0.0, grey=0.0)
    assert "window" in keys and float((still - x).abs().max()) > 0.2
    whole, _ = video.simclr(x, G(), span=(1.0, 1.0), area=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.0, jitter=0.0, grey=0.0)
    assert torch.allclose(whole, x, atol=1e-5)


def test_clips_that_are_not_in_range_are_refused():
    with pytest.raises(DataError, match=r"float clips with values from 0 to 255 .* scale them to \[0, 1\], or give uint8"):
        video.simclr(torch.arange(256.0).view(1, 1, 4, 8, 8), G())
    with pytest.raises(DataError, match="nan"):
        video.simclr(torch.full((1, 1, 4, 8, 8), float("nan")), G())


def test_volumes_with_holes_are_refused():
    """`data.read` refuses NaN in volumes, and one would make the whole view NaN."""
    x = torch.zeros(2, 1, 4, 4, 4)
    x[1, 0, 0, 0, 0] = float("nan")
    for make in (volume.varied, volume.intensity, volume.erase, volume.elastic, volume.blur, volume.gamma):
        with pytest.raises(DataError, match="NaN"):
            make(x, G())
