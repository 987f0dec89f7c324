"""Text as token ids: a small tokeniser of our own with a vocabulary learned from the data, or that of a local transformers folder.

Words: lower case; a run of letters or digits is a token, so is every other sign and every character of scripts without spaces.
Characters: the same with single characters, chosen where most texts are one long word (sequences, codes).
DNA and RNA: the letters a c g t have the ids 1 2 3 4, u is a t, every other sign is 5; found where long words hold hardly anything else.
Id 0 is padding (a transformers tokeniser keeps its own padding, which then stands in `info["padding"]`); then come the buckets that words
outside the vocabulary are hashed into (CRC-32, the same on every machine); then the words.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from counterpoint.core.errors import DataError, need
from counterpoint.core.recipe import Modality
from counterpoint.data.request import Request
from counterpoint.data.sources import Source
from counterpoint.data.stores import Converted, Ragged, offsets

BUCKETS = 256  # ids 1 … BUCKETS: words outside the vocabulary
MOST_WORDS = 20_000
LONGEST = 128  # tokens of a text that are kept, unless size= says otherwise
# Han, kana, hangul have no spaces between words: each character is a token of its own
_WORDS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|[^\w\s]|_")
_CHARACTERS = re.compile(r"\S")
DNA = "acgt"  # ids 1 2 3 4, as `views.text.strand` and `mutate` have them: a letter and its complement sum to 5
OTHER_SIGN = len(DNA) + 1
_AMBIGUOUS = "nrywskmbdhv"  # codes of the IUPAC for two letters or more


def sample_size(source: Source) -> int:
    return 200_000


def fit(rows: Any, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of text: tokeniser, vocabulary, longest text in tokens."""
    found: dict[str, Any] = {"kind": "text", "column": hints.get("column"), "tokenizer": request.tokenizer or "words"}
    texts = [t for t in _texts(rows, found["column"]) if t and not t.isspace()]
    if not texts:
        raise DataError(f"{where}: every text looked at is empty")
    if len(texts) > 1 and len(set(texts[:1000])) == 1:
        raise DataError(f"{where}: all texts are equal; there is nothing to tell apart")
    if request.size is not None and (not isinstance(request.size, int) or request.size < 1):
        raise DataError(f"size = {request.size!r} does not fit text; it must be the number of tokens kept, > 0")
    if request.tokenizer:
        tokenizer = _pretrained(request.tokenizer)
        lengths = np.array([len(ids) for ids in tokenizer(texts[:2000], add_special_tokens=True)["input_ids"]])
        own = tokenizer.model_max_length if tokenizer.model_max_length < 10**6 else 512
        found["vocabulary"] = len(tokenizer)
        found["padding"] = int(tokenizer.pad_token_id or 0)
    else:
        if _mostly_one_word(texts[:2000]):
            found["tokenizer"] = "characters"
            if _is_dna(texts[:2000]):
                found["alphabet"] = DNA
        split = _splitter(found["tokenizer"])
        counts: Counter[str] = Counter()
        lengths = np.zeros(len(texts), int)
        for i, text in enumerate(texts):
            tokens = split(text.lower())
            counts.update(tokens)
            lengths[i] = len(tokens)
        least = 1 if found["tokenizer"] == "characters" or len(counts) < 500 else 2
        kept = (
            [*DNA, "other"]
            if "alphabet" in found
            else sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-counts[w], w))[:MOST_WORDS]
        )
        found["words"] = kept
        found["vocabulary"] = 1 + len(kept) + (0 if "alphabet" in found else BUCKETS)
        own = 10**6
    most = int(lengths.max(initial=1))
    found["length"] = min(request.size or LONGEST, most if request.size is None and most < LONGEST else 10**9, own)
    found["cut"] = round(float((lengths > found["length"]).mean()), 4)
    return found


