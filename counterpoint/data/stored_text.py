"""Sets of the catalogue that are text, and those of pairs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from counterpoint.data import folders, rows, tabular
from counterpoint.data.request import SPLITS, Found, Request
from counterpoint.data.sources import Array, Listed
from counterpoint.data.stored_arrays import Made, Paths, column, fsdd_clips, load, made


def lines(paths: Paths, request: Request, name: str) -> Found:
    """jsonl files: train, test … or all."""
    chosen = {part: paths[f"{part}.jsonl.gz"] for part in ("train", "val", "test", "all") if f"{part}.jsonl.gz" in paths}
    own = replace(request, text=request.text or {"phishing_urls": "url"}.get(name))
    each = [tabular.from_file(path, own) for path in chosen.values()]
    return each[0] if len(each) == 1 else folders.stacked(each, [SPLITS[part] for part in chosen], name)


def digit_pairs(paths: Paths, request: Request, name: str) -> Made:
    """Drawn and spoken digits; a recording stands in several pairs."""
    from counterpoint.data.catalogue import files

    pairs = load(paths["pairs.npz"])
    drawn = load(files("mnist")["mnist.npz"])
    have, clips = fsdd_clips(files("fsdd"))
    both = np.concatenate([pairs["train"], pairs["test"] + [len(drawn["x_train"]), 0, 0]])
    split = np.repeat([0, 1], [len(pairs["train"]), len(pairs["test"])])
    columns = {
        "label": column(both[:, 2]),
        "speaker": column(have["speaker"][both[:, 1]], have["speaker_names"]),
        "recording": column(both[:, 1]),
    }
    images = np.concatenate([drawn["x_train"], drawn["x_test"]])[both[:, 0]]
    spoken = Listed([clips.values[i] for i in both[:, 1]])
    return {"image": made("image", Array(images), columns, split), "audio": made("audio", spoken, columns, split, hints={"rate": 8000})}


def emoji(paths: Paths, request: Request, name: str) -> Made:
    """A picture (Noto) and its English name."""
    have, parts = load(paths["images.npz"]), load(paths["split.npz"])
    names = tabular.from_file(paths["text.jsonl.gz"], replace(request, text="name"))
    split = np.zeros(len(have["x"]), np.int8)
    split[parts["test"]] = 1
    columns = {
        "label": column(have["category"], have["category_names"]),
        "subcategory": column(have["subcategory"], have["subcategory_names"]),
    }
    return {"image": made("image", Array(have["x"][:, 0]), columns, split), "text": replace(names, columns={}, taken={}, split=split)}


def records(paths: Paths, request: Request, name: str) -> Made:
    """Pairs of records as text, labelled 1 where they are of one thing."""
    each = []
    split: list[int] = []
    for part in ("train", "valid", "test"):
        here = rows.json_lines(paths[f"{part}.jsonl.gz"], request).to_pylist()
        each += here
        split += [SPLITS[part]] * len(here)
    columns = {"label": column([row["label"] for row in each])}
    sides = {side: Listed([" ".join(str(v) for v in row[side].values() if v) or "-" for row in each]) for side in ("a", "b")}
    return {side: made("text", texts, columns, split) for side, texts in sides.items()}


def sts(paths: Paths, request: Request, name: str) -> Made:
    """The STS benchmark: pairs of sentences with a score of 0 to 5."""
    found = {part: rows.json_lines(paths[f"stsb_{part}.jsonl.gz"], request) for part in ("train", "dev", "test")}
    whole = pa.concat_tables(found.values())
    split = np.concatenate([np.full(len(t), SPLITS[part], np.int8) for part, t in found.items()])
    columns = {"score": column(whole.column("score"))}
    return {side: made("text", Listed(whole.column(side).to_pylist()), columns, split) for side in ("a", "b")}


def absa14(paths: Paths, request: Request, name: str) -> Found:
    """Restaurants: sentences with the polarity of one aspect."""
    each = {part: rows.json_lines(paths[f"restaurants_{part}.jsonl.gz"], request) for part in ("train", "test")}
    split = np.concatenate([np.full(len(t), SPLITS[part], np.int8) for part, t in each.items()])
    whole = pa.concat_tables([t.select(["text", "aspect", "polarity"]) for t in each.values()])
    columns = {
        "label": column(np.asarray(whole.column("polarity")) + 1, ["negative", "neutral", "positive"]),
        "aspect": column(whole.column("aspect")),
    }
    return made("text", Listed(whole.column("text").to_pylist()), columns, split)


def dna(paths: Paths, request: Request, name: str) -> Found:
    have = load(paths["dna_splice.npz"])
    split = np.zeros(len(have["x"]), np.int8)
    split[have["test"]] = 1
    return replace(tabular.from_file(paths["sequences.jsonl.gz"], replace(request, text="sequence")), split=split)


def molecules(paths: Paths, request: Request, name: str) -> Found:
    """SMILES strings with three classes of solubility."""
    found = tabular.from_file(paths["molecules.jsonl.gz"], replace(request, text="smiles", columns={**request.columns, "split": "split"}))
    return replace(found, taken={"label": "solubility"})
