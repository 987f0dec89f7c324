"""Sound, one channel: arrays n×samples, lists of unequal length, folders of files. All clips come to one length and one rate.

Clips shorter than that are padded with silence, longer ones are cut in their middle. The length is that of the longest of the training
clips, at most ten seconds; `size` gives it in samples. Whole numbers become −1 … 1 by their range.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import DataError, need
from counterpoint.core.recipe import Modality
from counterpoint.data import drawing
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Dense

DEFAULT_RATE = 16_000


def sample_size(source: Source) -> int:
    return 10_000 if source.resident else 256


def fit(rows: Any, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of sound: rate and length of a clip."""
    clips = [c for c in map(_loaded, rows) if not isinstance(c, str)]
    if not clips:
        raise DataError(f"{where}: none of the {len(rows):,} sounds looked at can be read ({_loaded(rows[0])})")
    rates = sorted({rate for _, rate in clips if rate})
    rate = int(hints.get("rate") or (rates[0] if rates else DEFAULT_RATE))  # the lowest: a higher one would only be made up
    longest = max(len(_resampled(wave, own, rate)) for wave, own in clips)
    if request.size is not None and (not isinstance(request.size, int) or request.size < 1):
        raise DataError(f"size = {request.size!r} does not fit sound; it must be the number of samples of a clip, > 0")
    samples = request.size or min(longest, 10 * rate)
    waves = np.concatenate([w[np.isfinite(w)] for w, _ in clips])
    if not len(waves) or waves.min() == waves.max():
        raise DataError(f"{where}: every sound looked at is silent or constant")
    return {"kind": "audio", "rate": rate, "samples": int(samples), "known_rate": bool(rates or hints.get("rate")), "mixed": len(rates) > 1}


def convert(rows: Any, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw sounds → (n, 1, samples) float32."""
    out = np.zeros((len(rows), found["samples"]), np.float32)
    bad: list[tuple[int, str]] = []
    for i, row in enumerate(rows):
        clip = _loaded(row)
        if isinstance(clip, str):
            bad.append((i, clip))
            continue
        wave = _resampled(clip[0], clip[1], found["rate"])
        if not np.isfinite(wave).all():
            bad.append((i, "holds NaN or inf"))
            continue
        start = max(0, (len(wave) - found["samples"]) // 2)
        wave = wave[start : start + found["samples"]]
        out[i, : len(wave)] = wave
        if not len(wave):
            bad.append((i, "is empty"))
    return Converted(Dense(torch.from_numpy(out[:, None])), tuple(bad))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("audio", (1, found["samples"]), {"rate": found["rate"]})


def words(found: Mapping[str, Any], items: int) -> str:
    at = f" at {found['rate']:,} samples a second" if found["known_rate"] else f" (rate not known, taken as {found['rate']:,})"
    return f"{items:,} sounds of {found['samples'] / found['rate']:.3g} s{at}" + (", resampled to it" if found["mixed"] else "")


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    return [drawing.curve(x) for x in items.numpy()]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    """Mean and deviation over time of the log power in 64 bands: the wave itself says next to nothing about a sound."""
    window = min(512, items.shape[-1])
    spectrum = torch.stft(items[:, 0], window, max(window // 2, 1), window=torch.hann_window(window), return_complex=True).abs().square()
    edges = np.unique(np.geomspace(1, spectrum.shape[1], 65).astype(int))
    bands = torch.stack([spectrum[:, a:b].mean(1) for a, b in pairwise(edges)], dim=1).clamp_(min=1e-8).log()
    return torch.cat([bands.mean(2), bands.std(2, correction=0)], dim=1).numpy()


def _loaded(row: Any) -> tuple[np.ndarray, int | None] | str:
    """(wave in −1 … 1, rate or None), or why it cannot be had."""
    rate = None
    if isinstance(row, (str, Path)):
        try:
            if str(row).lower().endswith(".wav"):
                from scipy.io import wavfile

                rate, row = wavfile.read(row)
            else:
                row, rate = need("soundfile", "audio").read(row, always_2d=False)
        except (ValueError, OSError, RuntimeError, TypeError, IndexError, ZeroDivisionError) as error:
            return "no such file" if isinstance(error, FileNotFoundError) else "not a sound file"
    wave = np.asarray(row)
    kind = wave.dtype
    if wave.ndim == 2 and 1 in wave.shape:
        wave = wave.reshape(-1)
    if wave.ndim == 2:
        wave = wave.mean(axis=1 if wave.shape[1] < wave.shape[0] else 0)
    if kind.kind not in "iuf":
        return f"holds {kind}, not numbers"
    if kind == np.uint8:
        return (wave.astype(np.float32) - 128) / 128, rate
    scale = float(np.iinfo(kind).max) if kind.kind in "iu" else 1.0
    return wave.astype(np.float32) / np.float32(scale), rate


def _resampled(wave: np.ndarray, own: int | None, rate: int) -> np.ndarray:
    if own in (None, rate) or not len(wave):
        return wave
    from scipy.signal import resample_poly

    common = gcd(int(own), rate)  # type: ignore[arg-type]
    return resample_poly(wave, rate // common, int(own) // common).astype(np.float32)  # type: ignore[arg-type]
