"""What the report shows of the items themselves: the map, groups with exemplars, nearest neighbours, the spectrum."""

from __future__ import annotations

import base64
import colorsys
import io
import struct
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from counterpoint.report import map2d, words
from counterpoint.report.folder import Items, is_png

PICTURE_BUDGET = 3_200_000  # bytes of all pictures together, before base64 makes them a third larger
PICTURE_SIDE = 96  # larger pictures are made this small where Pillow is installed
PICTURE_AS_IS = 6_000  # bytes up to which a picture is taken as it is
PICTURE_LARGEST = 40_000  # bytes beyond which a picture that cannot be made smaller is left out
GROUPS, EXEMPLARS, QUERIES, NEIGHBOURS = 24, 8, 10, 6
TEXT_QUERIES = 6  # texts take more room than pictures
LABEL = 32  # characters of a label
LEGEND = 40  # values of a column with a colour of their own; the others share one
MAP_SIDE = 10_000  # the map's places are whole numbers from 0 to this
SPECTRUM_DIMENSIONS = 4096

# Ten colours of middle lightness, at least 3:1 on white and on near-black, in an order that keeps neighbours apart.
COLOURS = ("#3f7fd0", "#d9702a", "#2f9a67", "#c9465f", "#8a68cf", "#8d7a2c", "#2b98ab", "#c55a9c", "#6f8a3c", "#7d7f8f")
OTHER = "#8b9099"


@dataclass(frozen=True)
class Shown:
    """One item as the page shows it: a picture (data URI), or a text, or neither; its id, its label, and a note beside it."""

    row: int
    id: str
    picture: str | None = None
    text: str | None = None
    label: str | None = None
    note: str = ""
    same: bool | None = None
    said: bool = True  # the label stands beneath it

    @property
    def alt(self) -> str:
        return f"Item {self.id}" + (f", {self.label}" if self.label else "")


@dataclass(frozen=True)
class Group:
    name: str
    size: int
    share: float
    labels: list[tuple[str, float, str]]  # name, share of the group's labelled items, colour
    shown: list[Shown]
    code: int


