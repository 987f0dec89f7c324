"""Simulated stars seen by two instruments: a fine noisy spectrum and a coarse clean one, with the stars' parameters."""

from __future__ import annotations

import numpy as np

from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read

FINE, COARSE, LINES = 256, 40, 60


@made(kind="paired", items=6000)
def spectra(limit: int | None = None) -> Dataset:
    """6,000 stars, 1,000 of them to test: "fine" 256 numbers with 3 % noise and a slope that the telescope adds, "coarse" 40 numbers,
    blurred, with 1 % noise and a reddening that the fine spectrum's calibration has taken out.

    Columns: temperature, gravity, metals (standard normal) shape the black body and the depths and widths of 60 lines; slope and reddening
    are the nuisance of either instrument.

    limit: at most this many stars of each part.
    """
    rng = np.random.default_rng(0)
    parts = {"train": 5000, "test": 1000}
    count = sum(parts.values())
    wave = np.linspace(0.4, 0.9, FINE * 4)
    place, base = rng.uniform(0.41, 0.89, LINES), rng.uniform(-2.5, 0.5, LINES)
    on_temperature, on_metals = rng.normal(0, 0.8, LINES), np.abs(rng.normal(0.8, 0.4, LINES))
    on_gravity, width = rng.normal(0, 0.35, LINES), rng.uniform(0.0012, 0.003, LINES)
    temperature, gravity, metals, slope, reddening = rng.normal(0, 1, (5, count))
    flux = np.empty((count, len(wave)), np.float32)
    for begin in range(0, count, 500):
        t, g, m = (x[begin : begin + 500, None] for x in (temperature, gravity, metals))
        body = wave**-5.0 / np.expm1(14388.0 / (wave * (5500 + 500 * t)))
        depth = 0.9 / (1 + np.exp(-(base + on_temperature * t + on_metals * m + on_gravity * g)))
        spread = width * np.exp(0.25 * g * np.sign(on_gravity))
        dark = np.zeros((len(t), len(wave)))
        for k in range(LINES):  # lines, not items
            near = np.abs(wave - place[k]) < 0.02
            dark[:, near] += depth[:, k : k + 1] * np.exp(-0.5 * ((wave[near] - place[k]) / spread[:, k : k + 1]) ** 2)
        flux[begin : begin + 500] = body / body.mean(1, keepdims=True) * np.exp(-dark)
    centred = (wave - wave.mean()) / (wave[-1] - wave[0])
    fine = (flux * np.exp(0.5 * slope[:, None] * centred)).reshape(count, FINE, 4).mean(2)
    fine = fine * (1 + rng.normal(0, 0.03, fine.shape))
    kernel = np.exp(-0.5 * (np.arange(-60, 61) / 20.0) ** 2)
    dimmed = flux * np.exp(-0.3 * np.exp(0.4 * reddening[:, None]) * (0.65 / wave))
    smooth = np.apply_along_axis(np.convolve, 1, dimmed, kernel / kernel.sum(), mode="same")
    at = np.linspace(60, len(wave) - 61, COARSE).astype(int)
    coarse = smooth[:, at] * (1 + rng.normal(0, 0.01, (count, COARSE)))
    kept = np.concatenate([np.arange(a, a + min(n, limit or n)) for a, n in zip((0, parts["train"]), parts.values())])
    named = {"temperature": temperature, "gravity": gravity, "metals": metals, "slope": slope, "reddening": reddening}
    side = (kept >= parts["train"]).astype(np.int8)
    return read(
        {"fine": fine[kept].astype(np.float32), "coarse": coarse[kept].astype(np.float32)},
        kind={"fine": "array", "coarse": "array"},
        columns={name: values[kept] for name, values in named.items()},
        holdout=lambda labels, groups: side,
    )
