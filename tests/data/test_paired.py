"""Several observations of the same items."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 8, 8), dtype=np.uint8)
TEXTS = ["one cat", "two cats", "a dog", "two dogs", "one bird", "a fish"]


def test_a_dictionary_of_sources() -> None:
    found = data.read({"picture": IMAGES, "caption": TEXTS}, label=list("aabbcc"), size={"picture": 4})
    assert found.spec.kind == "paired"
    assert {n: m.kind for n, m in found.spec.modalities.items()} == {"picture": "image", "caption": "text"}
    batch = found.batch([4, 1])
    assert batch.fields["picture"].shape == (2, 1, 4, 4)
    assert len(batch.fields["caption"]) == 2
    assert found.flat().shape == (6, 16 + 2048)
    assert isinstance(found.preview([0])[0], bytes)
    assert found.preview([0], modality="caption") == ["one cat"]
    assert (
        found.summary() == "6 images 4×4 grey (scaled to this size; size= chooses another) with 6 texts of at most 2 tokens, "
        "9 different tokens, 3 classes, no groups"
    )
    kept = json.loads(json.dumps(found.preprocessing))
    again = data.read({"picture": IMAGES[:2], "caption": TEXTS[:2]}, preprocessing=kept)
    assert torch.equal(again.batch([0, 1]).fields["picture"], found.batch([0, 1]).fields["picture"])
    with pytest.raises(DataError, match=r"the preparation is for several modalities \(picture, caption\)"):
        data.read(IMAGES, preprocessing=kept)


def test_columns_of_one_file(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "photos").mkdir()
    rows = []
    for i, caption in enumerate(TEXTS):
        image.fromarray(IMAGES[i]).save(tmp_path / "photos" / f"{i}.png")
        rows.append(
            {"file": f"photos/{i}.png", "caption": caption, "wave": [float(i), 2.0, 1.0][: 2 + i % 2], "who": "ab"[i % 2], "label": i % 3}
        )
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = data.read(tmp_path / "t.jsonl", modalities={"image": "file", "text": "caption", "series": "wave"}, columns={"group": "who"})
    assert {n: m.kind for n, m in found.spec.modalities.items()} == {"image": "image", "text": "text", "series": "series"}
    assert found.batch([3]).fields["image"][0, 0].tolist() == IMAGES[3].tolist()
    assert found.columns["group"].tolist() == [0, 1, 0, 1, 0, 1]
    assert found.columns["label"].tolist() == [0, 1, 2, 0, 1, 2]
    assert found.preview([2], modality="text") == ["a dog"]


def test_an_item_that_is_bad_in_one_is_left_out_of_all() -> None:
    found = data.read({"a": IMAGES, "b": [*TEXTS[:2], "", *TEXTS[3:]]}, on_bad="skip", label=list("abcdef"))
    assert found.items == 5
    assert found.batch(found.ids).fields["a"][2, 0].tolist() == IMAGES[3].tolist()
    assert found.preview(found.ids, modality="b")[2] == TEXTS[3]
    assert [found.names["label"][c] for c in found.columns["label"].tolist()] == list("abdef")


def test_x_and_y_are_one_modality() -> None:
    found = data.read({"x": IMAGES, "y": np.arange(6) % 2})
    assert found.spec.kind == "image"
    assert found.spec.columns == {"label": (2, 1.0)}
