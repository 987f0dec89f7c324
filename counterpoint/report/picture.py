"""The map of a run before and after training, side by side: the raw pixels and the embeddings of the same items."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from counterpoint.core.errors import OutputError, RunError, need
from counterpoint.report import facts, map2d, words
from counterpoint.report.folder import Items, read
from counterpoint.report.gallery import OTHER, colours

LABELLED = 20  # classes up to which their names stand in the picture


def draw(folder: Path | str, target: Path | str, *, seed: int = 0, way: Literal["auto", "pca", "tsne"] = "auto") -> Path:
    """Draw the items of an image run that have a preview: left by their pixels, right by their embeddings, coloured by class.

    target: file to write; its ending says the format (.png, .svg, .pdf).
    seed: of the maps.   way: how the maps are made, see `map2d.project`; both by the same way.
    Raises RunError where the run has no pictures of one size, OutputError where the file cannot be written.
    """
    target = Path(target)
    run = read(Path(folder))
    items = run.items
    if items is None or len(items.pictures) < 2:
        raise RunError(f"{folder} holds fewer than two pictures in embeddings.parquet; give the folder of a run on images")
    rows = np.array(sorted(items.pictures))
    before = map2d.project(_pixels([items.pictures[int(r)] for r in rows]), seed=seed, way=way, normalise=False)
    after = map2d.project(items.vectors[rows], seed=seed, way=way)
    scores = facts.arms(run.evaluation)
    titles = _title("Raw pixels", scores.get("raw", {})), _title("Learned without labels", scores.get("trained", {}))
    figure = _figure(items, rows, (before, after), titles)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(temporary, dpi=160, metadata={"Date": None} if target.suffix == ".svg" else None)
        os.replace(temporary, target)
    except ValueError as error:
        raise OutputError(f"{target} cannot be written ({error}); a name that ends in .png or .svg would do") from None
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _pixels(pictures: list[bytes]) -> np.ndarray:
    """(n, pixels) float32 from 0 to 1, colour kept."""
    image = need("PIL.Image", "report")
    rows = []
    for picture in pictures:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with image.open(io.BytesIO(picture), formats=["PNG"]) as opened:
                    rows.append(np.asarray(opened.convert("RGB"), np.float32).reshape(-1) / 255)
        except Exception as error:  # the library has no common error for what can be wrong with a picture
            raise RunError(f"a picture of embeddings.parquet is broken ({type(error).__name__}); write the run again") from None
    if len({len(row) for row in rows}) > 1:
        raise RunError("the pictures have different sizes: there are no common pixels to map; use a run on images of one size")
    return np.stack(rows)


def _title(what: str, scores: dict[str, Any]) -> tuple[str, str]:
    return what, f"kNN {words.score('knn', scores['knn'])}" if words.real(scores.get("knn")) is not None else ""


def _figure(items: Items, rows: np.ndarray, maps: tuple[np.ndarray, np.ndarray], titles: tuple[tuple[str, str], tuple[str, str]]) -> Any:
    need("matplotlib", "report")
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    column = next((c for c in ("label", "cluster") if c in items.columns), None)
    codes = items.columns[column][rows] if column else np.full(len(rows), -1)
    names = items.names[column] if column else []
    palette = np.array([*colours(codes, len(names)), OTHER])
    figure = Figure(figsize=(10, 5.1), layout="constrained", facecolor="white")
    for axes, places, (what, score) in zip(figure.subplots(1, 2), maps, titles):
        order = np.random.default_rng(0).permutation(len(rows))  # so that no class lies on top of the others
        size = float(np.clip(9000 / len(rows), 3, 30))
        axes.scatter(*places[order].T, s=size, c=palette[codes[order]].tolist(), alpha=0.75, linewidths=0)
        if column == "label" and len(names) <= LABELLED:
            for code, name in enumerate(names):
                if (codes == code).any():
                    x, y = np.median(places[codes == code], axis=0)
                    halo = [withStroke(linewidth=3.5, foreground="white")]
                    text = words.short(name, 24).replace("$", r"\$")
                    axes.text(x, y, text, ha="center", va="center", fontsize=12, fontweight="bold", color="#1c2127", path_effects=halo)
        axes.set_title(what, loc="left", fontsize=14, fontweight="bold", color="#1c2127")
        axes.set_title(score, loc="right", fontsize=14, color="#565e68")
        axes.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
        axes.spines[:].set_color("#d9d9d4")
    return figure
