"""Every bad input is one line that says what was given, what is wrong and what would be right."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterpoint import data
from counterpoint.core.errors import CounterpointError, DataError, LabelError, MissingExtra, OptionError

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(10, 4))
IMAGES = RNG.integers(0, 256, (10, 8, 8), dtype=np.uint8)


def holed(x: np.ndarray, value: float, *place: int) -> np.ndarray:
    x = x.astype(np.float64)
    x[place] = value
    return x


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def cut(path: Path, share: float = 0.6) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def pickled(path: Path) -> Path:
    np.savez(path, x=np.array([{"a": 1}, None], dtype=object))
    return path


def lying_head(path: Path) -> Path:
    """An npz whose array claims far more numbers than the file holds."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 8, 8)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", head.getvalue() + bytes(64))
    return path


def zip_bomb(path: Path) -> Path:
    np.savez_compressed(path, x=np.zeros((64, 256, 1024), np.uint8))
    assert path.stat().st_size < 100_000
    return path


def gzip_bomb(path: Path) -> Path:
    with gzip.open(path, "wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 4_000_000)
    return path


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def folder(path: Path, *names: str) -> Path:
    path.mkdir()
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"not what the name says")
    return path


CASES: dict[str, tuple[Callable[[Path], Any], dict[str, Any], type[Exception], str]] = {
    # what is not there, or is not data
    "missing file": (lambda p: p / "no.npz", {}, DataError, "there is no file or folder"),
    "misspelt file": (lambda p: write(p / "table.csv", "a\n1\n").with_name("tabel.csv"), {}, DataError, "did you mean 'table.csv'"),
    "missing folder": (lambda p: p / "no" / "no.npz", {}, DataError, "the folder .* is not there either"),
    "unknown extension": (lambda p: write(p / "a.xyz", "1"), {}, DataError, r"files of type '\.xyz' cannot be read; these can: \.npz"),
    "no extension": (lambda p: write(p / "plain", "1"), {}, DataError, "files of type 'unknown'"),
    "empty folder": (lambda p: folder(p / "f"), {}, DataError, "holds no files; a folder of images"),
    "folder of something else": (lambda p: folder(p / "f", "a.doc", "b.doc"), {}, DataError, r"holds 2 \.doc"),
    "a number": (lambda p: 7, {}, DataError, "int cannot be read"),
    "a list of numbers": (lambda p: [1, 2, 3], {}, DataError, "list of numbers"),
    "an empty list": (lambda p: [], {}, DataError, "an empty list"),
    "a list of nothing": (lambda p: [None, None], {}, DataError, "every item of the list is None"),
    "unknown kind": (lambda p: FLOATS, {"kind": "imge"}, OptionError, "no kind 'imge'; did you mean 'image'"),
    "unknown on_bad": (lambda p: FLOATS, {"on_bad": "ignore"}, OptionError, "must be 'error' or 'skip'"),
    "memory that is no size": (lambda p: FLOATS, {"memory": "lots"}, OptionError, "memory = 'lots' is not a size"),
    "limit of nothing": (lambda p: FLOATS, {"limit": 0}, DataError, "limit = 0"),
    # arrays
    "empty array": (lambda p: FLOATS[:0], {}, DataError, "the array holds no items"),
    "one item": (lambda p: FLOATS[:1], {}, DataError, "one item; at least two"),
    "one axis": (lambda p: FLOATS[:, 0], {}, DataError, "has one axis"),
    "items of nothing": (lambda p: FLOATS[:, :0], {}, DataError, "its items are empty"),
    "NaN in an array": (
        lambda p: holed(FLOATS, np.nan, 3, 1),
        {}, DataError, r"1 of 10 items cannot be used: item 3 \(holds NaN or inf\); on_bad='skip'"
    ),
    "inf in an array": (lambda p: holed(FLOATS, np.inf, 3, 1), {}, DataError, "holds NaN or inf"),
    "NaN everywhere": (lambda p: FLOATS * np.nan, {}, DataError, "every row looked at holds NaN, inf"),
    "NaN in images": (lambda p: holed(IMAGES, np.nan, 2, 1, 1), {}, DataError, r"item 2 \(holds NaN or inf\)"),
    "inf in series": (lambda p: holed(RNG.normal(size=(9, 2, 20)), -np.inf, 4, 0, 0), {}, DataError, r"item 4 \(holds inf\)"),
    "a series of NaN": (lambda p: [np.ones(5), np.arange(4.0), np.full(3, np.nan)], {}, DataError, r"item 2 \(holds no number\)"),
    "an empty series": (lambda p: [np.ones(5), np.arange(4.0), np.zeros(0)], {}, DataError, r"item 2 \(holds no number\)"),
    "constant columns": (lambda p: np.ones((10, 4)), {}, DataError, "all 4 columns are constant"),
    "constant images": (lambda p: IMAGES[:1].repeat(9, 0), {}, DataError, "all items are equal"),
    "constant series": (lambda p: np.ones((9, 2, 20)), {}, DataError, "all 2 channels are constant"),
    "equal texts": (lambda p: ["again and again"] * 5, {}, DataError, "all texts are equal"),
    "empty texts": (lambda p: ["", " ", ""], {}, DataError, "every text looked at is empty"),
    "one empty text": (lambda p: ["a b", "b c", ""], {}, DataError, r"item 2 \(is empty\)"),
    "mixed sizes": (lambda p: [np.zeros((8, 8, 3)), np.ones((9, 8, 3))], {"kind": "image"}, DataError, "differ in size .*8×8×3, 9×8×3"),
    "series that share no axis": (lambda p: [np.zeros((2, 9)), np.ones((3, 8))], {}, DataError, "share neither axis"),
    "rows of unequal length": (lambda p: [np.zeros(3), np.ones(4)], {"kind": "array"}, DataError, "the rows differ in length"),
    "wrong axes for a kind": (lambda p: FLOATS, {"kind": "image"}, DataError, "needs an array of 3 or 4 axes"),
    "objects": (lambda p: np.array([{}, 1], dtype=object), {}, DataError, "holds Python objects"),
    "complex numbers": (lambda p: FLOATS.astype(complex), {}, DataError, "has type complex128"),
    "words as images": (lambda p: np.array(["a", "b"]), {"kind": "image"}, DataError, "(needs an array|cannot be read)"),
    "size that is none": (lambda p: IMAGES, {"size": -3}, DataError, "size = -3 does not fit images"),
    "numbers beyond float32": (lambda p: holed(FLOATS, 1e300, 3, 1), {}, DataError, r"item 3 \(holds numbers beyond ±1e30\)"),
    "an empty name": (lambda p: " ", {}, DataError, "an empty name"),
    "an endless name": (lambda p: "a" * 5000, {}, DataError, "is not the name of a file"),
    "memory of odd form": (lambda p: FLOATS, {"memory": "1.2.3GB"}, OptionError, "is not a size"),
    "tokenizer that is a number": (lambda p: ["a b", "c d"], {"tokenizer": 3}, DataError, "tokenizer = 3 is not a folder"),
    "preparation with holes": (
        lambda p: FLOATS,
        {"preprocessing": {"version": 1, "modalities": {"x": {"kind": "array"}}}},
        DataError,
        "preprocessing= is not whole: 'mean' is missing",
    ),
    "preparation of no kind": (
        lambda p: FLOATS, {"preprocessing": {"version": 1, "modalities": {"x": {"kind": "odd"}}}}, DataError, "for 'odd' data"
    ),
    "lines as images": (lambda p: write(p / "a.txt", "a\nb\n"), {"kind": "image"}, DataError, "holds lines of text"),
    # npz, npy
    "npz of one number": (lambda p: npz(p / "a.npz", x=np.array(3)), {}, DataError, "is a single number"),
    "pickled npz": (lambda p: pickled(p / "a.npz"), {}, DataError, "holds Python objects \\(pickled\\), which are never loaded"),
    "npz without x": (lambda p: npz(p / "a.npz", a=FLOATS, b=FLOATS), {}, DataError, "holds a, b; an npz needs the items as 'x'"),
    "npz cut off": (lambda p: cut(npz(p / "a.npz", x=FLOATS)), {}, DataError, "is not a whole .npz file"),
    "npy cut off": (lambda p: cut(np.save(p / "a.npy", FLOATS) or p / "a.npy"), {}, DataError, "cut off"),
    "npz of another kind": (lambda p: write(p / "a.npz", "hello"), {}, DataError, "is not a whole .npz file"),
    "npz that lies": (lambda p: lying_head(p / "a.npz"), {}, DataError, "is broken: 64 bytes for an array of"),
    "zip bomb": (
        lambda p: zip_bomb(p / "a.npz"),
        {"memory": "1MB"}, DataError, "takes 16,777,216 bytes unpacked and memory= allows 1,000,000"
    ),
    "parts that differ": (lambda p: npz(p / "a.npz", x_train=FLOATS, x_test=FLOATS[:, :2]), {}, DataError, "the parts differ in shape"),
    "offset that falls": (lambda p: npz(p / "a.npz", x=FLOATS, offset=np.array([0, 7, 3, 10])), {}, DataError, "offset must rise"),
    "edges to nowhere": (
        lambda p: npz(p / "a.npz", x=FLOATS, edges=np.array([[0, 10]])),
        {}, DataError, "edges name node 10 and there are 10 nodes"
    ),
    # tables and text files
    "empty csv": (lambda p: write(p / "a.csv", ""), {}, DataError, "a.csv is empty"),
    "csv with a head only": (lambda p: write(p / "a.csv", "a,b\n"), {}, DataError, "a head line and no rows"),
    "csv with one row": (lambda p: write(p / "a.csv", "a,b\n1,2\n"), {}, DataError, "no column to learn from|one item"),
    "ragged csv": (lambda p: write(p / "a.csv", "a,b\n1,2\n3,4,5\n"), {}, DataError, "not a regular csv file .*Expected 2 columns, got 3"),
    "csv of bytes": (lambda p: write(p / "a.csv", bytes(100)), {}, DataError, "zero bytes"),
    "inf in a table": (lambda p: write(p / "a.csv", "a,b\n1,2\ninf,4\n3,1\n"), {}, DataError, r"column 'a' holds inf \(row 1\)"),
    "constant table": (lambda p: write(p / "a.csv", "a,b\n1,x\n1,x\n1,x\n"), {}, DataError, r"no column to learn from \(constant: a, b\)"),
    "column twice": (lambda p: write(p / "a.csv", "a,a\n1,2\n3,4\n"), {}, DataError, "'a' is there more than once"),
    "compressed csv cut off": (lambda p: cut(gzip_bomb(p / "a.csv.gz")), {}, DataError, "cannot be unpacked, it may be cut off"),
    "gzip bomb": (lambda p: gzip_bomb(p / "a.csv.gz"), {"memory": "1MB"}, DataError, "unpacks to more than the 1,000,000 bytes"),
    "csv above memory": (lambda p: write(p / "a.csv", "a,b\n" + "1,2\n" * 9), {"memory": 10}, DataError, "write it as parquet"),
    "not JSON": (lambda p: write(p / "a.jsonl", '{"text": "a"}\n{"text": \n'), {}, DataError, "line 2 is not JSON"),
    "not an object": (lambda p: write(p / "a.jsonl", '{"text": "a"}\n[1]\n'), {}, DataError, "line 2 is list, not an object"),
    "no text column": (
        lambda p: write(p / "a.jsonl", '{"body": "a"}\n{"body": "b"}\n'),
        {"text": "bdy"}, DataError, "no column 'bdy'; did you mean 'body'"
    ),
    "parquet cut off": (lambda p: cut(parquet(p / "a.parquet", a=[1.0, 2.0])), {}, DataError, "is not a whole .parquet file"),
    "empty parquet": (lambda p: parquet(p / "a.parquet", a=pa.array([], pa.float64())), {}, DataError, "holds no items"),
    "row group above memory": (
        lambda p: parquet(p / "a.parquet", a=RNG.normal(size=10_000)), {"memory": 10_000}, DataError, "smaller row groups"
    ),
    # labels and columns
    "unknown label": (
        lambda p: write(p / "a.csv", "a,species\n1,x\n2,y\n"),
        {"label": "specis"}, LabelError, "no column 'specis'; did you mean 'species'"
    ),
    "unknown group": (
        lambda p: write(p / "a.csv", "a,who\n1,x\n2,y\n"),
        {"columns": {"group": "whom"}}, LabelError, "group was to be read from it"
    ),
    "labels of another length": (lambda p: FLOATS, {"label": [0, 1, 0]}, LabelError, "label has 3 values for 10 items"),
    "npz labels of another length": (lambda p: npz(p / "a.npz", x=FLOATS, y=np.zeros(9)), {}, LabelError, "9 labels for 10 items"),
    "real-valued label": (
        lambda p: FLOATS,
        {"label": FLOATS[:, 0]}, LabelError, "real numbers .10 different ones.; a label must be classes"
    ),
    "label that names items": (
        lambda p: RNG.normal(size=(30, 2)), {"label": [f"n{i}" for i in range(30)]}, LabelError, "a name, not a class"
    ),
    "labels with two axes": (lambda p: FLOATS, {"label": np.eye(10)}, LabelError, "one word or number an item"),
    "a column called item": (lambda p: FLOATS, {"columns": {"item": np.arange(10)}}, OptionError, "'item' cannot be the name"),
    "a label and no columns": (lambda p: FLOATS, {"label": "kind"}, LabelError, "there are no columns"),
    # several modalities
    "modalities of unequal length": (
        lambda p: {"a": FLOATS, "b": IMAGES[:9]},
        {}, DataError, "differ in their number of items .a 10, b 9."
    ),
    "unknown modality column": (lambda p: write(p / "a.csv", "a,b\nx,y\nz,w\n"), {"modalities": {"one": "c"}}, DataError, "no column 'c'"),
    # sets by name
    "unknown set": (lambda p: "cifar11[100]", {}, DataError, "there is no file or folder"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_line(case: str, tmp_path: Path) -> None:
    make, options, kind, message = CASES[case]
    source = make(tmp_path)
    with pytest.raises(CounterpointError) as caught:
        data.read(source, **options)
    text = str(caught.value)
    assert type(caught.value) is kind, text
    assert re.search(message, text), text
    assert "\n" not in text
    assert len(text) < 400 + len(str(tmp_path)) * 2, text


def test_unreadable_images_are_listed_and_skipped_only_on_request(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for i in range(8):
        image.fromarray(IMAGES[i]).save(tmp_path / f"{i}.png")
    cut(tmp_path / "3.png", 0.5)
    write(tmp_path / "5.png", "no image at all")
    with pytest.raises(
        DataError, match=r"2 of 8 items cannot be used: 3\.png \(.*\), 5\.png \(not an image\); on_bad='skip' leaves them out"
    ):
        data.read(tmp_path)
    found = data.read(tmp_path, on_bad="skip", label=list("aabbccdd"))
    assert found.items == 6
    assert "2 items that cannot be used left out" in found.summary()
    assert found.batch(found.ids).fields["x"][:, 0].tolist() == IMAGES[[0, 1, 2, 4, 6, 7]].tolist()
    assert [found.names["label"][c] for c in found.columns["label"].tolist()] == list("aabcdd")
    for i in range(8):
        write(tmp_path / f"{i}.png", "no more")
    with pytest.raises(DataError, match="none of the 8 images looked at can be read"):
        data.read(tmp_path, on_bad="skip")


def test_a_picture_bomb_is_not_decoded(tmp_path: Path) -> None:
    from counterpoint.data.drawing import png

    pytest.importorskip("PIL.Image")
    write(tmp_path / "a.png", png(IMAGES[0]))
    write(tmp_path / "b.png", png(IMAGES[1]))
    bomb = bytearray(png(IMAGES[2]))
    bomb[16:24] = (100_000).to_bytes(4, "big") * 2  # width and height in the head
    import zlib

    bomb[29:33] = zlib.crc32(bytes(bomb[12:29])).to_bytes(4, "big")
    write(tmp_path / "c.png", bytes(bomb))
    with pytest.raises(DataError, match=r"c\.png \(.*(pixels|bomb)"):
        data.read(tmp_path)


@pytest.mark.parametrize("kind", ["array", "image", "series", "text"])
def test_skipping_leaves_the_good_items(kind: str) -> None:
    good: Any = {
        "array": FLOATS,
        "image": IMAGES / 255,
        "series": [np.arange(3.0), np.arange(5.0), np.ones(4)],
        "text": ["a b", "b c", "c a"],
    }[kind]
    bad: Any = {
        "array": holed(FLOATS, np.nan, 4, 2),
        "image": holed(IMAGES / 255, np.inf, 4, 2, 2),
        "series": [*good[:1], np.array([np.inf]), *good[1:]] if kind == "series" else None,
        "text": ["a b", None, "b c", "", "c a"],
    }[kind]
    found = data.read(bad, on_bad="skip", kind=kind)
    assert found.items == (3 if isinstance(good, list) else 9)
    assert found.batch(found.ids).fields["x"].shape[0] == found.items
    assert len(found.preview(found.ids)) == found.items


def test_frames_that_are_no_tables() -> None:
    pandas = pytest.importorskip("pandas")
    for frame in (pandas.DataFrame(FLOATS[:, :2], columns=["a", "a"]), pandas.DataFrame({"a": [1, "x", None, 2.5]})):
        with pytest.raises(DataError, match=r"the DataFrame is not a plain table .*; make each column numbers or words") as caught:
            data.read(frame)
        assert "\n" not in str(caught.value)


def test_masked_values_are_missing() -> None:
    found = data.read(np.ma.masked_array(FLOATS, mask=np.eye(10, 4)), on_bad="skip")
    assert found.items == 6


def test_an_absent_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    write(tmp_path / "a.png", "x")
    write(tmp_path / "b.png", "y")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(MissingExtra, match=r"pip install 'counterpoint\[image\]'"):
        data.read(tmp_path)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"counterpoint\[text\]"):
        data.read(["a b", "c d"], tokenizer=str(tmp_path))


def test_tokenizer_folders_that_are_none(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(DataError, match="is not a folder"):
        data.read(["a b", "c d"], tokenizer=str(tmp_path / "no"))
    with pytest.raises(DataError, match="no tokeniser can be read from that folder"):
        data.read(["a b", "c d"], tokenizer=str(tmp_path))


def test_ids_that_are_not_there() -> None:
    found = data.read(FLOATS)
    with pytest.raises(DataError, match="there is no item 10"):
        found.batch([10])
    with pytest.raises(DataError, match="there is no item -1"):
        found.batch([-1])
    with pytest.raises(DataError, match="item 3 is not in this part"):
        found.subset([1, 2]).batch([1, 3])
