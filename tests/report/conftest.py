"""Run folders made up for the tests of the report: the files that training leaves, without any training."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

NAMES = ["airplane", "bird", "cat", "deer", "frog", "horse", "ship", "truck"]


def png(pixels: np.ndarray) -> bytes:
    """A PNG file of (h, w, 3) uint8 pixels."""
    high, wide, _ = pixels.shape

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def blob(code: int, side: int, random: np.random.Generator) -> bytes:
    """A small picture whose shape and colour go with a class."""
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    angle = code * 0.8 + random.normal() * 0.15
    wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * (8 + code)) * np.exp(-4 * (x**2 + y**2))
    colour = np.array([math.sin(code), math.sin(code + 2), math.sin(code + 4)]) * 60 + 130
    pixels = colour + wave[..., None] * 90 + random.normal(size=(side, side, 1)) * 6
    return png(pixels.clip(0, 255).astype(np.uint8))


def lines(steps: int, nan_from: int | None = None, terms: int = 1) -> list[dict[str, Any]]:
    """metrics.jsonl of a run that learns, or that turns to NaN."""
    random = np.random.default_rng(1)
    edges = np.linspace(-1, 1, 41)
    found = []
    for i in range(steps):
        share = i / max(steps - 1, 1)
        positive, negative = 0.3 + 0.55 * (1 - math.exp(-4 * share)), 0.28 * math.exp(-5 * share) + 0.02
        loss = 2.1 + 3.4 * math.exp(-5 * share) + random.normal() * 0.08
        if nan_from is not None and i >= nan_from:
            loss = math.nan
        names = ["contrast", "uniformity", "<b>third</b>"][:terms]
        line = {
            "step": 10 * (i + 1), "epoch": int(20 * share), "share": share, "time": 3.1 * (i + 1), "loss": loss, "chance": 6.24,
            "terms": {n: {"value": loss / (k + 1), "chance": 6.24 / (k + 1), "weight": 1.0, "counted": 512} for k, n in enumerate(names)},
            "spread": 0.4 + 0.55 * share, "effective_rank": 6 + 30 * share, "positive": positive, "negative": negative,
            "lr": 0.5 * (1 + math.cos(math.pi * share)) * 1e-3, "items_per_second": 2900 + random.normal() * 80,
        }  # fmt: skip
        if i in (0, steps // 2, steps - 1):
            centre = (edges[:-1] + edges[1:]) / 2
            line["histogram"] = {
                "edges": edges.tolist(),
                "positive": np.exp(-((centre - positive) ** 2) / 0.03).tolist(),
                "negative": np.exp(-((centre - negative) ** 2) / 0.06).tolist(),
            }
        found.append(line)
    return found


def embeddings(
    path: Path,
    items: int = 600,
    *,
    width: int = 16,
    preview: str = "picture",
    names: list[str] | None = None,
    labels: bool = True,
    previews: int = 300,
    side: int = 32,
) -> None:
    """embeddings.parquet; preview "picture", "text" or "none"."""
    random = np.random.default_rng(0)
    names = NAMES if names is None else names
    code = random.integers(0, len(names), items)
    centres = random.normal(size=(len(names), width)) * 1.5
    vectors = (centres[code] + random.normal(size=(items, width)) * 0.7).astype(np.float32)
    wrong = random.random(items) < 0.08
    cluster = np.where(wrong, random.integers(0, len(names), items), code)
    turn = np.linspace(0, 2 * math.pi, len(names), endpoint=False)
    places = np.stack([np.cos(turn[code]), np.sin(turn[code])], 1) * 30 + random.normal(size=(items, 2)) * 5
    shown = random.permutation(items)[:previews]
    pictures: list[bytes | None] = [None] * items
    texts: list[str | None] = [None] * items
    for i in shown:
        if preview == "picture":
            pictures[i] = blob(int(code[i]), side, random)
        elif preview == "text":
            texts[i] = f"{names[code[i]]}: what should I do when the card that I ordered {i} days ago has not arrived yet?"
    columns = {
        "id": pa.array(np.arange(items)),
        "vector": pa.array(vectors.tolist(), pa.list_(pa.float32())),
        "cluster": pa.array(cluster, pa.int32()),
        "x": pa.array(places[:, 0], pa.float32()),
        "y": pa.array(places[:, 1], pa.float32()),
        "split": pa.array((random.random(items) < 0.2).astype(np.int8)),
        "label": pa.array([names[c] if labels else None for c in code], pa.string()),
        "preview": pa.array(pictures, pa.binary()),
        "preview_text": pa.array(texts, pa.string()),
    }
    pq.write_table(pa.table(columns), path)


KINDS = ("knn", "linear", "acc", "nmi", "ari", "uniformity", "alignment", "effective_rank")
SCORES: dict[str, Any] = {
    "protocol": "80% of the items train the probes, 20% are scored; groups kept whole; kNN with k = 20, cosine; k-means; seed 0.",
    "labels": "label",
    "scores": {
        "raw": dict(zip(KINDS, (0.402, 0.391, 0.223, 0.087, 0.041, -1.21, None, 31.2))),
        "trained": dict(zip(KINDS, (0.731, 0.748, 0.512, 0.431, 0.338, -3.42, 0.312, 48.9))),
        "pca": dict(zip(KINDS, (0.431, 0.402, 0.221, 0.089, 0.042, -1.6, None, 28.4))),
        "untrained": dict(zip(KINDS, (0.383, 0.412, 0.214, 0.081, 0.038, -0.4, 0.09, 5.1))),
    },
}
HEALTHY = {"verdict": "healthy", "findings": []}
CONFIG = {
    "method": "simclr", "seed": 0, "epochs": 20, "batch": 256, "data": "cifar10[8000]", "set": {"objective.contrast.loss.temperature": 0.1},
    "versions": {"counterpoint": "0.1.0", "torch": "2.8.0", "numpy": "2.3.1", "python": "3.11.2"},
}  # fmt: skip
CARD = {"method": "simclr", "understood": "10,000 images 32×32 RGB, 8 classes from folder names, no groups", "backbone": "image.small_cnn"}


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """`make_run(name, steps=…, …, leave_out=(…))` writes a run folder and returns it."""

    def make(
        name: str = "run",
        *,
        steps: int = 60,
        metrics: list[dict[str, Any]] | None = None,
        evaluation: Any = SCORES,
        health: Any = HEALTHY,
        config: Any = CONFIG,
        card: Any = CARD,
        leave_out: tuple[str, ...] = (),
        **items: Any,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        written = {
            "metrics.jsonl": "".join(json.dumps(line) + "\n" for line in (lines(steps) if metrics is None else metrics)),
            "config.yaml": yaml.safe_dump(config, sort_keys=False),
            "model.json": json.dumps(card),
            "evaluation.json": json.dumps(evaluation),
            "health.json": json.dumps(health),
        }
        for file, text in written.items():
            if file not in leave_out:
                (folder / file).write_text(text, "utf-8")
        if "embeddings.parquet" not in leave_out:
            embeddings(folder / "embeddings.parquet", **items)
        return folder

    return make
