"""Sound: (b, 1, samples), floating point in [-1, 1]; NaN = past the end."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from counterpoint.core.options import Count, Positive
from counterpoint.core.recipe import Modality
from counterpoint.encoders.convolutions import Stages
from counterpoint.encoders.stacking import expect


def mel_bands(bands: int, bins: int, rate: float, low: float = 20.0) -> Tensor:
    """(bands, bins): triangles equally wide on the mel scale 2595 log10(1 + f / 700), over the frequencies 0 … rate / 2 of `bins`."""

    def mel(hertz: float) -> float:
        return 2595.0 * math.log10(1.0 + hertz / 700.0)

    edges = 700.0 * (10.0 ** (torch.linspace(mel(low), mel(rate / 2), bands + 2, dtype=torch.float64) / 2595.0) - 1.0)
    # A band is never narrower than a bin: low ones would be empty.
    step = rate / 2 / (bins - 1)
    frequency = torch.linspace(0.0, rate / 2, bins, dtype=torch.float64)
    left, centre, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise = (frequency - left) / (centre - left).clamp(min=step)
    fall = (right - frequency) / (right - centre).clamp(min=step)
    return torch.minimum(rise, fall).clamp(min=0.0).float()


class LogMel(nn.Module):
    """(b, 1, samples) → (b, 1, bands, frames): logarithm of the power in mel bands, in float32 whatever autocast says."""

    bands: Tensor
    window: Tensor

    def __init__(self, rate: float, samples: int, bands: int, window: float, hop: float) -> None:
        super().__init__()
        self.size = min(2 ** max(round(math.log2(window * rate)), 4), 2 ** max(samples.bit_length() - 1, 4))
        self.hop = max(min(round(hop * rate), self.size), 1)
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)
        self.register_buffer("bands", mel_bands(bands, self.size // 2 + 1, rate), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            x = x.float().nan_to_num(nan=0.0).mean(1)
            padded = nn.functional.pad(x, (self.size // 2, self.size // 2))
            spectrum = torch.stft(padded, self.size, self.hop, window=self.window, center=False, return_complex=True)
            return torch.log(self.bands @ spectrum.abs().square() + 1e-6).unsqueeze(1)


class SmallCnn(nn.Module):
    """See `small_cnn`."""

    def __init__(self, mel: LogMel, channels: tuple[int, ...], depth: int, stem: int) -> None:
        super().__init__()
        self.mel = mel
        self.norm = nn.BatchNorm2d(1)
        self.stages = Stages(2, 1, stem, 2, channels, depth)
        self.width = self.stages.width

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.stages(self.norm(self.mel(x)).contiguous(memory_format=torch.channels_last)))


def small_cnn(
    modality: Modality,
    *,
    channels: tuple[Count, ...] = (32, 64, 128, 256),
    depth: Count = 1,
    stem: Count = 16,
    bands: Count = 64,
    window: Positive = 0.032,
    hop: Positive | None = None,
    rate: Positive | None = None,
) -> SmallCnn:
    """Log-mel bands and a compact residual network over them.

    channels: width of each stage; each after the first halves the resolution.
    depth: residual blocks in a stage.
    stem: channels of the first convolution.
    bands: mel bands.
    window: seconds, rounded to a power of two of samples.
    hop: seconds between windows; 0.01, or more so that at most 256 frames remain, where not given.
    rate: samples a second; what the data say, or 16,000, where not given.
    """
    expect(modality, "audio", "audio.small_cnn")
    rate, samples = rate or float(modality.info.get("rate", 16000)), modality.shape[-1]
    return SmallCnn(LogMel(rate, samples, bands, window, hop or max(0.01, samples / rate / 256)), channels, depth, stem)
