"""Networks: one module per kind of data, and what stands around a backbone (heads, teacher, queue).

A backbone is `(Modality, *, options) -> module` with `width`, (b, …) -> (b, width). It is built from the specification of the data
alone; `network` puts one modality's parts together, `towers` several modalities side by side.
"""

from counterpoint.encoders import array, heads, image, queue, series, table, teacher, text
from counterpoint.encoders.kinds import default
from counterpoint.encoders.network import network
from counterpoint.encoders.towers import towers

__all__ = ["array", "default", "heads", "image", "network", "queue", "series", "table", "teacher", "text", "towers"]
