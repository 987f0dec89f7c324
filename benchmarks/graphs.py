"""Node representations of a graph of PubMed's size without labels: time of an epoch, and the most memory a process ever held.

    python benchmarks/graphs.py [--nodes 20000] [--features 500] [--links 45000] [--epochs 3] [--out FILE.json]

A graph with communities is generated (sparse features, as in a bag of words). `simclr` on it with two views, edges and columns of
features left out: GRACE (Zhu et al., 2020) with a contrast over 2,048 nodes a step and tiles in place of an n × n matrix. Once with the
whole graph at every step, once with neighbourhoods of 10 and 10 drawn. Each arm is a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

ARMS: dict[str, dict[str, Any]] = {
    "whole graph": {"neighbours": (), "batch": 2048},
    "10 and 10 neighbours": {"neighbours": (10, 10), "batch": 1024},
}


def graph(nodes: int, features: int, links: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A graph of 20 communities, 4 of 5 links inside them; 50 features of a node are not 0, more often those of its community."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 20, nodes)
    order = np.argsort(group, kind="stable")
    start = np.searchsorted(group[order], np.arange(21))
    one = rng.integers(0, nodes, links)
    own = order[start[group[one]] + (rng.random(links) * np.diff(start)[group[one]]).astype(int)]
    other = np.where(rng.random(links) < 0.8, own, rng.integers(0, nodes, links))
    x = np.zeros((nodes, features), np.float32)
    own = group[:, None] * 25 + rng.integers(0, 25, (nodes, 50))
    words = np.where(rng.random((nodes, 50)) < 0.3, own, rng.integers(0, features, (nodes, 50)))
    x[np.arange(nodes)[:, None], words % features] = rng.random((nodes, 50))
    return {"x": x, "edges": np.stack([one, other], 1), "y": group}


def arm(name: str, nodes: int, features: int, links: int, epochs: int) -> dict[str, Any]:
    """Seconds of an epoch (the last ones) and the peak of the process's memory."""
    import counterpoint as cp

    given = graph(nodes, features, links)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = cp.fit(given, method="simclr", epochs=epochs, out=f"{folder}/run", seed=0, evaluate=False, report=False, **ARMS[name])
        whole = time.perf_counter() - start
        lines = [json.loads(line) for line in Path(f"{folder}/run/metrics.jsonl").read_text().splitlines()]
        settings = run.config["settings"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds per epoch": lines[-1]["time"] / epochs,
        "seconds with reading, embedding and map": whole,
        "peak GiB": peak,
        "GiB before training": before,
        "steps": lines[-1]["step"],
        "settings": {k: settings[k] for k in ("batch", "neighbours", "epochs", "lr", "precision")},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=500)
    parser.add_argument("--links", type=int, default=45_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--arm", choices=list(ARMS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "graphs.json")
    asked = parser.parse_args()
    size = (asked.nodes, asked.features, asked.links, asked.epochs)
    if asked.arm:
        print(json.dumps(arm(asked.arm, *size)))
        return 0
    found = {}
    for name in ARMS:
        numbers = [str(n) for pair in zip(("--nodes", "--features", "--links", "--epochs"), size, strict=True) for n in pair]
        done = subprocess.run([sys.executable, __file__, "--arm", name, *numbers], capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: {found[name]['seconds per epoch']:.2f} s an epoch, at most {found[name]['peak GiB']:.2f} GiB")
    machine = {"machine": platform.machine(), "threads": torch.get_num_threads(), "cores": os.cpu_count(), "torch": str(torch.__version__)}
    size_words = {"nodes": asked.nodes, "features": asked.features, "links": asked.links, "epochs": asked.epochs}
    asked.out.write_text(json.dumps({"graph": size_words, "on": machine, "arms": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
