"""Finished SimCLR views have the law of torchvision's, within tolerances that are stated here and in docs/concepts/views.md.

Both make views of the same pictures with the same ranges. Means, spreads and chroma agree to 0.01 (of a range of 1) at colour strength
0.5 and to 0.02 at 1.0, whatever the space of the hue. One thing differs by design: torchvision clamps after every operation and we once
at the end, so more of our values lie at 0 or 1; that share may be larger by 0.05.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from counterpoint import views

v2 = pytest.importorskip("torchvision.transforms.v2")
N, SIZE = 1500, 16


def pictures() -> Tensor:
    """(n, 3, 16, 16) smooth colours, all values between 0 and 1 taken."""
    coarse = torch.rand(N, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=SIZE, mode="bicubic").clamp(0, 1)


def figures(x: Tensor) -> dict[str, float]:
    """What a view looks like on average: light, contrast inside a picture, difference between pictures, colour, values at the ends."""
    grey = x.mean(1)
    return {
        "mean": float(x.mean()),
        "spread inside": float(grey.flatten(1).std(1).mean()),
        "spread between": float(grey.mean((1, 2)).std()),
        "chroma": float((x.amax(1) - x.amin(1)).mean()),
        "red": float(x[:, 0].mean()),
        "blue": float(x[:, 2].mean()),
    }


def theirs(x: Tensor, strength: float) -> Tensor:
    torch.manual_seed(0)
    jitter = v2.ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength)
    steps = [v2.RandomResizedCrop(SIZE, antialias=True), v2.RandomHorizontalFlip(), v2.RandomApply([jitter], 0.8), v2.RandomGrayscale(0.2)]
    transform = v2.Compose(steps)
    return torch.stack([transform(i) for i in x])


def ours(x: Tensor, strength: float, space: str) -> Tensor:
    colours = {"brightness": 0.8 * strength, "contrast": 0.8 * strength, "saturation": 0.8 * strength, "hue": 0.2 * strength}
    made: Tensor = views.preset("image", "simclr", size=SIZE, space=space, **colours)(x, torch.Generator().manual_seed(1))[0]
    return made


@pytest.mark.parametrize(("strength", "tolerance"), [(0.5, 0.01), (1.0, 0.02)])
def test_finished_views(strength: float, tolerance: float) -> None:
    x = pictures()
    peer = theirs(x, strength)
    at_ends = ((peer <= 1e-6) | (peer >= 1 - 1e-6)).float().mean()
    wanted = figures(peer)
    for space in ("hsv", "linear"):
        made = ours(x, strength, space)
        for name, value in figures(made).items():
            assert value == pytest.approx(wanted[name], abs=tolerance), (space, name)
        more = float(((made <= 1e-6) | (made >= 1 - 1e-6)).float().mean() - at_ends)
        assert -0.005 < more < 0.05, space


def test_the_law_tells_wrong_views_apart() -> None:
    """The tolerances are tight enough: half the strength, or no grey, is found out."""
    x = pictures()
    wanted = figures(theirs(x, 1.0))
    for wrong in (ours(x, 0.5, "hsv"), views.preset("image", "simclr", size=SIZE, grey=0.0)(x, torch.Generator().manual_seed(1))[0]):
        assert any(abs(value - wanted[name]) > 0.02 for name, value in figures(wrong).items())
