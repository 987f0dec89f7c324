"""Residual convolutions over one, two or three axes, shared by images, volumes, videos and sound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError
from counterpoint.core.recipe import Modality


class Narrow(nn.Conv2d):
    """A convolution whose results of one column are made in float32: in bfloat16 with a stride oneDNN leaves them unwritten on CPUs
    with AMX (seen with PyTorch 2.14: 32 × 64 × 4 × 2 pixels, kernel 3, stride 2)."""

    def forward(self, x: Tensor) -> Tensor:
        wide = self.stride[1] == 1 or x.shape[-1] > max(self.stride[1], self.kernel_size[1])
        if wide or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


@cache
def _narrow(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    return type(kind.__name__, (Narrow, kind), {})


def narrowed(model: nn.Module) -> nn.Module:
    """The model of another package; its convolutions of two axes are `Narrow` from here on."""
    for part in model.modules():
        if isinstance(part, nn.Conv2d) and not isinstance(part, Narrow):
            part.__class__ = _narrow(type(part))  # type: ignore[arg-type]  # a class has the hash of any class
    return model


_CONV: dict[int, Any] = {1: nn.Conv1d, 2: Narrow, 3: nn.Conv3d}
_NORM: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
FULL = {torch.uint8: 255.0, torch.uint16: 65535.0}  # the brightest value
LAST = {2: torch.channels_last, 3: torch.channels_last_3d}  # the faster order of axes on CPUs


class Pixels(nn.Module):
    """Whole numbers of 8 or 16 bits → [0, 1], then (x − mean) / std per channel with the figures of the data, channels last."""

    mean: Tensor
    std: Tensor

    def __init__(self, modality: Modality) -> None:
        super().__init__()
        count = modality.shape[0]
        for name, filler in (("mean", 0.5), ("std", 0.25)):
            given = torch.as_tensor(modality.info.get(name, [filler] * count), dtype=torch.float32).flatten()
            if len(given) not in (1, count):
                raise OptionError(f"the {name} has {len(given)} figures and the {modality.kind} {count} channels")
            given = given.clamp(min=1e-3) if name == "std" else given
            self.register_buffer(name, given.expand(count).clone().view(-1, *[1] * (len(modality.shape) - 1)))

    def forward(self, x: Tensor) -> Tensor:
        scale = (self.std * FULL.get(x.dtype, 1.0)).reciprocal()
        x = torch.addcmul(-self.mean / self.std, x.to(self.mean.dtype), scale)
        if x.dim() == 4 and torch.is_autocast_enabled(x.device.type):  # as the first layer would; then the order is of half as many bytes
            x = x.to(torch.get_autocast_dtype(x.device.type))
        return x.contiguous(memory_format=LAST[x.dim() - 2])


class Entry(nn.Module):
    """relu(norm(conv(x))), the first layer."""

    def __init__(self, axes: int, width_in: int, width: int, stride: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = _CONV[axes](width_in, width, kernel, stride, kernel // 2, bias=False)
        self.norm = _NORM[axes](width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.conv(x)), inplace=True)  # a norm keeps what it was given, not what it gives


class Residual(nn.Module):
    """relu(x + norm(conv(relu(norm(conv(x)))))); the skip is averaged and projected where resolution or width change (He et al., 2016)."""

    def __init__(self, axes: int, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        conv, norm = _CONV[axes], _NORM[axes]
        self.first = conv(width_in, width, 3, stride, 1, bias=False)
        self.first_norm = norm(width)
        self.second = conv(width, width, 3, 1, 1, bias=False)
        self.second_norm = norm(width)
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            pool = _POOL[axes](stride, ceil_mode=True) if stride > 1 else nn.Identity()
            self.skip = nn.Sequential(pool, conv(width_in, width, 1, bias=False), norm(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second_norm(self.second(functional.relu(self.first_norm(self.first(x)), inplace=True)))
        return functional.relu(inner.add_(self.skip(x)), inplace=True)


class Stages(nn.Module):
    """A first layer, stages of residual blocks that halve the resolution from the second on, the mean over all positions."""

    def __init__(self, axes: int, width_in: int, stem: int, stride: int, channels: Sequence[int], depth: int) -> None:
        super().__init__()
        self.entry = Entry(axes, width_in, stem, stride)
        blocks, width = [], stem
        for number, wide in enumerate(channels):
            blocks.append(Residual(axes, width, wide, 2 if number else 1))
            blocks += [Residual(axes, wide, wide, 1) for _ in range(depth - 1)]
            width = wide
        self.blocks = nn.Sequential(*blocks)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.blocks(self.entry(x)).flatten(2).mean(2))
