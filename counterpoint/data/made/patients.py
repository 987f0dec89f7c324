"""Series with a hierarchy that is known: windows of trials of patients, whose class is a mixture of rhythms."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read

PATIENTS, TRIALS, WINDOWS, LENGTH, CHANNELS = 36, 6, 9, 64, 3


@made(kind="series", items=PATIENTS * TRIALS * WINDOWS, classes=3)
def patients(limit: int | None = None) -> Dataset:
    """1,944 windows (3, 64), half overlapping, of 6 trials of 36 patients, 12 to test; columns label, patient (also as group), trial.

    The class decides how strong each of three rhythms is; a patient has an own pace, amplitude in every channel and colour of noise, a
    trial its phases and drift. So windows of one patient share the class, and two patients of a class differ more than two of its windows.
    """
    rng = np.random.default_rng(97)
    steps = LENGTH + (WINDOWS - 1) * LENGTH // 2
    label = np.arange(PATIENTS) % 3
    strength = np.array([[1.0, 0.6, 0.3], [0.6, 0.3, 1.0], [0.3, 1.0, 0.6]])[label]  # (patients, rhythms)
    pace = np.array([1 / 32, 1 / 16, 1 / 8]) * np.exp(rng.normal(0, 0.12, (PATIENTS, 3)))
    gain = np.exp(rng.normal(0, 0.4, (PATIENTS, CHANNELS, 3)))
    phase = rng.uniform(0, 2 * np.pi, (PATIENTS, TRIALS, CHANNELS, 3))
    angle = 2 * np.pi * pace[:, None, None, :, None] * np.arange(steps) + phase[..., None]
    rhythms = (strength[:, None, None, :, None] * gain[:, None, :, :, None] * np.sin(angle)).sum(3)  # (patients, trials, channels, steps)
    colour = rng.uniform(0.0, 0.95, PATIENTS)
    white = rng.normal(0, 1, rhythms.shape)
    noise = np.stack([lfilter([np.sqrt(1 - c**2)], [1, -c], w, axis=-1) for c, w in zip(colour, white, strict=True)])
    drift = rng.normal(0, 1, (*rhythms.shape[:3], 1)) * np.linspace(-1, 1, steps)
    whole = rhythms + 1.2 * noise + drift
    windows = np.lib.stride_tricks.sliding_window_view(whole, LENGTH, axis=-1)[..., :: LENGTH // 2, :].transpose(0, 1, 3, 2, 4)
    patient, trial, _ = (c.ravel() for c in np.indices(windows.shape[:3]))
    return read(
        windows.reshape(-1, CHANNELS, LENGTH).astype(np.float32),
        kind="series",
        label=label[patient],
        columns={"patient": patient, "group": patient, "trial": trial},
        limit=limit,
        holdout=lambda labels, groups: (groups // 3 % 3 == 2).astype(np.int8),  # whole patients, of each class alike
    )
