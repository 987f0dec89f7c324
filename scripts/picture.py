"""The picture of the README: a run's 2-D map and its scores, made from the files of a run folder.

python scripts/picture.py [RUN_FOLDER]      # demo/ by default; writes docs/images/demo.png
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "images" / "demo.png"
ARMS = ("raw", "pca", "untrained", "trained")
SCORES = {"knn": "nearest neighbours", "linear": "linear probe", "acc": "groups (k-means)"}


def draw(folder: Path, target: Path) -> None:
    """Left: every item at its place on the map, coloured by class. Right: the scores of the four arms."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    import pyarrow.parquet as pq

    items: Any = pq.read_table(folder / "embeddings.parquet", columns=["x", "y", "label", "cluster"]).to_pydict()
    scores: dict[str, dict[str, float]] = json.loads((folder / "evaluation.json").read_text())["scores"]
    known = any(label is not None for label in items["label"])
    names = [str(v) for v in (items["label"] if known else items["cluster"])]
    classes = sorted(set(names))
    codes = np.array([classes.index(name) for name in names])
    x, y = np.array(items["x"], float), np.array(items["y"], float)

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), width_ratios=(1, 1.05), constrained_layout=True)
    colours = plt.get_cmap("tab10" if len(classes) <= 10 else "tab20")
    left.scatter(x, y, s=3, c=[colours(code % colours.N) for code in codes], linewidths=0)
    for code, name in enumerate(classes[:20]):
        own = codes == code
        left.text(np.nanmedian(x[own]), np.nanmedian(y[own]), name, ha="center", va="center", fontsize=13, weight="bold",
                  bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5})  # fmt: skip
    left.set_axis_off()
    left.set_title(f"{len(names):,} items, learned without labels" if known else f"{len(names):,} items and their groups")

    shown = [score for score in SCORES if all(score in scores[arm] for arm in ARMS)]
    height = 0.8 / len(ARMS)
    for number, arm in enumerate(ARMS):
        places = np.arange(len(shown)) + (number - (len(ARMS) - 1) / 2) * height
        values = [scores[arm][score] for score in shown]
        bars = right.barh(places, values, height * 0.92, color="tab:blue" if arm == "trained" else f"{0.85 - 0.17 * number:.2f}", label=arm)
        right.bar_label(bars, [f"{value:.3f}" for value in values], padding=3, fontsize=9)
    right.set_yticks(range(len(shown)), [SCORES[score] for score in shown])
    right.set_xlim(0, 1.12)
    right.invert_yaxis()
    right.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=len(ARMS), frameon=False)
    right.spines[["top", "right"]].set_visible(False)
    right.set_xlabel("accuracy")

    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=110)
    plt.close(figure)
    os.replace(temporary, target)


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else ROOT / "demo"
    for name in ("embeddings.parquet", "evaluation.json"):
        if not (folder / name).is_file():
            print(f"picture: {folder} holds no {name}; give a run folder, or run `make demo` first", file=sys.stderr)
            return 2
    draw(folder, TARGET)
    print(f"picture: {TARGET.relative_to(ROOT)} from {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
