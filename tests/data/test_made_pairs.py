"""Made sets of pairs: what they hold, and that fewer are some of more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError


def test_product_labels(shipped: Callable[[str], Path]) -> None:
    shipped("abt_buy")
    pytest.importorskip("PIL")
    few, more = data.load("product_labels[40]"), data.load("product_labels[80]")
    assert few.items == 80 and more.items == 160 and set(few.spec.modalities) == {"image", "text"}
    assert few.spec.modalities["image"].shape == (1, 20, 96)
    assert few.columns["label"].bincount().tolist() == [4] * 20 and int(few.columns["exemplar"].sum()) == 20
    parts = [set(few.columns["label"][few.split == part].tolist()) for part in (0, 1)]
    assert not parts[0] & parts[1] and all(len(part) == 10 for part in parts)
    name = few.names["label"][int(few.columns["label"][0])]
    twin = int((more.columns["label"] == list(more.names["label"]).index(name)).nonzero()[0])
    assert torch.equal(few.batch([0]).fields["image"], more.batch([twin]).fields["image"])
    text = few.preview([0], "text")[0]
    assert str(text).replace(" ", "").replace("_", " ").lower() == name.lower()


def test_digit_pairs_say_who_spoke(shipped: Callable[[str], Path]) -> None:
    for name in ("digit_pairs", "mnist", "fsdd"):
        shipped(name)
    found = data.load("digit_pairs[200]", size={"audio": 2000})
    assert found.spec.columns["speaker"][0] == 6 and found.spec.modalities["audio"].shape == (1, 2000)
    recordings = [set(found.columns["recording"][found.split == part].tolist()) for part in (0, 1)]
    assert not recordings[0] & recordings[1]


def test_spectra_have_their_parameters_and_nuisances() -> None:
    few, more = data.load("spectra[50]"), data.load("spectra[60]")
    assert few.items == 100 and int((few.split == 1).sum()) == 50
    assert {n: m.shape for n, m in few.spec.modalities.items()} == {"fine": (256,), "coarse": (40,)}
    assert set(few.columns) == {"temperature", "gravity", "metals", "slope", "reddening"}
    assert torch.equal(few.columns["metals"][:50], more.columns["metals"][:50])


def test_sentences_of_sts(shipped: Callable[[str], Path]) -> None:
    shipped("sts")
    found = data.load("sts_sentences[60]", size=8)
    pair, score = found.columns["pair"], found.columns["score"]
    assert int((found.split == 0).sum()) == 60 and int((found.split == 1).sum()) == 60
    assert bool((pair[found.split == 0] == -1).all()) and bool(score[found.split == 0].isnan().all())
    assert pair[found.split == 1].bincount().tolist() == [2] * 30 and bool((score[pair >= 0] <= 5).all())
    assert found.spec.modalities["x"].shape == (8,)


def test_what_a_made_set_does_not_take_is_refused() -> None:
    with pytest.raises(DataError, match="takes no size="):
        data.load("spectra[50]", size=8)
