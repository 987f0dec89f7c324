"""How each set of the catalogue is read: from its stored arrays and lines, or from the package that ships it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from counterpoint.data import stored_arrays as arrays
from counterpoint.data import stored_text as texts
from counterpoint.data.request import Found, Request
from counterpoint.data.stored_arrays import Made, Paths

if TYPE_CHECKING:
    from counterpoint.data.catalogue import Entry


def found(entry: Entry, paths: Paths, request: Request) -> dict[str, Found]:
    """The modalities of a set."""
    read = _READERS.get(entry.name.split("/")[0], arrays.plain)
    made = read(paths, replace(request, kind=None, preprocessing=None, text=request.text), entry.name)
    parts = {"x": made} if isinstance(made, Found) else made
    return {name: replace(one, where=entry.name) for name, one in parts.items()}


_READERS: dict[str, Callable[[Paths, Request, str], Made]] = {
    **dict.fromkeys(("banking77", "clinc150", "phishing_urls", "searchsnippets", "stackoverflow"), texts.lines),
    **dict.fromkeys(("digits", "iris", "wine", "breast_cancer"), arrays.package),
    **dict.fromkeys(("abt_buy", "amazon_google", "dblp_acm"), texts.records),
    "mnist5k": arrays.mnist5k,
    "cifar10": arrays.cifar10,
    "omniglot_small": arrays.omniglot,
    "nsl_kdd": arrays.nsl_kdd,
    "etth1": arrays.etth1,
    "eeg_eye": arrays.eeg_eye,
    "esc10": arrays.esc10,
    "fsdd": arrays.fsdd,
    "digit_pairs": texts.digit_pairs,
    "emoji": texts.emoji,
    "sts": texts.sts,
    "absa14": texts.absa14,
    "dna_splice": texts.dna,
    "molecules_solubility": texts.molecules,
    "modelnet10_voxel": arrays.modelnet,
    "msr_action3d": arrays.msr,
    "lastfm": arrays.lastfm,
}
