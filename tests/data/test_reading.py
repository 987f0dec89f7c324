"""`read` recognises what it is given, says so, and prepares new data as it prepared the old."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data.arrays import guess

RNG = np.random.default_rng(0)


def images(n: int = 12, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (n, *(shape or (8, 8))), dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((9, 5), np.float32, "array"),
        ((9, 5), np.int64, "array"),
        ((9, 28, 28), np.uint8, "image"),
        ((9, 28, 20), np.uint16, "image"),
        ((9, 16, 16), np.float32, "image"),
        ((9, 3, 100), np.float32, "series"),
        ((9, 4, 4), np.float64, "series"),
        ((9, 100, 3), np.int32, "series"),
        ((9, 32, 32, 3), np.uint8, "image"),
        ((9, 32, 32, 13), np.float32, "image"),
        ((9, 3, 32, 32), np.float32, "image"),
        ((9, 12, 32, 32), np.float32, "image"),
        ((9, 64, 64, 64), np.uint8, "volume"),
        ((9, 1, 16, 16, 16), np.float32, "volume"),
        ((9, 10, 32, 32, 3), np.uint8, "video"),
        ((9,), np.dtype("U5"), "text"),
    ],
)
def test_kind_of_an_array(shape: tuple[int, ...], dtype: Any, kind: str) -> None:
    assert guess(shape, np.dtype(dtype), "x")[0] == kind


def test_grey_images_from_npz(tmp_path: Path) -> None:
    x, y = images(10), np.arange(10) % 3
    np.savez(tmp_path / "a.npz", x=x, y=y)
    found = data.read(tmp_path / "a.npz")
    assert found.spec.kind == "image"
    assert found.spec.only.shape == (1, 8, 8)
    assert found.summary() == "10 images 8×8 grey, 3 classes in y, no groups"
    batch = found.batch(torch.tensor([3, 1]))
    assert batch.fields["x"].dtype == torch.uint8
    assert batch.fields["x"][:, 0].tolist() == x[[3, 1]].tolist()
    assert batch.keys["item"].tolist() == [3, 1]
    assert batch.keys["label"].tolist() == [0, 1]
    mean = x.mean() / 255
    assert found.spec.only.info["mean"] == pytest.approx((mean,), abs=1e-5)


def test_parts_of_an_npz_become_the_split(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=images(6), x_test=images(4), x_val=images(3), y_train=np.arange(6) % 2, y_test=np.arange(4) % 2)
    found = data.read(tmp_path / "a.npz")
    assert found.split.tolist() == [0] * 6 + [1] * 4 + [-1] * 3
    assert found.columns["label"].tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, -1, -1, -1]
    assert "6 to train and 4 to test" in found.summary()


def test_names_that_others_give_an_npz(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        train_images=images(5),
        test_images=images(2),
        train_labels=np.ones((5, 1), int),
        test_labels=np.zeros((2, 1), int),
    )
    found = data.read(tmp_path / "a.npz")
    assert found.columns["label"].tolist() == [1] * 5 + [0] * 2


def test_npz_columns_by_name_and_their_names(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        x=images(4),
        digit=np.array([2, 0, 0, 1]),
        digit_names=np.array(["zero", "one", "two"]),
        who=np.array(list("abab")),
    )
    found = data.read(tmp_path / "a.npz", label="digit", columns={"group": "who"})
    assert found.names["label"] == ["zero", "one", "two"]
    assert found.columns["label"].tolist() == [2, 0, 0, 1]
    assert found.columns["group"].tolist() == [0, 1, 0, 1]
    assert "2 groups in who" in found.summary()


def test_colour_channels_and_order_of_axes() -> None:
    last = images(6, 8, 9, 3)
    assert data.read(last).batch([2]).fields["x"][0].permute(1, 2, 0).tolist() == last[2].tolist()
    first = np.moveaxis(last, -1, 1)
    assert data.read(torch.from_numpy(first.copy())).batch([2]).fields["x"][0].tolist() == first[2].tolist()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0.0, 0.25, 1.0]), [0, 0.25, 1]),
        (np.array([0.0, 127.5, 255.0]), [0, 0.5, 1]),
        (np.array([-1.0, 0.0, 3.0]), [0, 0.25, 1]),
        (np.array([0, 32768, 65535], np.uint16), [0, 32768 / 65535, 1]),
    ],
)
def test_values_of_any_range_come_to_zero_to_one(values: np.ndarray, expected: list[float]) -> None:
    x = np.repeat(values, 64).reshape(3, 8, 8)
    found = data.read(x, kind="image").batch(range(3)).fields["x"]
    assert found.dtype == torch.float32
    assert found[:, 0, 0, 0].tolist() == pytest.approx(expected)


def test_masks_of_zero_and_one_become_black_and_white() -> None:
    x = (images(5) > 100).astype(np.uint8)
    found = data.read(x).batch(range(5)).fields["x"]
    assert found.dtype == torch.uint8
    assert (found[:, 0].numpy() == x * 255).all()


def test_series_array_list_and_lengths(tmp_path: Path) -> None:
    equal = RNG.normal(size=(7, 2, 30)).astype(np.float32)
    found = data.read(equal)
    assert found.spec.only.kind == "series"
    assert found.spec.only.shape == (2, 30)
    z = found.batch(range(7)).fields["x"]
    assert z.mean((0, 2)).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert z.std((0, 2), correction=0).tolist() == pytest.approx([1, 1], abs=1e-5)

    uneven = [RNG.normal(size=(2, t)) for t in (5, 9, 3)]
    both = [data.read(uneven), data.read([u.T for u in uneven])]
    for found in both:
        assert found.spec.only.info["ragged"] is True
        x = found.batch([2, 1]).fields["x"]
        assert x.shape == (2, 2, 9)
        assert torch.isnan(x[0, :, 3:]).all()
        assert not torch.isnan(x[1]).any()
    assert torch.equal(both[0].batch([1]).fields["x"], both[1].batch([1]).fields["x"])

    flat = np.concatenate([u.T for u in uneven])
    np.savez(tmp_path / "a.npz", x=flat, offset=np.array([0, 5, 14, 17]), y=np.array([0, 1, 0]))
    packed = data.read(tmp_path / "a.npz")
    assert torch.equal(packed.batch([1]).fields["x"], both[0].batch([1]).fields["x"])
    assert packed.columns["label"].tolist() == [0, 1, 0]

    padded = RNG.normal(size=(4, 1, 6)).astype(np.float32)
    np.savez(tmp_path / "b.npz", x=padded, length=np.array([6, 2, 3, 6]))
    x = data.read(tmp_path / "b.npz").batch(range(4)).fields["x"]
    assert torch.isnan(x).sum((1, 2)).tolist() == [0, 4, 3, 0]


def test_missing_values_inside_series_stay_missing() -> None:
    x = RNG.normal(size=(5, 1, 10)).astype(np.float32)
    x[1, 0, 4] = np.nan
    found = data.read(x).batch(range(5)).fields["x"]
    assert torch.isnan(found).nonzero().tolist() == [[1, 0, 4]]


def test_lists_of_words_files_and_rows(tmp_path: Path) -> None:
    assert data.read(["a word", "another", "and more words"]).spec.only.kind == "text"
    rows = data.read([{"height": 1.0, "colour": "red"}, {"height": 2.0, "colour": "blue"}, {"height": 3.5, "colour": "red"}])
    assert rows.spec.only.kind == "table"
    image = pytest.importorskip("PIL.Image")
    names = []
    for i in range(3):
        names.append(str(tmp_path / f"{i}.png"))
        image.fromarray(images(1)[0]).save(names[-1])
    assert data.read(names).spec.only.shape == (1, 8, 8)


def test_frames_of_pandas_and_polars() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    plain = {"a": [1.0, 2.0, 4.0, None], "b": ["x", "y", "x", None], "species": ["cat", "dog", "cat", "dog"]}
    for frame in (pandas.DataFrame(plain), polars.DataFrame(plain)):
        found = data.read(frame, label="species")
        assert found.spec.only.info["numeric"] == 1
        assert found.spec.only.info["categories"] == (2,)
        assert found.names["label"] == ["cat", "dog"]
        assert torch.isnan(found.batch([3]).fields["x"]).all()


def test_hugging_face_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    image = pytest.importorskip("PIL.Image")
    x = images(6)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_dict({"image": [image.fromarray(i) for i in x], "label": [0, 1, 1, 0, 1, 0]}, features=features)
    expected = x[[4, 0]].tolist()
    for source in (made, datasets.DatasetDict({"train": made, "test": made})):
        found = data.read(source)
        assert found.batch([4, 0]).fields["x"][:, 0].tolist() == expected
        assert found.names["label"] == ["no", "yes"]
    assert found.split.tolist() == [0] * 6 + [1] * 6
    made.save_to_disk(tmp_path / "saved")
    assert data.read(tmp_path / "saved").batch([4, 0]).fields["x"][:, 0].tolist() == expected
    made.to_parquet(tmp_path / "a.parquet")
    again = data.read(tmp_path / "a.parquet")
    assert again.names["label"] == ["no", "yes"]
    assert again.batch([4, 0]).fields["x"][:, 0].tolist() == expected


def test_parquet_with_bytes_of_images(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    x = images(5)

    def coded(pixels: np.ndarray) -> bytes:
        out = io.BytesIO()
        image.fromarray(pixels).save(out, "PNG")
        return out.getvalue()

    pq.write_table(pa.table({"photo": [coded(i) for i in x], "label": list("abcab")}), tmp_path / "a.parquet")
    found = data.read(tmp_path / "a.parquet")
    assert found.batch(range(5)).fields["x"][:, 0].tolist() == x.tolist()
    assert found.columns["label"].tolist() == [0, 1, 2, 0, 1]


def test_lists_of_numbers_in_a_file_are_series(tmp_path: Path) -> None:
    lines = [{"wave": [1.0, 2.0, 0.0]}, {"wave": [5.0, 1.0]}, {"wave": [0.5, 2.0, 2.0, 1.0]}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = data.read(tmp_path / "a.jsonl")
    assert found.spec.only.kind == "series"
    assert found.spec.only.shape == (1, 4)


def test_parts_as_files_of_a_folder(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("test", 2)):
        lines = [{"text": f"{part} sentence number {i}", "label": "ab"[i % 2]} for i in range(count)]
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = data.read(tmp_path)
    assert found.split.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.names["label"] == ["a", "b"]
    assert found.preview([4]) == ["test sentence number 0"]


def test_a_graph_of_nodes(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "g.npz", x=RNG.normal(size=(5, 3)), edges=np.array([[0, 1], [1, 2], [2, 1], [3, 3]]), label=np.array([0, 1, 0, 1, -1])
    )
    found = data.read(tmp_path / "g.npz")
    assert found.spec.kind == "graph"
    assert found.spec.tables == {"edges"}
    assert found.batch([0]).tables["edges"].T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert found.columns["label"].tolist() == [0, 1, 0, 1, -1]
    nodes = found.batch([2, 0]).fields["x"]
    assert len(nodes) == 2 and torch.equal(nodes.x, nodes.parts["x"][[2, 0]]), "the whole graph comes along"
    assert torch.equal(nodes.parts["edge_index"], found.tables["edges"])


def test_sound_from_arrays_and_files(tmp_path: Path) -> None:
    from scipy.io import wavfile

    wave = (np.sin(np.arange(800) / 7) * 20_000).astype(np.int16)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for i in range(4):
        wavfile.write(tmp_path / "ab"[i % 2] / f"{i}.wav", 8000, wave[: 800 - 100 * i])
    found = data.read(tmp_path)
    assert found.spec.only.kind == "audio"
    assert found.spec.only.shape == (1, 800)
    assert found.names["label"] == ["a", "b"]
    assert found.batch([0]).fields["x"][0, 0].tolist() == pytest.approx((wave / 32767).tolist(), abs=1e-6)
    assert "8,000 samples a second" in found.summary()
    short = data.read([w / 32767 for w in (wave, wave[:300])], kind="audio", size=400)
    assert short.batch([1]).fields["x"].shape == (1, 1, 400)


def test_skeletons_points_volumes_videos() -> None:
    skeletons = data.read([RNG.normal(size=(t, 5, 3)) for t in (7, 9, 11)])
    assert skeletons.spec.only == data.read([RNG.normal(size=(t, 5, 3)) for t in (9, 9, 9)]).spec.only
    assert skeletons.batch([0]).fields["x"].shape == (1, 3, 9, 5)
    clouds = data.read([RNG.normal(size=(t, 3)) for t in (50, 60, 70)], kind="points")
    x = clouds.batch(range(3)).fields["x"]
    assert x.shape == (3, 3, 60)
    assert x.norm(dim=1).amax(1).tolist() == pytest.approx([1, 1, 1])
    volumes = data.read(images(4, 8, 8, 8), size=4)
    assert volumes.batch([0, 1]).fields["x"].shape == (2, 1, 4, 4, 4)
    videos = data.read(images(4, 5, 8, 8, 3))
    assert videos.batch([0]).fields["x"].shape == (1, 3, 5, 8, 8)
    for found in (skeletons, clouds, volumes, videos):
        assert found.flat().shape[0] == found.items
        assert all(isinstance(p, bytes) and p.startswith(b"\x89PNG") for p in found.preview([0, 1]))


SOURCES: dict[str, Any] = {
    "image": images(9),
    "float image": RNG.random((9, 8, 8)).astype(np.float32) * 300 - 20,
    "series": RNG.normal(size=(9, 2, 12)),
    "ragged": [RNG.normal(size=(2, t)) for t in (3, 8, 5)],
    "array": RNG.normal(size=(9, 4)) * 7 + 1,
    "text": ["one two three", "two three", "three one", "what else is there"],
    "table": [{"a": float(i), "b": "xyz"[i % 3]} for i in (3, 1, 2, 9, 4)],
    "volume": images(5, 8, 8, 8),
    "video": images(5, 4, 8, 8, 3),
}


@pytest.mark.parametrize("name", SOURCES)
def test_preparation_is_plain_and_repeats_itself(name: str) -> None:
    """What is written to a run folder prepares new raw data just as the old were prepared."""
    first = data.read(SOURCES[name])
    kept = json.loads(json.dumps(first.preprocessing))
    again = data.read(SOURCES[name], preprocessing=kept)
    assert again.spec.modalities == first.spec.modalities
    a, b = (d.batch(d.ids).fields["x"] for d in (first, again))
    assert torch.equal(torch.nan_to_num(a, nan=-9), torch.nan_to_num(b, nan=-9))
    source = SOURCES[name]
    one = data.read(source[1:2], preprocessing=kept)  # a single new item is welcome
    rest = [slice(None)] * a.dim()
    rest[-1] = slice(0, one.batch([0]).fields["x"].shape[-1])
    assert torch.equal(torch.nan_to_num(one.batch([0]).fields["x"], nan=-9), torch.nan_to_num(a[1:2][tuple(rest)], nan=-9))
    assert again.preprocessing == first.preprocessing


def test_the_test_part_does_not_shape_the_preparation(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=RNG.normal(size=(50, 3)), x_test=RNG.normal(size=(50, 3)) * 100)
    only = data.read(np.load(tmp_path / "a.npz")["x_train"])
    both = data.read(tmp_path / "a.npz")
    assert both.preprocessing["modalities"]["x"]["mean"] == pytest.approx(only.preprocessing["modalities"]["x"]["mean"])


def test_limit_is_fixed_and_nested() -> None:
    x = np.arange(40)[:, None] * np.ones((1, 3))
    few, more = data.read(x, limit=10), data.read(x, limit=20)
    assert (few.items, more.items) == (10, 20)
    raw = []
    for found in (few, more):
        kept = found.preprocessing["modalities"]["x"]
        raw.append({round(v) for v in (found.flat()[:, 0] * kept["std"][0] + kept["mean"][0]).tolist()})
    assert len(raw[0]) == 10
    assert raw[0] < raw[1] < set(range(40))
    assert "drawn from 40" in few.summary()


def test_progress_is_told() -> None:
    seen: list[tuple[int, int, str]] = []
    data.read(images(600), progress=lambda done, of, what: seen.append((done, of, what)))
    assert seen[-1] == (600, 600, "reading image data")
    assert len({what for _, _, what in seen}) == 2


def test_a_data_set_stays_itself_and_takes_columns() -> None:
    first = data.read(images(4))
    assert data.read(first) is first
    second = data.read(first, label=["a", "b", "a", None])
    assert second.columns["label"].tolist() == [0, 1, 0, -1]
    assert first.columns == {}


def test_new_data_of_another_shape_or_kind() -> None:
    kept = data.read(images(9)).preprocessing
    with pytest.raises(DataError, match=r"shape \(9, 7, 7\); the preparation is for \(n, 8, 8\)"):
        data.read(images(9, 7, 7), preprocessing=kept)
    with pytest.raises(DataError, match="cannot be read as 'image'"):
        data.read(["some", "words"], preprocessing=kept)
    with pytest.raises(DataError, match="not that of a data set"):
        data.read(images(9), preprocessing={"what": 1})
