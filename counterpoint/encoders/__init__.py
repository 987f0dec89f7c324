"""Networks: one module per kind of data, and what stands around a backbone (heads, teacher, queue).

A backbone is `(Modality, *, options) -> module` with `width`, (b, …) -> (b, width). It is built from the specification of the data
alone; `network` puts one modality's parts together, `towers` several modalities side by side.
"""

from counterpoint.encoders import (
    array,
    audio,
    classes,
    graph,
    heads,
    image,
    interactions,
    latent,
    points,
    quantiser,
    queue,
    salient,
    sequences,
    series,
    skeleton,
    speech,
    table,
    teacher,
    text,
    tokens,
    video,
    volume,
    whitening,
)
from counterpoint.encoders.kinds import default, named, text_folder
from counterpoint.encoders.network import network
from counterpoint.encoders.split import split_towers
from counterpoint.encoders.towers import towers

__all__ = [
    "array", "audio", "classes", "default", "graph", "heads", "image", "interactions", "latent", "named", "network", "points",
    "quantiser", "queue", "salient", "sequences", "series", "skeleton", "speech", "split_towers", "table", "teacher", "text", "text_folder",
    "tokens", "towers", "video", "volume", "whitening",
]  # fmt: skip
