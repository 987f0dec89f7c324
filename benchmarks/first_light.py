"""The first use, measured: representations of four kinds of data learned without labels, beside what they must beat.

    COUNTERPOINT_DATA=… python benchmarks/first_light.py [images] [series] [text] [table] [--seeds 3] [--out FILE.json]

images: 10,000 of CIFAR-10.   series: the sets of the UCR archive, linear probe against 1-nearest-neighbour on the raw series.
text: banking77 with MiniLM, before and after contrastive fine-tuning.   table: NSL-KDD, a mixed table, against one-hot and PCA.
Every figure is of held-out items, last checkpoint; labels are used for the scores only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import counterpoint as cp
from counterpoint import data

IMAGES = {"time": "270s", "lr": 2e-3}
SERIES = {"time": "6s"}
TEXT = {"epochs": 1, "lr": 3e-5, "batch": 128, "encoder": "minilm", "temperature": 0.05}
TABLE = {"epochs": 20, "lr": 1e-3}


def fit(source: Any, seed: int, **chosen: Any) -> dict[str, Any]:
    """Scores of one run, its training time and folder removed afterwards."""
    folder = tempfile.mkdtemp()
    start = time.perf_counter()
    try:
        run = cp.fit(source, seed=seed, out=f"{folder}/run", report=False, **{k: v for k, v in chosen.items() if v is not None})
        scores = json.loads(Path(f"{folder}/run/evaluation.json").read_text())
        last = json.loads(Path(f"{folder}/run/metrics.jsonl").read_text().splitlines()[-1])
    finally:
        shutil.rmtree(folder)
    return {
        "scores": scores["scores"],
        "protocol": scores["protocol"],
        "training seconds": last["time"],
        "seconds": time.perf_counter() - start,
        "method": run.config["method"],
    }


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def several(name: str, source: Any, seeds: int, keys: tuple[str, ...], **chosen: Any) -> dict[str, Any]:
    runs = [fit(source, seed, **chosen) for seed in range(seeds)]
    print(f"\n{name}: {len(runs)} seed(s), training {spread([r['training seconds'] for r in runs])} s, {chosen}")
    for arm in ("trained", "untrained", "pca", "raw"):
        print(
            f"  {arm:10}" + "".join(f"  {k} {spread([r['scores'][arm][k] for r in runs])}" for k in keys if k in runs[0]["scores"][arm]),
            flush=True,
        )
    return {"options": chosen, "runs": runs}


def nearest_neighbour(given: Any) -> float:
    """Test accuracy of one nearest neighbour in the raw values, Euclidean: what the archive publishes."""
    flat, label = given.flat(), given.columns["label"].numpy()
    train, test = (np.flatnonzero(given.split.numpy() == part) for part in (0, 1))
    squared = (flat[test] ** 2).sum(1)[:, None] + (flat[train] ** 2).sum(1)[None] - 2 * flat[test] @ flat[train].T
    return float((label[train][squared.argmin(1)] == label[test]).mean())


def series(seeds: int) -> dict[str, Any]:
    found = {}
    folder = Path(os.environ.get("COUNTERPOINT_DATA", "")) / "ucr"
    for path in sorted(folder.glob("*.npz")):
        raw = nearest_neighbour(data.read(path))
        runs = [fit(path, seed, **SERIES) for seed in range(seeds)]
        linear = [r["scores"]["trained"]["linear"] for r in runs]
        untrained = [r["scores"]["untrained"]["linear"] for r in runs]
        found[path.stem] = {
            "raw 1-NN": raw,
            "linear": linear,
            "untrained linear": untrained,
            "seconds": [r["training seconds"] for r in runs],
        }
        print(f"{path.stem:20} raw 1-NN {raw:.3f}  linear {spread(linear)}  untrained {spread(untrained)}", flush=True)
    mean = {k: statistics.mean(np.mean(v[k]) for v in found.values()) for k in ("raw 1-NN", "linear", "untrained linear")}
    print("mean over sets: " + ", ".join(f"{k} {v:.3f}" for k, v in mean.items()))
    return {"options": SERIES, "sets": found, "mean": mean}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["images", "series", "text", "table"])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    found: dict[str, Any] = {}
    keys = ("knn", "linear", "acc", "nmi", "ari")
    for what in chosen.what:
        if what == "images":
            found[what] = several("cifar10[10000]", "cifar10[10000]", chosen.seeds, keys, **IMAGES)
        elif what == "series":
            found[what] = series(chosen.seeds)
        elif what == "text":
            found[what] = several("banking77, MiniLM (untrained = before)", "banking77", chosen.seeds, keys, **TEXT)
        elif what == "table":
            found[what] = several("nsl_kdd[8000]", "nsl_kdd[8000]", chosen.seeds, keys, **TABLE)
    if chosen.out is not None:
        before = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps(before | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
