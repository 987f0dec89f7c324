"""Volumes, clips, points and skeletons: each transform does what it says."""

import pytest
import torch

from counterpoint.core.errors import DataError
from counterpoint.views import points, skeleton, video, volume

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
