"""Sentences of the STS benchmark: those of its training pairs as a corpus, those of its test pairs with their scores."""

from __future__ import annotations

import numpy as np

from counterpoint.data import rows
from counterpoint.data.catalogue import files
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read
from counterpoint.data.request import request_of


@made(kind="text", items=13_000, parts=("sts",))
def sts_sentences(limit: int | None = None, *, size: int | None = None, tokenizer: str | None = None) -> Dataset:
    """Different sentences to train, without scores; sentences to test by twos: column "pair" numbers the pairs (−1 in train), "score" is
    their similarity from 0 to 5 (NaN in train).

    limit: at most this many sentences of each part.
    size: tokens of a sentence.
    tokenizer: folder of a transformers model.
    """
    request = request_of()
    found = {part: rows.json_lines(files("sts")[f"stsb_{part}.jsonl.gz"], request) for part in ("train", "test")}
    tested = [(a, b, s) for a, b, s in zip(*(found["test"].column(name).to_pylist() for name in ("a", "b", "score")))]
    seen = {sentence for a, b, _ in tested for sentence in (a, b)}
    corpus = [s for s in dict.fromkeys(found["train"].column("a").to_pylist() + found["train"].column("b").to_pylist()) if s not in seen]
    rng = np.random.default_rng(0)
    corpus = [corpus[i] for i in rng.permutation(len(corpus))[:limit]]
    tested = [tested[i] for i in rng.permutation(len(tested))[: None if limit is None else max(limit // 2, 1)]]
    texts = corpus + [sentence for a, b, _ in tested for sentence in (a, b)]
    scores = np.array([np.nan] * len(corpus) + [float(s) for _, _, s in tested for _ in range(2)])
    pair = np.concatenate([np.full(len(corpus), -1), np.arange(len(tested)).repeat(2)])
    side = (pair >= 0).astype(np.int8)
    how = {name: value for name, value in (("size", size), ("tokenizer", tokenizer)) if value is not None}
    return read(texts, kind="text", columns={"pair": pair, "score": scores}, holdout=lambda labels, groups: side, **how)  # type: ignore[arg-type]