@dataclass
class Gallery:
    """Items with their pictures. Every picture is counted against one budget, those in the text before those of the map."""

    items: Items
    spent: int = 0
    _taken: dict[int, tuple[str, bytes] | None] = field(default_factory=dict)

    def picture(self, row: int) -> str | None:
        """The data URI of an item's picture; None where it has none, or where the budget is spent."""
        if row not in self._taken:
            raw = self.items.pictures.get(row)
            found = shrunk(raw) if raw else None
            if found is not None and self.spent + len(found[1]) > PICTURE_BUDGET:
                found = None
            self.spent += len(found[1]) if found else 0
            self._taken[row] = found
        taken = self._taken[row]
        return f"data:image/{taken[0]};base64,{base64.b64encode(taken[1]).decode()}" if taken else None

    def show(self, row: int, note: str = "", same: bool | None = None, usual: str | None = None) -> Shown:
        """An item as the page shows it; `usual` is the label that goes without saying."""
        row = int(row)
        name = self.items.name("label", row)
        label = words.short(name, LABEL) if name is not None else None
        said = label is not None and label != usual
        return Shown(row, str(self.items.ids[row]), self.picture(row), self.items.texts.get(row), label, note, same, said)

    @property
    def look(self) -> str:
        """How items are laid out: "pictured", "pictured wide" (drawn series and the like), "list" of texts, or "chips" with their ids."""
        if self.items.pictures:
            sides = [struct.unpack(">II", p[16:24]) for p in self.items.pictures.values() if len(p) >= 24]
            flat = sum(wide > 1.5 * high for wide, high in sides) > len(sides) / 2
            return "pictured wide" if flat else "pictured"
        return "list" if self.items.texts else "chips"

    def _visible(self) -> np.ndarray:
        """Mask of the items that have a preview; of all where none has."""
        mask = np.zeros(len(self.items), bool)
        mask[[*self.items.pictures, *self.items.texts]] = True
        return mask if mask.any() else ~mask

    def groups(self) -> tuple[list[Group], int]:
        """The largest groups with the items nearest to their centre, and how many groups there are."""
        if "cluster" not in self.items.columns:
            return [], 0
        codes, names = self.items.columns["cluster"], self.items.names["cluster"]
        sizes = np.bincount(codes[codes >= 0], minlength=len(names))
        unit, visible = unit_rows(self.items.vectors), self._visible()
        found = []
        for code in np.argsort(-sizes, kind="stable")[:GROUPS]:
            rows = np.flatnonzero(codes == code)
            centre = unit[rows].mean(0)
            candidates = rows[visible[rows]]
            order = candidates[np.argsort(-(unit[candidates] @ centre), kind="stable")][: EXEMPLARS if self.items.pictures else 4]
            shares = self._labels(rows)
            most = shares[0][0] if shares else None
            found.append(
                Group(names[code], int(sizes[code]), sizes[code] / len(codes), shares, [self.show(r, usual=most) for r in order], int(code))
            )
        return found, int((sizes > 0).sum())

    def _labels(self, rows: np.ndarray) -> list[tuple[str, float, str]]:
        """The most frequent labels of some items with their shares; the rest together."""
        if "label" not in self.items.columns:
            return []
        codes = self.items.columns["label"][rows]
        codes = codes[codes >= 0]
        if not len(codes):
            return []
        colour = colours(self.items.columns["label"], len(self.items.names["label"]))
        counts = np.bincount(codes)
        top = [int(c) for c in np.argsort(-counts, kind="stable")[:4] if counts[c]]
        shares = [(words.short(self.items.names["label"][c], LABEL), counts[c] / len(codes), colour[c]) for c in top]
        rest = 1 - sum(s for _, s, _ in shares)
        return shares + ([("others", rest, OTHER)] if rest > 1e-9 else [])

    def neighbours(self) -> list[tuple[Shown, list[Shown]]]:
        """Some items, spread over the groups, each with its nearest others by cosine, exactly, among the items with a preview."""
        rows = np.flatnonzero(self._visible())
        if len(rows) < 2:
            return []
        unit = unit_rows(self.items.vectors[rows])
        picked = self._spread(rows)
        similar = unit[picked] @ unit.T
        similar[np.arange(len(picked)), picked] = -np.inf
        count = min(NEIGHBOURS, len(rows) - 1)
        found = []
        for query, line in zip(picked, similar):
            order = np.argsort(-line, kind="stable")[:count]
            own = self.items.name("label", rows[query])
            shown = []
            for near in order:
                other = self.items.name("label", rows[near])
                same = None if own is None or other is None else own == other
                shown.append(self.show(rows[near], cosine(float(line[near])), same))
            found.append((self.show(rows[query]), shown))
        return found

    def _spread(self, rows: np.ndarray) -> np.ndarray:
        """Positions in `rows` of a few items, in turn from each label (or group), the same ones every time."""
        column = next((c for c in ("label", "cluster") if c in self.items.columns), None)
        wanted = TEXT_QUERIES if self.items.texts and not self.items.pictures else QUERIES
        shuffled = np.random.default_rng(0).permutation(len(rows))
        if column is None:
            return shuffled[:wanted]
        codes = self.items.columns[column][rows][shuffled]
        order = np.argsort(codes, kind="stable")  # within a value still shuffled
        _, start, size = np.unique(codes[order], return_index=True, return_counts=True)
        turn = np.arange(len(order)) - np.repeat(start, size)  # 0 for the first item of each value, 1 for the second …
        if len(size) > wanted:  # more values than rows: some of the values, evenly
            return shuffled[order[start[np.linspace(0, len(size) - 1, wanted).astype(int)]]]
        return shuffled[order[np.lexsort((codes[order], turn))][:wanted]]

    def map(self) -> dict[str, Any]:
        """What the map's script needs, as JSON: places, columns with colours, previews by row."""
        places = self.items.places if self.items.places is not None else map2d.project(self.items.vectors, seed=0, way="pca")
        low, high = places.min(0), places.max(0)
        scaled = (places - (low + high) / 2) / max(float((high - low).max()), 1e-12) + 0.5
        whole = np.clip(np.round(scaled * MAP_SIDE), 0, MAP_SIDE).astype(int)
        columns = []
        for name, codes in self.items.columns.items():
            names = self.items.names[name]
            counts = np.bincount(codes[codes >= 0], minlength=len(names))
            if name == "split" and len(names) < 2:
                continue
            columns.append(
                {
                    "name": name,
                    "codes": codes.tolist(),
                    "names": [words.short(n) for n in names],
                    "counts": counts.tolist(),
                    "unknown": int((codes < 0).sum()),
                    "colours": colours(codes, len(names)),
                    "legend": np.argsort(-counts, kind="stable")[:LEGEND].tolist() if len(names) > LEGEND else list(range(len(names))),
                }
            )
        in_text = {row for row, taken in self._taken.items() if taken}
        order = np.random.default_rng(0).permutation(sorted(self.items.pictures))
        pictures = {int(row): src for row in order if row not in in_text and (src := self.picture(int(row)))}
        return {
            "side": MAP_SIDE,
            "x": whole[:, 0].tolist(),
            "y": (MAP_SIDE - whole[:, 1]).tolist(),
            "ids": [str(i) for i in self.items.ids.tolist()],
            "columns": columns,
            "pictures": pictures,
            "inText": sorted(in_text),
            "texts": dict(self.items.texts),
            "other": OTHER,
        }

    def spectrum(self) -> tuple[np.ndarray, str] | None:
        """Singular values of the centred, normalised embeddings, largest first, and what they say."""
        unit = unit_rows(self.items.vectors).astype(np.float64)
        if len(unit) < 2 or min(unit.shape) > SPECTRUM_DIMENSIONS:
            return None
        unit -= unit.mean(0)
        small = unit.T @ unit if unit.shape[1] <= len(unit) else unit @ unit.T
        power = np.clip(np.linalg.eigvalsh(small)[::-1], 0, None)
        if power[0] <= 1e-12 * len(unit):
            return None
        share = np.cumsum(power) / power.sum()
        ninety, width = int(np.searchsorted(share, 0.9) + 1), unit.shape[1]
        holds = (
            f"{words.count(ninety, 'direction')} of {width:,} {'holds' if ninety == 1 else 'hold'} 90% of the variance of the embeddings"
        )
        return np.sqrt(power), f"{holds}; the first alone {100 * share[0]:.0f}%."


