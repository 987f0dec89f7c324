from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from counterpoint.core.errors import MissingExtra, OptionError
from counterpoint.core.recipe import Modality
from counterpoint.encoders import image


def modality(channels: int = 3, side: int = 16, **info: object) -> Modality:
    return Modality("image", (channels, side, side), info)


@pytest.mark.parametrize("channels", [1, 3, 13])
@pytest.mark.parametrize("side", [8, 28, 50])
def test_any_number_of_channels_and_sizes(channels: int, side: int) -> None:
    model = image.small_cnn(modality(channels, side), channels=(8, 16, 24), stem=8)
    x = torch.rand(3, channels, side, side)
    assert model(x).shape == (3, 24) == (3, model.width)
    assert model(x[..., : side - 3, : side // 2]).shape == (3, 24)


@pytest.mark.parametrize(
    ("dtype", "factor"), [(torch.uint8, 255), (torch.uint16, 65535), (torch.float16, 1), (torch.bfloat16, 1), (torch.float64, 1)]
)
def test_depths_mean_the_same(dtype: torch.dtype, factor: int) -> None:
    model = image.small_cnn(modality(side=8)).eval()
    x = torch.randint(0, 2, (4, 3, 8, 8)).float()
    torch.testing.assert_close(model((x * factor).to(dtype)), model(x))


def test_pixels_are_normalised_by_the_figures_of_the_data() -> None:
    pixels = image.small_cnn(modality(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.0))).pixels
    x = torch.rand(2, 3, 4, 4)
    expected = torch.stack([(x[:, 0] - 0.1) / 0.5, (x[:, 1] - 0.2) / 0.25, (x[:, 2] - 0.3) / 1e-3], 1)
    torch.testing.assert_close(pixels(x), expected)
    assert pixels(x).is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(OptionError, match="2 figures and the image 3 channels"):
        image.small_cnn(modality(mean=(0.1, 0.2)))


def test_under_autocast_pixels_are_of_its_type_and_channels_last_at_once() -> None:
    pixels, x = image.small_cnn(modality()).pixels, torch.rand(2, 3, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = pixels(x)
    assert made.dtype == torch.bfloat16 and made.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(made, pixels(x).bfloat16())


def test_resolution_is_halved_in_the_first_layer_and_between_stages() -> None:
    model = image.small_cnn(modality(side=32), channels=(8, 16, 24), stem=8)
    sizes = []
    for block in model.stages.blocks:
        block.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-1]))
    model(torch.rand(1, 3, 32, 32))
    assert sizes == [16, 8, 4]


@pytest.mark.parametrize("name", ["resnet10t", "convnext_atto", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_models_of_timm_with_a_small_stem(name: str) -> None:
    pytest.importorskip("timm")
    model = image.timm(modality(2, 32), name=name).eval()
    assert model(torch.rand(2, 2, 32, 32)).shape == (2, model.width)


def test_the_small_stem_keeps_resolution() -> None:
    pytest.importorskip("timm")
    x = torch.rand(1, 3, 32, 32)
    small, large = (image.timm(modality(side=32), name="resnet10t", stem=stem).model.eval() for stem in ("small", "large"))
    assert small.forward_features(x).shape[-1] == 4 and large.forward_features(x).shape[-1] == 1


def test_unknown_models_are_refused_with_the_nearest_name() -> None:
    pytest.importorskip("timm")
    with pytest.raises(OptionError, match="no model 'resnet81'; did you mean 'resnet"):
        image.timm(modality(), name="resnet81")
    with pytest.raises(OptionError, match="no residual network 'resnet19'; did you mean 'resnet1"):
        image.resnet(modality(), name="resnet19")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(MissingExtra, match=r"timm is not installed.*counterpoint\[image\]"):
        image.timm(modality(), name="resnet18")


def test_weights_come_from_a_local_file(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    published = timm.create_model("convnext_atto", pretrained=False)
    path = tmp_path / "weights.safetensors"
    save_file(published.state_dict(), path)
    model = image.timm(modality(side=32), name="convnext_atto", stem="large", pretrained_path=str(path)).model
    assert all(torch.equal(value, published.state_dict()[name]) for name, value in model.state_dict().items())
    stemmed = image.timm(modality(side=32), name="convnext_atto", pretrained_path=str(path)).model
    assert torch.equal(stemmed.stages[0].blocks[0].mlp.fc1.weight, published.stages[0].blocks[0].mlp.fc1.weight)
    with pytest.raises(OptionError, match="does not hold the weights of convnext_femto"):
        image.timm(modality(side=32), name="convnext_femto", pretrained_path=str(path))
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    for name in ("broken", "absent"):
        with pytest.raises(OptionError, match="not a readable safetensors file"):
            image.timm(modality(side=32), name="convnext_atto", pretrained_path=str(tmp_path / f"{name}.safetensors"))


def test_resnet_of_torchvision() -> None:
    pytest.importorskip("torchvision")
    model = image.resnet(modality(1, 28)).eval()
    assert model.model.conv1.kernel_size == (3, 3) and isinstance(model.model.maxpool, nn.Identity)
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 512) and model.width == 512


@pytest.mark.parametrize("make", ["resnet", "timm"])
@pytest.mark.parametrize("shape", [(3, 16, 8), (3, 8, 16), (3, 64, 4)])
def test_networks_of_others_on_thin_pictures_in_bfloat16(make: str, shape: tuple[int, int, int]) -> None:
    """Where one column is left; see `convolutions.Narrow`."""
    pytest.importorskip("torchvision" if make == "resnet" else "timm")
    torch.manual_seed(0)
    model = getattr(image, make)(Modality("image", shape), name="resnet18").eval()
    x = torch.rand(32, *shape)
    wanted = model(x)
    copied = copy.deepcopy(model)
    for network in (model, copied, model):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            made = network(x)
        torch.testing.assert_close(made.float(), wanted, rtol=0.1, atol=0.1 * float(wanted.detach().abs().max()))
    assert list(copied.state_dict()) == list(model.state_dict())
