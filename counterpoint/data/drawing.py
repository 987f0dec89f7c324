"""Small pictures of items for the report: PNG bytes, written here so that no image library is needed."""

from __future__ import annotations

import struct
import zlib

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """uint8 (h, w) grey or (h, w, 3) colour → a PNG file."""
    height, width = pixels.shape[:2]
    colour = 2 if pixels.ndim == 3 else 0
    rows = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(height, -1)
    raw = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1).tobytes()  # each line starts with its filter: none

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 6)) + chunk(b"IEND", b"")


def picture(image: np.ndarray, largest: int = 96) -> bytes:
    """(c, h, w), uint8 or float 0 … 1 → PNG; one channel is grey, the first three of several are colour; thinned to `largest` pixels."""
    if image.dtype != np.uint8:
        image = (np.clip(np.nan_to_num(image), 0, 1) * 255).round().astype(np.uint8)
    step = max(1, -(-max(image.shape[1:]) // largest))
    image = image[:, ::step, ::step]
    if len(image) == 1:
        return png(image[0])
    if len(image) == 2:
        image = np.concatenate([image, np.zeros_like(image[:1])])
    return png(np.moveaxis(image[:3], 0, -1))


_INK = np.array([[31, 119, 180], [214, 96, 40], [44, 140, 60], [150, 70, 160], [110, 110, 110]], np.uint8)


def curve(series: np.ndarray, width: int = 120, height: int = 48) -> bytes:
    """(c, t) → PNG with one line for each of at most five channels; NaN leaves a gap."""
    canvas = np.full((height, width, 3), 255, np.uint8)
    shown = series[:5]
    finite = shown[np.isfinite(shown)]
    if not finite.size:
        return png(canvas)
    low, high = float(finite.min()), float(finite.max())
    span = (high - low) or 1.0
    steps = shown.shape[1]
    for row, ink in zip(shown, _INK):
        columns = np.minimum(np.arange(steps) * width // max(steps, 1), width - 1) if steps >= width else None
        if columns is None:  # fewer values than pixels: straight lines between them
            known = np.isfinite(row)
            if not known.any():
                continue
            row = np.interp(np.linspace(0, steps - 1, width), np.flatnonzero(known), row[known])
            columns = np.arange(width)
        known = np.isfinite(row)
        y = np.zeros(len(row), int)
        y[known] = ((high - row[known]) / span * (height - 1)).round().astype(int)
        top, bottom = np.full(width, height), np.full(width, -1)
        np.minimum.at(top, columns[known], y[known])
        np.maximum.at(bottom, columns[known], y[known])
        bottom[:-1] = np.where((bottom[:-1] >= 0) & (bottom[1:] >= 0), np.maximum(bottom[:-1], np.minimum(top[1:], height)), bottom[:-1])
        top[:-1] = np.where((bottom[:-1] >= 0) & (bottom[1:] >= 0), np.minimum(top[:-1], bottom[1:]), top[:-1])
        lines = np.arange(height)[:, None]
        canvas[(lines >= top) & (lines <= bottom)] = ink
    return png(canvas)
