"""Boxes cut out of pictures, against torchvision, for one view and for several."""

import pytest
import torch

from counterpoint.views import colour, geometry
from counterpoint.views.cutting import Cut, cut_out

G = torch.Generator
pytestmark = pytest.mark.usefixtures("way")


def boxes(n, height, width, area=(0.08, 1.0), ratio=(0.75, 4 / 3), seed=0):
    return geometry.crop_boxes(torch.zeros(n, 1), G().manual_seed(seed), height, width, area, ratio)


@pytest.mark.parametrize(("shape", "size"), [((32, 32), (32, 32)), ((20, 30), (32, 32)), ((90, 70), (32, 24)), ((64, 64), (16, 64))])
def test_cut_out_is_torchvisions_antialiased_resized_crop(shape, size):
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    x = torch.rand(12, 3, *shape, generator=G().manual_seed(1))
    found = boxes(12, *shape)
    flip = torch.arange(12) % 2 == 0
    ours = cut_out(x, [Cut(found, flip, size)])[0][0]
    for i in range(12):
        top, left, height, width = (int(v) for v in found[i])
        theirs = functional.resized_crop(x[i], top, left, height, width, list(size), antialias=True)
        theirs = theirs.flip(-1) if flip[i] else theirs
        assert torch.allclose(ours[i], theirs, atol=2e-5)


def test_cut_out_of_everything_is_the_picture():
    x = torch.rand(3, 2, 9, 7)
    whole = geometry.whole_boxes(x, 9, 7)
    assert torch.allclose(cut_out(x, [Cut(whole, torch.zeros(3, dtype=torch.bool), (9, 7))])[0][0], x, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.uint8, torch.uint16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(12, 12), (5, 7), (64, 64)])  # sampled, filtered, one by one (of bytes)
def test_several_views_in_one_pass_are_those_of_each_by_itself(kind, size):
    x = torch.rand(9, 3, 12, 12, generator=G().manual_seed(2), dtype=torch.float64)
    x = x.to(kind) if kind.is_floating_point else (x * colour.full(torch.empty(0, dtype=kind))).to(kind)
    found, flip = boxes(27, 12, 12), torch.arange(27) % 2 == 0
    brush, _ = colour.jitter(x[:1].expand(27, 3, 12, 12), G().manual_seed(3), (0.4, 0.4, 0.4, 0.1), 0.8, 0.2)
    together = cut_out(x, [Cut(found, flip, size, brush), Cut(found[:9], flip[:9], (6, 6))])
    assert [len(views) for views in together] == [3, 1]
    for k in range(3):
        rows = slice(9 * k, 9 * k + 9)
        own = colour.Jitter(brush.matrix[rows], brush.shade[rows])
        alone = cut_out(x, [Cut(found[rows], flip[rows], size, own)])[0][0]
        assert torch.allclose(together[0][k], alone, atol=1e-6)
        assert together[0][k].dtype == torch.float32 and together[0][k].is_contiguous()
    assert torch.allclose(together[1][0], cut_out(x, [Cut(found[:9], flip[:9], (6, 6))])[0][0], atol=1e-6)


def test_autograd_follows_each_view_by_itself():
    """They share a piece of memory; changing one in place says nothing of the other."""
    x = torch.rand(4, 1, 8, 8)
    first, second = cut_out(x, [Cut(boxes(8, 8, 8), torch.zeros(8, dtype=torch.bool), (8, 8))])[0]
    weight = torch.ones(1, requires_grad=True)
    loss = (first * weight).sum()
    second.zero_()
    loss.backward()
    assert torch.allclose(weight.grad, first.sum())


@pytest.mark.parametrize("size", [8, 4])
def test_the_order_of_pictures_in_memory_does_not_matter(size):
    x = torch.rand(3, 3, 8, 8)
    cut = Cut(boxes(3, 8, 8), torch.tensor([True, False, True]), (size, size), colour.jitter(x, G(), (0.4, 0.4, 0.4, 0.1), 1.0, 0.2)[0])
    for other in (
        x.to(memory_format=torch.channels_last),
        x.transpose(2, 3).contiguous().transpose(2, 3),
        x.repeat(2, 1, 1, 1)[::2][:1].expand(3, 3, 8, 8),
    ):
        assert torch.allclose(cut_out(other, [cut])[0][0], cut_out(other.contiguous(), [cut])[0][0], atol=1e-6)
