"""The report of a run: one HTML file that opens offline, the tables a terminal shows, and the picture of the README.

report.write(folder) -> Path      reads the files of a run folder, writes report.html
report.terminal                   score table and verdict for a terminal
report.map2d.project              the two-dimensional map of embeddings
report.picture.draw               the map before and after training, as a picture
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from counterpoint.report.page import write

__all__ = ["write"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name == "write":
        from counterpoint.report.page import write

        return write
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
