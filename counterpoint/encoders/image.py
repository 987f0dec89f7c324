"""Images: (b, c, h, w), uint8 or floating point in [0, 1], any number of channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from counterpoint.core.errors import OptionError, nearest, need
from counterpoint.core.options import Count
from counterpoint.core.recipe import Modality
from counterpoint.encoders.convolutions import Pixels, Stages, narrowed
from counterpoint.encoders.stacking import expect

Stem = Literal["auto", "small", "large"]


class SmallCnn(nn.Module):
    """See `small_cnn`."""

    def __init__(self, modality: Modality, channels: tuple[int, ...], depth: int, stem: int, stride: int) -> None:
        super().__init__()
        self.pixels = Pixels(modality)
        self.stages = Stages(2, modality.shape[0], stem, stride, channels, depth)
        self.width = self.stages.width
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.stages(self.pixels(x)))


def small_cnn(
    modality: Modality,
    *,
    channels: tuple[Count, ...] = (32, 64, 128),
    depth: Count = 1,
    stem: Count = 16,
    stride: Count | None = None,
) -> SmallCnn:
    """A compact residual network for images of about 20 to 96 pixels: resolution is halved at once, where most time would go.

    channels: width of each stage; each after the first halves the resolution.
    depth: residual blocks in a stage.
    stem: channels of the first convolution.
    stride: of the first convolution; 1 below 12 pixels, 2 below 48 and 4 above where not given.
    """
    expect(modality, "image", "image.small_cnn")
    side = max(modality.shape[1:])
    return SmallCnn(modality, channels, depth, stem, stride or (1 if side < 12 else 2 if side < 48 else 4))


class Wrapped(nn.Module):
    """A network of another package behind `Pixels`."""

    def __init__(self, modality: Modality, model: nn.Module) -> None:
        super().__init__()
        self.pixels = Pixels(modality)
        self.model = narrowed(model)
        with torch.no_grad():
            training, model.training = model.training, False
            model.eval()
            self.width = int(model(torch.zeros(1, *modality.shape)).shape[1])
            model.train(training)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.model(self.pixels(x)))


def resnet(modality: Modality, *, name: str = "resnet18", stem: Stem = "auto") -> Wrapped:
    """A residual network of torchvision, untrained.

    name: resnet18, resnet34, resnet50 ….
    stem: "small" = 3×3, stride 1 and no pooling, for images of at most 64 pixels ("auto"); "large" = the published one.
    """
    expect(modality, "image", "image.resnet")
    models = need("torchvision.models", "image")
    names = [found for found in models.list_models(module=models) if "resn" in found]
    if name not in names:
        raise OptionError(f"torchvision has no residual network {name!r}{nearest(name, names)}")
    model = getattr(models, name)(weights=None)
    model.fc = nn.Identity()
    small = stem == "small" or (stem == "auto" and max(modality.shape[1:]) <= 64)
    model.conv1 = _convolution(model.conv1, modality.shape[0], small)
    if small:
        model.maxpool = nn.Identity()
    return Wrapped(modality, model)


def timm(modality: Modality, *, name: str, stem: Stem = "auto", pretrained_path: str | None = None) -> Wrapped:
    """Any model of the package timm that turns an image into a vector; nothing is downloaded.

    name: as in timm.list_models().
    stem: "small" for images of at most 64 pixels ("auto"): a first convolution 3×3 of stride 1 without pooling, patches an eighth of
    the side; "large" = the published one.
    pretrained_path: a local .safetensors file with the weights of this model; its classifier is left out.
    """
    expect(modality, "image", "image.timm")
    package = need("timm", "image")
    if not package.is_model(name.split(".")[0]):
        raise OptionError(f"timm has no model {name!r}{nearest(name, package.list_models())}")
    channels, side = modality.shape[0], max(modality.shape[1:])
    small = stem == "small" or (stem == "auto" and side <= 64)
    options: dict[str, Any] = {"pretrained": False, "num_classes": 0, "in_chans": channels}
    sized = {"img_size": tuple(modality.shape[1:])}
    # Transformers take the size of images and patches; convolutional networks refuse these options.
    for more in ([{**sized, "patch_size": max(side // 8, 1)}] if small else []) + [sized, {}]:
        try:
            model = package.create_model(name, **options, **more)
            break
        except (TypeError, AssertionError):
            continue
    else:
        raise OptionError(f"timm's {name} cannot be built for images of {modality.shape}")
    first = model.default_cfg.get("first_conv") if small and "patch_size" not in more else None
    if isinstance(first, str) and isinstance(old := model.get_submodule(first), nn.Conv2d):
        parent, _, child = first.rpartition(".")
        setattr(model.get_submodule(parent), child, _convolution(old, channels, True))
        if isinstance(getattr(model, "maxpool", None), nn.Module):
            model.maxpool = nn.Identity()
    if pretrained_path is not None:
        _load(model, pretrained_path, name, first)
    try:
        return Wrapped(modality, model)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"timm's {name} does not take images of {modality.shape}: {str(error).splitlines()[0]}") from None


def _convolution(old: nn.Conv2d, channels: int, small: bool) -> nn.Conv2d:
    """The first convolution again, for this many channels; where `small`, 3×3 of stride 1 (patches of 2 for patches)."""
    kernel, stride, padding = cast(Any, (old.kernel_size, old.stride, old.padding))
    if small:
        kernel, stride, padding = (2, 2, 0) if kernel == stride else (3, 1, 1)
    return nn.Conv2d(channels, old.out_channels, kernel, stride, padding, bias=old.bias is not None)


def _load(model: nn.Module, path: str, name: str, first: str | None) -> None:
    """Weights from a safetensors file; only the changed first convolution and the file's classifier may be left out."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(Path(path).expanduser())
    except (OSError, SafetensorError) as error:
        raise OptionError(f"pretrained_path = {path!r} is not a readable safetensors file ({error})") from None
    own = model.state_dict()
    fits = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    missing = [key for key in own if key not in fits and not (first and key.startswith(first))]
    if missing:
        raise OptionError(f"pretrained_path = {path!r} does not hold the weights of {name}: {missing[0]!r} is missing or of another shape")
    model.load_state_dict(fits, strict=False)
