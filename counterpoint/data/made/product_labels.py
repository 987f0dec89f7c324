"""Labels of products as a picture and as what a bad reader made of it, several records of each product."""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoint.core.errors import need
from counterpoint.data import rows
from counterpoint.data.catalogue import files
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read
from counterpoint.data.request import request_of

LETTERS, COPIES, HELD_OUT = 14, 4, 0.3
HEIGHT, WIDTH = 20, 96
_ALIKE = str.maketrans("0oOl1iIsS5B8G6zZ2ecuvnmrtfq9", "Oc01lI1S5s8BC8Z22covunnvflgg")


@made(kind="paired", items=4000, classes=1000, parts=("abt_buy",))
def product_labels(limit: int | None = None) -> Dataset:
    """Names of products (of the shop Abt, their first 14 letters), four records each: a picture of 20 × 96 pixels, and letters of which
    10 to 30 % are misread. The column "label" is the product, "exemplar" is 1 for the one record without misread letters and with little
    noise. A share of the products, 30 %, is the test part.

    limit: at most this many records of each part; whole products.
    """
    request = request_of()
    names: dict[str, None] = {}
    for part in ("train", "valid", "test"):
        table = rows.json_lines(files("abt_buy")[f"{part}.jsonl.gz"], request)
        names |= dict.fromkeys(" ".join(str(row["name"]).split())[:LETTERS].strip() for row in table.column("a").to_pylist())
    rng = np.random.default_rng(0)
    chosen = [sorted(names)[i] for i in rng.permutation(len(names))]
    held = int(len(chosen) * HELD_OUT)
    parts = {"test": chosen[:held], "train": chosen[held:]}
    if limit is not None:
        parts = {part: each[: max(limit // COPIES, 2)] for part, each in parts.items()}
    texts, pictures, columns = [], [], {"label": [], "exemplar": [], "split": []}  # type: ignore[var-annotated]
    for part, each in parts.items():
        for name in each:
            own = np.random.default_rng([0, *name.encode()])  # the same records whatever the limit
            for copy in range(COPIES):
                texts.append(" ".join(_misread(name, own if copy else None).replace(" ", "_")))
                pictures.append(_drawn(name, own, hard=copy > 0))
                for column, value in (("label", name), ("exemplar", int(copy == 0)), ("split", part)):
                    columns[column].append(value)
    label = columns.pop("label")
    side = np.array([part == "test" for part in columns.pop("split")], np.int8)
    return read(
        {"image": np.stack(pictures), "text": texts},
        kind={"image": "image", "text": "text"},
        label=label,
        columns=columns,
        holdout=lambda labels, groups: side,
    )


def _misread(name: str, rng: np.random.Generator | None) -> str:
    """Letters replaced by ones that look alike or by any, left out, or doubled."""
    if rng is None:
        return name
    share = rng.uniform(0.1, 0.3)
    found = []
    for letter, wrong, way in zip(name, rng.random(len(name)) < share, rng.random(len(name))):
        other = letter.translate(_ALIKE) if way < 0.5 else chr(int(rng.integers(97, 123)))
        found.append(letter if not wrong else other if way < 0.8 else "" if way < 0.9 else 2 * letter)
    return "".join(found) or name


def _drawn(name: str, rng: np.random.Generator, *, hard: bool) -> np.ndarray:
    """(HEIGHT, WIDTH) uint8: dark letters on light ground; moved, slanted, stretched, blurred, spotted, pale."""
    image, draw, font, kernel = (need(f"PIL.{module}", "image") for module in ("Image", "ImageDraw", "ImageFont", "ImageFilter"))
    canvas: Any = image.new("L", (WIDTH, HEIGHT), 255)
    size = int(rng.integers(9, 13)) if hard else 11
    draw.Draw(canvas).text((int(rng.integers(0, 8)), int(rng.integers(1, 6))), name, fill=0, font=font.load_default(size))
    if hard:
        slant, stretch = rng.uniform(-0.3, 0.3), rng.uniform(0.9, 1.2)
        canvas = canvas.transform((WIDTH, HEIGHT), image.Transform.AFFINE, (stretch, slant, -slant * HEIGHT / 2, 0, 1, 0), fillcolor=255)
        canvas = canvas.filter(kernel.GaussianBlur(float(rng.uniform(0, 1.2))))
    ink = 1 - np.asarray(canvas, np.float64) / 255
    spots = rng.random(ink.shape) < (rng.uniform(0, 0.08) if hard else 0.01)
    paper = 255 - ink * (rng.uniform(100, 255) if hard else 230) + rng.normal(0, 12 if hard else 4, ink.shape)
    return np.where(spots, rng.integers(0, 256, ink.shape), paper).clip(0, 255).astype(np.uint8)
