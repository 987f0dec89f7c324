"""Images: arrays n×h×w[×c], files, bytes in tables. Kept as uint8, or as float 0 … 1 where they have more than 8 bits.

Grey stays one channel, any number of channels is kept. Files of unequal size (or larger than 256) are brought to one size: the shorter
side is scaled to it and the middle cut out. Arrays keep their size unless `size` says otherwise.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from counterpoint.core.errors import DataError, need
from counterpoint.core.recipe import Modality
from counterpoint.data import drawing, grids
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Dense

LARGEST, DEFAULT = 256, 128  # files up to LARGEST keep their size if all are equal; others come to DEFAULT at most
_GREY = {"1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
_DEEP = {"I;16", "I;16B", "I;16L", "I;16N", "I", "F"}
_BOMB = 89_478_485  # pixels: where the image library begins to warn of a decompression bomb


def sample_size(source: Source) -> int:
    """How many training items are looked at to fit the preparation."""
    return 4096 if source.resident and not hasattr(source, "blob") else 512


def fit(rows: Any, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of images: their size, channels, range, and mean and deviation of each channel."""
    found: dict[str, Any] = {"kind": "image", "column": hints.get("column")}
    size = grids.as_pair(request.size, "images")
    if isinstance(rows, np.ndarray):
        found |= {"axes": hints.get("axes") or "last", "span": grids.value_range(rows), "raw": None}
        first = _channels_first(rows, found["axes"])
        found |= {"raw": list(rows.shape[1:]), "channels": first.shape[1], "size": size or list(first.shape[2:])}
        found["resized"] = size is not None and size != list(first.shape[2:])
    else:
        heads = [h for h in map(_head, _payloads(rows, found["column"])) if h is not None]
        if not heads:
            raise DataError(f"{where}: none of the {len(rows):,} images looked at can be read; PNG, JPEG, TIFF, BMP, GIF, WebP are")
        shapes = {h[:2] for h in heads}
        same = len(shapes) == 1 and max(heads[0][:2]) <= LARGEST
        short = int(np.median([min(h[:2]) for h in heads]))
        side = min(DEFAULT, max(8, short // 8 * 8))
        found["size"] = size or (list(heads[0][:2]) if same else [side, side])
        found["resized"] = "mixed" if len(shapes) > 1 else shapes != {tuple(found["size"])}
        found["channels"] = 1 if all(h[2] in _GREY for h in heads) else 3
        deep = any(h[2] in _DEEP for h in heads)
        found |= {"axes": "last", "raw": None, "span": [0.0, 1.0] if deep else None}
        if any(h[2] == "F" for h in heads):
            raw = _decoded([p for p in _payloads(rows, found["column"]) if p is not None], found, 1)[0]
            found["span"] = grids.value_range(raw)
    made = convert(rows, found)
    good = np.ones(len(made.values), bool)
    good[[i for i, _ in made.bad]] = False
    sample = made.values.take(torch.from_numpy(np.flatnonzero(good)))
    if len(sample):
        grids.not_constant(sample, where)
        found["bytes"] = sample.dtype == torch.uint8
        found["mean"], found["std"] = grids.moments(sample)
    else:
        raise DataError(f"{where}: every image that was looked at is unusable ({made.bad[0][1]})")
    return found


def convert(rows: Any, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Raw images → (n, c, h, w) uint8 or float32."""
    if isinstance(rows, np.ndarray):
        if list(rows.shape[1:]) != found["raw"]:
            axes = "n×c×h×w" if found["axes"] == "first" else "n×h×w[×c]"
            want = f"(n, {', '.join(map(str, found['raw']))})" if found["raw"] else "files"
            raise DataError(f"the images have shape {rows.shape}; the preparation is for {want} ({axes})")
        bad = grids.not_finite(rows)
        made = grids.scaled(_channels_first(rows, found["axes"]), found["span"])
        return Converted(Dense(grids.resized(made, found["size"])), bad)
    pixels, bad = _decoded(_payloads(rows, found.get("column")), found, threads)
    bad += tuple(b for b in grids.not_finite(pixels) if b[0] not in {i for i, _ in bad})
    return Converted(Dense(grids.scaled(np.moveaxis(pixels, -1, 1), found["span"])), bad)


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("image", (found["channels"], *found["size"]), {"mean": tuple(found["mean"]), "std": tuple(found["std"])})


def words(found: Mapping[str, Any], items: int) -> str:
    colour = {1: "grey", 3: "RGB"}.get(found["channels"], f"{found['channels']} channels")
    depth = "" if found["span"] is None or found["span"] == [0.0, 1.0] else " (16-bit)" if found["span"][1] == 65535 else " (float)"
    text = f"{items:,} images {grids.shape_text(found['size'])} {colour}{depth}"
    if found["resized"] == "mixed":
        return f"{text} (their sizes differ: scaled to one size; size= chooses another)"
    return f"{text} (scaled to this size; size= chooses another)" if found["resized"] else text


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    return [drawing.picture(x) for x in items.numpy()]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    """Pixels / 255 in one row an item."""
    values = items.float().div(255) if items.dtype == torch.uint8 else items.float()
    return values.flatten(1).numpy()


# ---- arrays ----------------------------------------------------------------------------------------------------------


def _channels_first(rows: np.ndarray, axes: str) -> np.ndarray:
    if rows.ndim == 3:
        return rows[:, None]
    if rows.ndim != 4:
        raise DataError(f"images as an array have shape n×h×w or n×h×w×c; this one is {grids.shape_text(rows.shape)}")
    return rows if axes == "first" else np.moveaxis(rows, -1, 1)


# ---- files and bytes ---------------------------------------------------------------------------------------------------


def _payloads(rows: Any, column: str | None) -> list[Any]:
    """Paths or bytes of the images; None where there is none."""
    if not isinstance(rows, pa.Table):
        return list(rows)
    if column not in rows.column_names:
        raise DataError(f"there is no column {column!r} of images; there are: {', '.join(rows.column_names)}")
    cells = rows.column(column)
    if pa.types.is_struct(cells.type):  # {"bytes", "path"}, as Hugging Face datasets keep images
        plain = cells.combine_chunks()
        names = [f.name for f in cells.type]
        data = plain.field("bytes").to_pylist() if "bytes" in names else [None] * len(plain)
        paths = plain.field("path").to_pylist() if "path" in names else [None] * len(plain)
        return [d if d is not None else p for d, p in zip(data, paths)]
    return list(cells.to_pylist())


def _opened(one: Any) -> Any:
    image = need("PIL.Image", "image")
    return image.open(one if isinstance(one, str) else io.BytesIO(one))


def _head(one: Any) -> tuple[int, int, str] | None:
    """(height, width, mode) from the file's head, upright; None if it cannot be read."""
    try:
        with _opened(one) as image:
            width, height = image.size
            turned = "exif" in image.info and image.getexif().get(0x0112, 1) >= 5
            return (width, height, image.mode) if turned else (height, width, image.mode)
    except _unreadable():
        return None


def _decoded(payloads: Sequence[Any], found: Mapping[str, Any], threads: int) -> tuple[np.ndarray, tuple[tuple[int, str], ...]]:
    """(n, h, w, c) uint8, or float32 where `span` is set; and the items that cannot be read."""
    deep = found["span"] is not None
    out = np.zeros((len(payloads), *found["size"], found["channels"]), np.float32 if deep else np.uint8)
    bad: list[tuple[int, str]] = []
    need("PIL.Image", "image").init()  # before the threads, which would all do it

    def work(start: int, stop: int) -> None:
        for i in range(start, stop):
            try:
                if payloads[i] is None:
                    raise ValueError("is missing")
                out[i] = _pixels(payloads[i], found, deep)
            except _unreadable() as error:
                bad.append((i, _reason(error)))

    if threads == 1 or len(payloads) < 64:
        work(0, len(payloads))
    else:
        cuts = np.linspace(0, len(payloads), threads * 4 + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, cuts[:-1], cuts[1:]))
    return out, tuple(sorted(bad))


def _pixels(one: Any, found: Mapping[str, Any], deep: bool) -> np.ndarray:
    """One image (h, w, c), upright, scaled so that it covers the size, its middle cut out."""
    with _opened(one) as image:
        height, width = found["size"]
        if image.width * image.height > _BOMB:
            raise ValueError(f"{image.width:,}×{image.height:,} pixels, more than {_BOMB:,} in all")
        if image.format == "JPEG" and min(image.size) > 2 * max(height, width):
            image.draft(None, (2 * width, 2 * height))  # decoded at a half, a quarter … already
        if "exif" in image.info:
            image = need("PIL.ImageOps", "image").exif_transpose(image)
        if deep:
            image = _as_float(image)
        elif found["channels"] == 1:
            image = image.convert("L") if image.mode != "L" else image
        elif image.mode != "RGB":
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:  # on white, as a page would show it
                image = image.convert("RGBA")
                white = need("PIL.Image", "image").new("RGBA", image.size, (255, 255, 255, 255))
                image = need("PIL.Image", "image").alpha_composite(white, image)
            image = image.convert("RGB")
        if image.size != (width, height):
            scale = max(width / image.width, height / image.height)
            half_width, half_height = width / scale / 2, height / scale / 2
            box = (
                image.width / 2 - half_width,
                image.height / 2 - half_height,
                image.width / 2 + half_width,
                image.height / 2 + half_height,
            )
            image = image.resize((width, height), 2, box=tuple(max(v, 0) for v in box), reducing_gap=3.0)  # 2 = bilinear, antialiased
        pixels = np.asarray(image)
        return pixels[..., None] if pixels.ndim == 2 else pixels


def _as_float(image: Any) -> Any:
    """A grey image of any depth as floats: whole numbers of 16 bits and of 8 bits become 0 … 1, floats stay."""
    if image.mode == "F":
        return image
    top = 65535.0 if image.mode in _DEEP else 255.0
    values = np.asarray(image if image.mode in _DEEP else image.convert("L"), dtype=np.float32) / top
    return need("PIL.Image", "image").fromarray(values)


def _unreadable() -> tuple[type[BaseException], ...]:
    image = need("PIL.Image", "image")
    return (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        TypeError,
        KeyError,
        IndexError,
        OverflowError,
        image.DecompressionBombError,
        Warning,
    )


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "cannot identify image file" in text:
        return "not an image"
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return text.split(": '")[0][:80]
