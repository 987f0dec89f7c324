"""Shared and private parts: who sees what, and what decoders reproduce."""

from __future__ import annotations

import math

import pytest
import torch

from counterpoint import encoders
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.recipe import Batch, Modality, Progress, View
from counterpoint.core.registry import example_spec
from counterpoint.encoders.targets import standardised

SPEC = example_spec("paired")


def fields(count: int) -> dict[str, torch.Tensor]:
    return {name: torch.rand(count, *modality.shape) for name, modality in SPEC.modalities.items()}


def views(count: int) -> list[View]:
    return [View(name, {name: x}, {"item": torch.arange(count)}) for name, x in fields(count).items()]


def test_the_spaces_and_their_widths() -> None:
    model = encoders.split_towers(SPEC, shared=12, private=5)
    out = model(views(4), Progress())
    assert out["image"].z.shape == out["series"].z.shape == (4, 12) and out["private/image"].z.shape == (4, 5)
    for name, other in (("image", "series"), ("series", "image")):
        assert out[f"own/{name}"].z.shape == out[f"target/{name}"].z.shape == out[f"cross/{other}/{name}"].z.shape
        assert not out[f"target/{name}"].z.requires_grad
    assert "private/image" not in encoders.split_towers(SPEC, private=0)(views(2), Progress())


def test_the_other_modality_is_predicted_from_the_shared_part_alone() -> None:
    model = encoders.split_towers(SPEC, shared=6, private=4)
    model(views(5), Progress())["cross/image/series"].z.sum().backward()
    learned = {name.split(".")[0] + "." + name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None}
    assert learned == {"backbones.image", "shared.image", "translators.image_to_series"}
    model.zero_grad()
    model(views(5), Progress())["own/series"].z.sum().backward()
    learned = {name.split(".")[0] + "." + name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None}
    assert learned == {"backbones.series", "shared.series", "private.series", "decoders.series"}


def test_an_embedding_has_its_width_also_where_a_modality_is_missing() -> None:
    model = encoders.split_towers(SPEC, shared=6, private=4).eval()
    given = fields(3)
    keys = {"item": torch.arange(3)}
    whole, half = model.embed(Batch(given, keys)), model.embed(Batch({"image": given["image"]}, keys))
    assert whole["embedding"].z.shape == half["embedding"].z.shape == (3, 14)
    assert not half["embedding"].z[:, 10:].any() and torch.equal(
        half["embedding"].z[:, :10], torch.cat([half["image"].z, half["private/image"].z], 1)
    )
    assert encoders.split_towers(SPEC, shared=6, embed="shared").embed(Batch(given, keys))["embedding"].z.shape == (3, 6)
    assert model.translate(Batch(given, keys), "image", "series").shape == model(views(3), Progress())["target/series"].z.shape
    with pytest.raises(RequirementError, match="none of the modalities"):
        model.embed(Batch({"sound": given["image"]}, keys))
    with pytest.raises(OptionError, match="sound"):
        model.translate(Batch(given, keys), "image", "sound")


def test_a_target_is_standardised_and_keeps_mean_and_deviation() -> None:
    make = standardised(Modality("array", (6,)))
    x = torch.randn(4, 6, dtype=torch.float64) * 5 + 3
    z = make(x)
    assert z.shape == (4, 8) == (4, make.width)
    assert torch.allclose(z[:, :6].mean(1), torch.zeros(4), atol=1e-5) and torch.allclose(
        z[:, :6].var(1, correction=0), torch.ones(4), atol=1e-4
    )
    back = z[:, :6] * z[:, 7:].exp() + z[:, 6:7].sinh()
    assert torch.allclose(back.double(), x, atol=1e-3)


def test_targets_of_odd_observations_are_finite_or_unknown() -> None:
    series = standardised(Modality("series", (2, 40)), most=20)
    x = torch.randn(3, 2, 40)
    x[0] = 7.5
    x[1, :, 10:] = math.nan
    z = series(x)
    assert z.shape == (3, 22) and not z[0, :20].any() and bool(torch.isfinite(z[[0, 2]]).all())
    assert bool(z[1, :20].isnan().any()) and bool(torch.isfinite(z[1, [0, 1, 20, 21]]).all())
    picture = standardised(Modality("image", (3, 50, 30)), most=300)
    assert picture(torch.randint(0, 256, (2, 3, 50, 30), dtype=torch.uint8)).shape == (2, picture.width) and picture.width <= 302
    sound = standardised(Modality("audio", (1, 4000), {"rate": 8000}), most=256)
    assert bool(torch.isfinite(sound(torch.randn(2, 1, 4000))).all())
    with pytest.raises(RequirementError, match="text"):
        standardised(Modality("text", (9,), {"vocabulary": 10}))


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(OptionError, match="imag"):
        encoders.split_towers(SPEC, backbones={"imag": encoders.default(SPEC.modalities["image"])})