def cosine(value: float) -> str:
    """Two decimals, three where two would say 1.00 of what is not the same."""
    return f"{value:.3f}" if value > 0.99 else f"{value:.2f}".replace("-", "−")


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a zero row stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def colours(codes: np.ndarray, count: int) -> list[str]:
    """One colour for each of `count` values; beyond LEGEND values only the most frequent have one of their own."""
    if count <= len(COLOURS):
        return list(COLOURS[:count])
    frequent = np.argsort(-np.bincount(codes[codes >= 0], minlength=count), kind="stable")[:LEGEND]
    found = [OTHER] * count
    for turn, code in enumerate(sorted(frequent.tolist())):
        light, saturation = ((0.50, 0.55), (0.42, 0.75), (0.58, 0.45))[turn % 3]
        red, green, blue = colorsys.hls_to_rgb((turn * 0.61803) % 1, light, saturation)
        found[code] = f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"
    return found


def shrunk(
    picture: bytes, side: int = PICTURE_SIDE, as_is: int = PICTURE_AS_IS, largest: int = PICTURE_LARGEST
) -> tuple[str, bytes] | None:
    """("png" | "webp", bytes) of a picture that may stand in the page; None for one that is no PNG, broken, or too large.

    side: pixels of the longer side that it may have.
    as_is: bytes up to which it is taken as it is.
    largest: bytes that it may have where Pillow is missing.
    """
    if not is_png(picture):
        return None
    if len(picture) <= as_is:
        return "png", picture
    try:
        from PIL import Image

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(picture), formats=["PNG"]) as opened:
                image = opened.convert("RGBA" if "A" in opened.getbands() or "transparency" in opened.info else "RGB")
                image.thumbnail((side, side))
                out = io.BytesIO()
                image.save(out, "WEBP", quality=82)
        return "webp", out.getvalue()
    except Exception:  # no Pillow, or one of the many ways in which a picture can be broken: then the picture stands for itself
        return ("png", picture) if len(picture) <= largest else None


def shrunk_views(picture: bytes) -> tuple[str, bytes] | None:
    """The picture of the views, at most 1,600 pixels wide and about half a megabyte."""
    return shrunk(picture, side=1600, as_is=300_000, largest=800_000)