def convert(rows: Any, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Texts → token ids, int32, rows of unequal length."""
    texts = _texts(rows, found["column"])
    bad = tuple((i, "is missing" if t is None else "is empty") for i, t in enumerate(texts) if not (t and not t.isspace()))
    longest = found["length"]
    if found["tokenizer"] in ("words", "characters"):
        ids, lengths = _encoded(texts, found, longest)
    else:
        tokenizer = _pretrained(found["tokenizer"])
        rowwise = (
            tokenizer([t or "" for t in texts], truncation=True, max_length=longest, add_special_tokens=True)["input_ids"] if texts else []
        )
        lengths = np.array([len(r) for r in rowwise], dtype=np.int64)
        ids = np.fromiter((i for r in rowwise for i in r), np.int32, int(lengths.sum()))
    store = Ragged(torch.from_numpy(ids), offsets(torch.from_numpy(lengths)), longest, found.get("padding", 0), trim=True)
    return Converted(store, bad)


def modality(found: Mapping[str, Any]) -> Modality:
    if found.get("alphabet") not in (None, DNA):
        raise DataError(f"preprocessing= is for sequences of the alphabet {found['alphabet']!r}; this version reads {DNA!r}")
    info = {"vocabulary": found["vocabulary"], "tokenizer": found["tokenizer"]}
    return Modality("text", (found["length"],), info | {name: found[name] for name in ("padding", "alphabet") if found.get(name)})


def word_of(found: Mapping[str, Any]) -> Callable[[int], str]:
    """A function from an id to what it stands for: "" for the padding, … for words outside the vocabulary."""
    if found["tokenizer"] not in ("words", "characters"):
        tokenizer, padding = _pretrained(found["tokenizer"]), found.get("padding", 0)
        return lambda i: "" if i == padding else str(tokenizer.convert_ids_to_tokens(i))
    kept = found["words"]
    if found.get("alphabet"):
        return lambda i: "" if i == 0 else kept[i - 1] if i <= len(DNA) else "…"
    return lambda i: "" if i == 0 else "…" if i <= BUCKETS else kept[i - 1 - BUCKETS]


def words(found: Mapping[str, Any], items: int) -> str:
    how = (
        " of DNA"
        if found.get("alphabet")
        else ""
        if found["tokenizer"] == "words"
        else " as characters"
        if found["tokenizer"] == "characters"
        else f" (tokens of {found['tokenizer']})"
    )
    vocabulary = "" if found["tokenizer"] not in ("words", "characters") else f", {len(found['words']):,} different tokens"
    cut = f", {found['cut']:.1%} of them cut to {found['length']:,} tokens" if found["cut"] else f" of at most {found['length']:,} tokens"
    return f"{items:,} texts{how}{cut}{vocabulary}"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    texts = _texts(rows, found["column"])
    return [" ".join((t or "").split())[:200] for t in texts]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    """Bag of words hashed into 2,048 numbers, log counts, each text of length one."""
    from sklearn.feature_extraction.text import HashingVectorizer

    pattern = r"(?u)\b\w+\b" if found["tokenizer"] != "characters" else None
    vectorizer = HashingVectorizer(
        n_features=2048,
        alternate_sign=False,
        norm=None,
        **({"token_pattern": pattern} if pattern else {"analyzer": "char", "ngram_range": (1, 3)}),
    )
    counts = vectorizer.transform([t or "" for t in _texts(rows, found["column"])]).astype(np.float32)
    counts.data = np.log1p(counts.data)
    dense = counts.toarray()
    return dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)


def _texts(rows: Any, column: str | None) -> list[str | None]:
    if isinstance(rows, np.ndarray):
        return [str(t) for t in rows]
    if not isinstance(rows, pa.Table):
        return [t if t is None or isinstance(t, str) else str(t) for t in rows]
    if column not in rows.column_names:
        raise DataError(f"there is no column {column!r} of text; there are: {', '.join(rows.column_names[:12])}")
    cells = rows.column(column)
    if not pa.types.is_string(cells.type) and not pa.types.is_large_string(cells.type):
        if pa.types.is_nested(cells.type) or pa.types.is_binary(cells.type):
            raise DataError(f"the column {column!r} holds {cells.type}, not text")
        cells = pc.cast(cells, pa.string())
    return list(cells.to_pylist())


def _encoded(texts: Sequence[str | None], found: Mapping[str, Any], longest: int) -> tuple[np.ndarray, np.ndarray]:
    split = _splitter(found["tokenizer"])
    table = {c: i for i, c in enumerate(DNA, 1)} | {"u": 4} if found.get("alphabet") else _table(tuple(found["words"]))
    ids: list[int] = []
    lengths = np.zeros(len(texts), np.int64)
    for i, text in enumerate(texts):
        tokens = split((text or "").lower())[:longest]
        lengths[i] = len(tokens)
        if found.get("alphabet"):
            ids += [table.get(t, OTHER_SIGN) for t in tokens]
        else:
            ids += [table[t] if t in table else 1 + zlib.crc32(t.encode()) % BUCKETS for t in tokens]
    return np.array(ids, dtype=np.int32), lengths


@lru_cache(maxsize=8)
def _table(words: tuple[str, ...]) -> dict[str, int]:
    return {word: 1 + BUCKETS + i for i, word in enumerate(words)}


def _splitter(name: str) -> Any:
    return _WORDS.findall if name == "words" else _CHARACTERS.findall


def _mostly_one_word(texts: Sequence[str]) -> bool:
    long_words = sum(len(t) >= 20 and len(_WORDS.findall(t)) <= 2 for t in texts)
    return long_words > 0.8 * len(texts)


def _is_dna(texts: Sequence[str]) -> bool:
    """Whether the four letters make up 95 % of the signs, each at least one in a hundred, and all the rest are codes of the IUPAC."""
    counts = Counter(sign for text in texts for sign in _CHARACTERS.findall(text.lower().replace("u", "t")))
    every = sum(counts.values())
    letters = [counts[letter] for letter in DNA]
    return counts.keys() <= {*DNA, *_AMBIGUOUS} and sum(letters) >= 0.95 * every and min(letters) >= 0.01 * every


@lru_cache(maxsize=4)
def _pretrained(path: str) -> Any:
    from pathlib import Path

    if not isinstance(path, str) or not Path(path).is_dir():
        raise DataError(f"tokenizer = {path!r} is not a folder; give a local folder with a transformers model and its tokeniser")
    transformers = need("transformers", "text")
    try:
        return transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # the library raises many kinds of errors for a folder without a tokeniser
        from counterpoint.data.streamed import one_line

        raise DataError(f"tokenizer = {path!r}: no tokeniser can be read from that folder ({one_line(error)})") from None
