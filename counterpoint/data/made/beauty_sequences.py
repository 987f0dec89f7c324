"""What people bought, one after the other, without the last purchase, which is to be told: sequential recommendation."""

from __future__ import annotations

import numpy as np

from counterpoint.data.catalogue import files
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read
from counterpoint.data.text import BUCKETS

LONGEST, RARE, SHORTEST = 20, 5, 4


@made(kind="text", items=22_363, parts=("beauty_seq",))
def beauty_sequences(limit: int | None = None) -> Dataset:
    """A user is an item, its text the names of the products in order, at most the last 20 before the held-out one.

    Columns: "answer", the id that the last product has as a token (−1 where nobody's text holds it); "validation", that of the one before,
    which ends the text and is not left out of it.

    limit: the users with the longest sequences; products bought fewer than five times by them are left out.
    """
    with np.load(files("beauty_seq")["beauty_seq.npz"], allow_pickle=False) as have:
        item, offset = have["item"], have["offset"]
    lengths = np.diff(offset)
    users = np.sort(np.argsort(-lengths, kind="stable")[: limit or len(lengths)])
    sequences = [item[offset[u] : offset[u + 1]] for u in users]
    count = np.bincount(np.concatenate(sequences), minlength=int(item.max()) + 1)
    kept = [s[count[s] >= RARE] for s in sequences]
    kept = [s for s in kept if len(s) >= SHORTEST]
    texts = [" ".join(f"p{i}" for i in s[:-1][-LONGEST:]) for s in kept]
    found = read(texts, kind="text")
    place = {word: 1 + BUCKETS + i for i, word in enumerate(found.fields["x"].found["words"])}
    columns = {name: [place.get(f"p{s[at]}", -1) for s in kept] for name, at in (("answer", -1), ("validation", -2))}
    return found.with_columns({name: np.array(values, np.int64) for name, values in columns.items()})
