"""Rooms: what a sound becomes between walls, by decaying noise or by measured answers to an impulse."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Positive, Share
from counterpoint.views import draw
from counterpoint.views.audio.silence import again, level, silent

Keys = dict[str, Tensor]


def reverb(
    x: Tensor,
    generator: Generator,
    *,
    rate: Count = 16000,
    seconds: tuple[Positive, Positive] = (0.1, 0.6),
    wet: Share = 0.5,
    impulses: str | None = None,
) -> tuple[Tensor, Keys]:
    """The sound in a room: convolved with the room's answer to an impulse, a different room for each item. The level stays.

    Without measured answers a room is noise that decays (Moorer 1979), drawn anew for each item (key "decay" in seconds); with them one of
    those is drawn for each (key "room").

    rate: samples per second.
    seconds: time in which the room's answer falls by 60 decibel, uniform between the two; without effect on measured rooms.
    wet: largest share of the room in the result; each item's is uniform below it.
    impulses: measured answers: a .npy file (rooms, samples) at the rate of the waves, or a folder of .wav files, resampled to it; none
        where rooms are made of noise.
    """
    clean, gap = silent(x)
    b, t = len(x), x.shape[2]
    if impulses is None:
        length = min(t, max(1, round(rate * seconds[1])))
        decay = draw.uniform(x, generator, seconds[0], seconds[1], b)
        time = torch.arange(length, device=x.device) / rate
        room = draw.normal(x, generator, b, length) * torch.exp(-math.log(1000.0) * time / decay[:, None])
        keys = {"decay": decay}
    else:
        every = measured(impulses, rate).to(x.device)[:, :t]
        length = every.shape[1]
        keys = {"room": draw.integers(x, generator, 0, len(every), b)}
        room = every[keys["room"]]
    room = room / room.square().sum(1, keepdim=True).sqrt()
    n = 1 << (t + length - 1).bit_length()
    answer = torch.fft.irfft(torch.fft.rfft(clean, n) * torch.fft.rfft(room, n)[:, None], n)[:, :, :t]
    amount = draw.uniform(x, generator, 0.0, wet, b)[:, None, None]
    view = again((1 - amount) * clean + amount * answer, gap)
    sounding = view.nan_to_num(0.0) if gap is not None else view
    view = view * (level(clean, gap) / level(sounding, gap).clamp(min=1e-12))[:, None, None]
    return view, {**keys, "wet": amount[:, 0, 0]}


@lru_cache(maxsize=4)
def measured(path: str, rate: int) -> Tensor:
    """(rooms, samples) float32 of a .npy file or a folder of .wav files; each begins at its loudest sample, so that nothing comes later."""
    place = Path(path)
    if not place.exists():
        raise DataError(
            f"impulses = {path!r}: there is no such file or folder; give a .npy file (rooms, samples) or a folder of .wav files"
        )
    rows = _recorded(place, rate) if place.is_dir() else _stored(place)
    if any(not np.isfinite(row).all() or not np.abs(row).max(initial=0.0) > 0 for row in rows):
        raise DataError(f"impulses = {path!r}: a room is silent or holds NaN or inf; each needs one sample that is not 0")
    rows = [row[np.abs(row).argmax() :] for row in rows]
    out = np.zeros((len(rows), max(len(row) for row in rows)), np.float32)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return torch.from_numpy(out)


def _stored(place: Path) -> list[np.ndarray]:
    try:
        found = np.load(place, allow_pickle=False)
    except (ValueError, OSError, EOFError):
        raise DataError(f"impulses = {str(place)!r} is not a .npy file of numbers (rooms, samples)") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or not found.size or found.dtype.kind not in "fiu":
        what = f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else "several arrays"
        raise DataError(f"impulses = {str(place)!r} holds {what}; it must hold numbers (rooms, samples)")
    return list(found.astype(np.float64))


def _recorded(place: Path, rate: int) -> list[np.ndarray]:
    import warnings

    from scipy.io import wavfile
    from scipy.signal import resample_poly

    files = sorted(place.glob("*.wav"))
    if not files:
        raise DataError(f"impulses = {str(place)!r}: there is no .wav file in that folder")
    rows = []
    for file in files:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of pieces beside the sound, which do not matter here
                own, sound = wavfile.read(file)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"impulses: {file.name} cannot be read as .wav ({error})") from None
        mono = sound.astype(np.float64).reshape(len(sound), -1).mean(1)
        shared = math.gcd(int(own), rate)
        rows.append(resample_poly(mono, rate // shared, int(own) // shared) if own != rate else mono)
    return rows
