"""Pictures of ten objects, half of them with a handwritten digit laid over: background and target items of contrastive analysis."""

from __future__ import annotations

import numpy as np

from counterpoint.data.catalogue import load
from counterpoint.data.dataset import Dataset
from counterpoint.data.made import made
from counterpoint.data.reading import read


@made(kind="image", items=60_000, classes=10, parts=("cifar10", "mnist"))
def cifar_digits(limit: int | None = None) -> Dataset:
    """CIFAR-10 at half brightness; on every other picture half a digit of MNIST, 28 of 32 pixels, grey (the set of SepCLR, paper 019).

    Columns: "target" 0 or 1, "label" and "object" the class of the picture, "digit" −1 where there is none. Digits and pictures of the test
    part are of the test parts of both.
    """
    size = 60_000 if limit is None else limit
    pictures, digits = load(f"cifar10[{size}]"), load(f"mnist[{size}]")
    x = pictures.batch(pictures.ids).fields["x"].numpy().astype(np.float32) / 2
    split = pictures.split.numpy()
    target = np.zeros(len(x), np.int64)
    digit = np.full(len(x), -1)
    rng = np.random.default_rng(0)
    for part in (0, 1):
        places = rng.permutation(np.flatnonzero(split == part))
        places = places[: len(places) // 2]
        from_there = digits.ids[digits.split == part].numpy()
        chosen = from_there[rng.permutation(len(from_there))[np.arange(len(places)) % len(from_there)]]
        batch = digits.batch(chosen.tolist())
        drawn = np.pad(batch.fields["x"].numpy(), ((0, 0), (0, 0), (2, 2), (2, 2))).astype(np.float32) / 2
        x[places] += drawn
        target[places], digit[places] = 1, batch.keys["label"].numpy()
    objects = pictures.columns["label"].numpy()
    columns = {"target": target, "object": objects, "digit": digit}
    x = x.round().clip(0, 255).astype(np.uint8)
    return read(x, kind="image", label=objects, columns=columns, holdout=lambda labels, groups: split)
