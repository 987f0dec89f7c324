from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from safetensors.torch import load_file, save_file

from counterpoint import encoders
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Batch, Modality, Progress, Spec, View
from counterpoint.core.registry import example_spec

SPEC = example_spec("paired")


def fields(count: int) -> dict[str, torch.Tensor]:
    return {name: torch.rand(count, *modality.shape) for name, modality in SPEC.modalities.items()}


def views(count: int) -> list[View]:
    return [View(name, {name: x}, {"item": torch.arange(count)}) for name, x in fields(count).items()]


def test_a_space_for_each_modality_and_the_scale() -> None:
    model = encoders.towers(SPEC, temperature=0.1, bias=-10.0)
    out = model(views(4), Progress())
    assert set(out) == {"image", "series", "scale", "bias"}
    assert out["image"].z.shape == out["series"].z.shape == (4, 128)
    assert out["image"].keys["view"].tolist() == [0] * 4 and out["series"].keys["view"].tolist() == [1] * 4
    assert out["image"].roles == ("image", "series")
    assert out["scale"].shared and out["scale"].z.exp().item() == pytest.approx(10.0) and out["bias"].z.item() == -10.0
    assert out["scale"].z.requires_grad


def test_the_scale_is_held_below_its_largest_value() -> None:
    model = encoders.towers(SPEC, largest_scale=50.0)
    with torch.no_grad():
        model.scale.value.fill_(9.0)
    model.scale.after_update({}, Progress())
    assert model.scale.value.item() == pytest.approx(math.log(50.0))


def test_both_towers_and_the_scale_learn() -> None:
    model = encoders.towers(SPEC)
    given, losses = views(6), []
    for _ in range(5):
        out = model(given, Progress())
        one, two = (torch.nn.functional.normalize(out[n].z, dim=1) for n in ("image", "series"))
        loss = torch.nn.functional.cross_entropy(one @ two.T * out["scale"].z.exp(), torch.arange(6))
        model.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in model.parameters())
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.01 * p.grad
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_embeds_both_modalities_or_one_of_them() -> None:
    model, both = encoders.towers(SPEC), fields(3)
    out = model.embed(Batch(both, {"item": torch.arange(3)}))
    torch.testing.assert_close(out["embedding"].z, (out["image"].z + out["series"].z) / 2)
    alone = model.embed(Batch({"series": both["series"]}, {"item": torch.arange(3)}))
    torch.testing.assert_close(alone["embedding"].z, out["series"].z)
    torch.testing.assert_close(alone["embedding"].z.norm(dim=1), torch.ones(3))


def test_a_view_may_hold_both_modalities_and_there_may_be_several() -> None:
    both = [View("first", fields(2), {"item": torch.arange(2)}), View("second", fields(2), {"item": torch.arange(2)})]
    assert encoders.towers(SPEC)(both, Progress())["series"].keys["view"].tolist() == [0, 0, 1, 1]


def test_names_that_a_module_may_not_have() -> None:
    array = Modality("array", (4,))
    spec = Spec(8, {"keys": array, "a.b": array})
    model = encoders.towers(spec)
    given = [View(n, {n: torch.randn(3, 4)}, {"item": torch.arange(3)}) for n in spec.modalities]
    assert {"keys", "a.b"} < set(model(given, Progress()))


def test_state_comes_back(tmp_path: object, batch_of: Callable[..., Batch]) -> None:
    torch.manual_seed(0)
    model = encoders.towers(SPEC)
    save_file({name: x.contiguous() for name, x in model.state_dict().items()}, f"{tmp_path}/t.safetensors")
    other = encoders.towers(SPEC)
    other.load_state_dict(load_file(f"{tmp_path}/t.safetensors"))
    batch = Batch(fields(2), {"item": torch.arange(2)})
    torch.testing.assert_close(model.embed(batch)["embedding"].z, other.embed(batch)["embedding"].z, rtol=0, atol=0)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(OptionError, match="no modality 'imag'; did you mean 'image'"):
        encoders.towers(SPEC, backbones={"imag": use(encoders.image.small_cnn)})
    with pytest.raises(RequirementError, match="no view holds the modality 'series'"):
        encoders.towers(SPEC)(views(2)[:1], Progress())
    with pytest.raises(RequirementError, match="none of the modalities"):
        encoders.towers(SPEC).embed(Batch({"y": torch.zeros(2, 3)}, {"item": torch.arange(2)}))
