"""A preset as it stands in the lists: the transform of each view, the reason, and what it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Modality


def fits(modality: Modality) -> str:
    """Nothing is said against it."""
    return ""


@dataclass(frozen=True)
class Entry:
    """A listed preset.

    transforms: one per view.   why: the reason, in a sentence or two.
    small: so many of the last views are of little of the item, 3/7 as wide and high as the others unless `local_size` says otherwise.
    whole: whether it is meant as all that happens to an item, so that `views.choose` may take it; otherwise it is one change among others.
    unfit: of a modality, why its items cannot have these views; "" where they can.
    """

    transforms: tuple[Part, ...]
    why: str
    small: int = 0
    whole: bool = True
    unfit: Callable[[Modality], str] = fits


def twice(make: Callable[..., Any], why: str, *, whole: bool = True, unfit: Callable[[Modality], str] = fits, **chosen: Any) -> Entry:
    """Both views by one law."""
    part = use(make, **chosen)
    return Entry((part, part), why, whole=whole, unfit=unfit)


def small_side(side: int) -> int:
    """3/7 of a side, as 96 is of 224 (Caron et al. 2020), but no fewer than 8 pixels where there are that many."""
    return min(side, max(8, round(side * 3 / 7)))
