"""Run folders are read with care: what is missing or broken becomes a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterpoint.core.errors import RunError
from counterpoint.report import folder as reading

Make = Callable[..., Path]


def test_everything_is_read(make_run: Make) -> None:
    run = reading.read(make_run(items=100, previews=40))
    assert not run.missing
    assert run.items is not None
    assert (len(run.items), run.items.total, run.items.dropped, run.items.vectors.shape) == (100, 100, 0, (100, 16))
    assert len(run.items.pictures) == 40 and not run.items.texts
    assert run.items.places is not None and run.items.places.shape == (100, 2)
    assert run.items.name("label", 0) in run.items.names["label"]
    assert run.items.names["split"] == ["train", "test"]
    assert run.health["verdict"] == "healthy" and run.config["method"] == "simclr" and len(run.metrics) == 60


def test_no_folder_and_no_metrics_are_refused(make_run: Make, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        reading.read(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"it has no metrics\.jsonl"):
        reading.read(make_run(leave_out=("metrics.jsonl",)))


def test_missing_files_are_told(make_run: Make) -> None:
    names = ("config.yaml", "model.json", "evaluation.json", "health.json", "embeddings.parquet")
    run = reading.read(make_run(leave_out=names))
    assert run.missing == {name: f"The run folder has no {name}." for name in names}
    assert run.items is None and run.evaluation == {} and run.config_text == ""


def test_broken_files_are_told(make_run: Make) -> None:
    folder = make_run(items=20)
    for name in ("config.yaml", "model.json", "evaluation.json", "health.json", "embeddings.parquet"):
        (folder / name).write_bytes((folder / name).read_bytes()[:-30] + b"{[\xff\x00: ")
    run = reading.read(folder)
    assert len(run.missing) == 5
    assert all("could not be understood" in text for text in run.missing.values())


@pytest.mark.parametrize("content", ["[1, 2]", "3", "null", '"text"', "[" * 100_000])
def test_json_that_is_no_object_is_broken(make_run: Make, content: str) -> None:
    folder = make_run(leave_out=("embeddings.parquet",))
    (folder / "evaluation.json").write_text(content)
    assert "could not be understood" in reading.read(folder).missing["evaluation.json"]


def test_a_cut_off_last_line_is_left_out_and_told(make_run: Make) -> None:
    folder = make_run(steps=5, leave_out=("embeddings.parquet",))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('\n{"step": 60, "lo')
    run = reading.read(folder)
    assert len(run.metrics) == 5
    assert "1 line of metrics.jsonl" in run.missing["metrics.jsonl"]


def test_yaml_cannot_make_objects(make_run: Make) -> None:
    folder = make_run(leave_out=("embeddings.parquet",))
    (folder / "config.yaml").write_text("method: !!python/object/apply:os.system ['exit 1']\n")
    assert "could not be understood" in reading.read(folder).missing["config.yaml"]


def test_large_sets_are_sampled_and_every_preview_kept(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(items=500, previews=60, width=4)
    whole = reading.read(folder).items
    monkeypatch.setattr(reading, "MOST_ITEMS", 100)
    items = reading.read(folder).items
    assert items is not None and whole is not None
    assert (len(items), items.total, len(items.pictures)) == (100, 500, 60)
    assert np.array_equal(items.vectors, whole.vectors[items.ids])
    assert np.array_equal(items.columns["label"], whole.columns["label"][items.ids])
    again = reading.read(folder).items
    assert again is not None and np.array_equal(again.ids, items.ids)
    monkeypatch.setattr(reading, "MOST_ITEMS", 50)
    fewer = reading.read(folder).items
    assert fewer is not None and len(fewer) == len(fewer.pictures) == 50


def write(path: Path, **columns: pa.Array) -> None:
    pq.write_table(pa.table(columns), path)


def test_vectors_that_are_not_finite_are_left_out(make_run: Make) -> None:
    folder = make_run(leave_out=("embeddings.parquet",))
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    vectors[1, 2] = np.nan
    previews = pa.array([None, "second", "third", None])
    write(folder / "embeddings.parquet", vector=pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3), preview_text=previews)
    items = reading.read(folder).items
    assert items is not None and (len(items), items.dropped, items.total) == (3, 1, 4)
    assert items.texts == {1: "third"} and items.ids.tolist() == [0, 2, 3]
    assert items.places is None and not items.columns


@pytest.mark.parametrize(
    ("vectors", "word"),
    [
        (pa.array([[1.0, 2.0], [3.0]]), "different lengths"),
        (pa.array([[1.0, 2.0], None]), "missing or of different lengths"),
        (pa.array([["a"], ["b"]]), "could not be understood"),
        (pa.array([[float("nan")], [float("inf")]]), "No vector"),
        (pa.array([], pa.list_(pa.float32())), "holds no items"),
    ],
)
def test_vectors_that_cannot_be_used_are_told(make_run: Make, vectors: pa.Array, word: str) -> None:
    folder = make_run(leave_out=("embeddings.parquet",))
    write(folder / "embeddings.parquet", vector=vectors)
    run = reading.read(folder)
    assert run.items is None and word in run.missing["embeddings.parquet"]


def test_no_vector_column_is_told(make_run: Make) -> None:
    folder = make_run(leave_out=("embeddings.parquet",))
    write(folder / "embeddings.parquet", id=pa.array([1]))
    assert "no column 'vector'" in reading.read(folder).missing["embeddings.parquet"]


def test_numbers_as_labels_are_in_the_order_of_numbers(make_run: Make) -> None:
    run = reading.read(make_run(items=200, names=[str(i) for i in (10, 9, 2, 1)], preview="none"))
    assert run.items is not None and run.items.names["label"] == ["1", "2", "9", "10"]


def test_previews_that_are_no_png_are_left_out(make_run: Make) -> None:
    folder = make_run(leave_out=("embeddings.parquet",))
    write(folder / "embeddings.parquet", vector=pa.array([[1.0], [2.0]]), preview=pa.array([b"<svg onload='alert(1)'/>", b"GIF89a"]))
    items = reading.read(folder).items
    assert items is not None and items.pictures == {}
