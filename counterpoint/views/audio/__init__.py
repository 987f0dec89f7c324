"""Views of sound: waves (b, c, samples) float32 in about [−1, 1], and spectrograms (b, c, bands, frames).

NaN after the end of a shorter wave counts as silence in what mixes neighbours, and stays where it was.
"""

from counterpoint.views.audio.pace import speed, stretch
from counterpoint.views.audio.rooms import reverb
from counterpoint.views.audio.spectra import bands, spectrogram, zoom
from counterpoint.views.audio.waves import crop, gain, noise, shift, spans, varied

__all__ = [
    "bands", "crop", "gain", "noise", "reverb", "shift", "spans", "spectrogram", "speed", "stretch", "varied", "zoom",
]  # fmt: skip
