"""Sets that stay on disk give the batches they would give in memory, within the memory they were allowed."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from counterpoint import data
from counterpoint.core.errors import DataError
from counterpoint.data.archives import members
from counterpoint.data.budget import budget
from counterpoint.data.sources import Array, Joined, Listed, Picked, Table
from counterpoint.data.streamed import Blocked, Npy, ahead, parquet

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (160, 100, 100), dtype=np.uint8)


def coded(pixels: np.ndarray) -> bytes:
    image = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def npy(path: Path) -> Path:
    np.save(path / "x.npy", IMAGES)
    return path / "x.npy"


def npz(path: Path) -> Path:
    np.savez(path / "x.npz", x_train=IMAGES[:110], x_test=IMAGES[110:], y_train=np.arange(110) % 3, y_test=np.arange(50) % 3)
    return path / "x.npz"


def series(path: Path) -> Path:
    np.save(path / "s.npy", RNG.normal(size=(4000, 2, 40)).astype(np.float32))
    return path / "s.npy"


def pictures(path: Path) -> Path:
    for i, pixels in enumerate(IMAGES[:40]):
        (path / "ab"[i % 2]).mkdir(exist_ok=True)
        (path / "ab"[i % 2] / f"{i:03}.png").write_bytes(coded(pixels))
    return path


def packed(path: Path) -> Path:
    table = pa.table({"image": [coded(p) for p in IMAGES], "label": [int(i % 4) for i in range(160)]})
    pq.write_table(table, path / "a.parquet", row_group_size=16)
    return path / "a.parquet"


def shards(path: Path) -> Path:
    for part in range(3):
        pq.write_table(
            pa.table({"image": [coded(p) for p in IMAGES[part * 50 : part * 50 + 50]]}), path / f"{part}.parquet", row_group_size=20
        )
    return path


def feather(path: Path) -> Path:
    table = pa.table({"image": [coded(p) for p in IMAGES]})
    with pa.OSFile(str(path / "a.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=16)
    return path / "a.arrow"


def table(path: Path) -> Path:
    rows = 6000
    values = pa.table(
        {
            "a": RNG.normal(size=rows),
            "b": RNG.choice(list("xyz"), rows).tolist(),
            "c": RNG.integers(0, 50, rows),
            "label": RNG.choice(list("uv"), rows).tolist(),
        }
    )
    pq.write_table(values, path / "t.parquet", row_group_size=500)
    return path / "t.parquet"


def text(path: Path) -> Path:
    words = np.array("one two three four five six seven eight nine ten".split())  # noqa: SIM905
    pq.write_table(
        pa.table({"text": [" ".join(RNG.choice(words, 1 + i % 9)) for i in range(3000)]}), path / "t.parquet", row_group_size=250
    )
    return path / "t.parquet"


@pytest.mark.parametrize(
    ("make", "memory"),
    [
        (npy, 10**6),
        (npz, 10**6),
        (series, 500_000),
        (pictures, 300_000),
        (packed, 10**6),
        (shards, 10**6),
        (feather, 10**6),
        (table, 50_000),
        (text, 60_000),
    ],
)
def test_streamed_batches_equal_those_in_memory(make: Any, memory: int, tmp_path: Path) -> None:
    source = make(tmp_path)
    whole, disk = data.read(source), data.read(source, memory=memory)
    assert whole.in_memory
    assert not disk.in_memory
    assert disk.preprocessing == whole.preprocessing
    assert disk.spec == whole.spec
    assert disk.split.tolist() == whole.split.tolist()
    assert "streamed from disk" in disk.summary()
    order = torch.randperm(whole.items)
    batches = [order[:17], order[17:40], order[5:6], order[:0]]
    for one, two in zip(map(whole.batch, batches), disk.loader(iter(batches)), strict=True):
        assert torch.equal(one.fields["x"], two.fields["x"])
        assert one.fields["x"].dtype == two.fields["x"].dtype
        assert {k: v.tolist() for k, v in one.keys.items()} == {k: v.tolist() for k, v in two.keys.items()}
    assert np.array_equal(whole.flat(order[:9]), disk.flat(order[:9]))
    assert whole.preview(order[:5]) == disk.preview(order[:5])
    part = disk.subset(order[:30])
    assert torch.equal(part.batch(order[3:9]).fields["x"], whole.batch(order[3:9]).fields["x"])


def test_limit_picks_before_anything_is_read(tmp_path: Path) -> None:
    source = packed(tmp_path)
    whole, disk = data.read(source, limit=50), data.read(source, limit=50, memory=400_000)
    assert not disk.in_memory
    ids = torch.arange(50)
    assert torch.equal(whole.batch(ids).fields["x"], disk.batch(ids).fields["x"])
    assert whole.columns["label"].tolist() == disk.columns["label"].tolist()


def test_shuffling_reads_each_block_once(tmp_path: Path) -> None:
    """Row groups are drawn one after the other, a few at a time, and still every item comes once."""
    disk = data.read(packed(tmp_path), memory=800_000)
    source = disk.fields["x"].store.source  # type: ignore[attr-defined]
    assert isinstance(source, Blocked)
    assert 1 <= source.blocks_held < 10
    loads: list[int] = []
    inner = source.load
    source.load = lambda index: loads.append(index) or inner(index)  # type: ignore[func-returns-value]
    source._cache.clear()
    seen = []
    for ids in data.shuffled(disk, torch.Generator().manual_seed(1), batch=10):
        disk.batch(ids)
        seen += ids.tolist()
    assert sorted(seen) == list(range(160))
    assert seen != sorted(seen)
    assert len(loads) <= 2 * 10  # ten blocks; one at the edge of a window may be read again
    assert sum(t.nbytes for t in source._cache.values()) <= source.cache_bytes


def test_skipping_streams_what_is_left(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    (folder / "a" / "004.png").write_bytes(b"broken")
    disk = data.read(folder, memory=200_000, on_bad="skip")
    assert not disk.in_memory
    assert disk.items == 39
    assert disk.batch(disk.ids).fields["x"].shape[0] == 39
    late = data.read(folder, memory=200_000)  # without a look at every file, the error comes with the batch
    with pytest.raises(DataError, match=r"item 2 cannot be used \(not an image\); on_bad='skip'"):
        list(late.loader([late.ids]))


def test_a_file_that_is_cut_off_later(tmp_path: Path) -> None:
    path = npy(tmp_path)
    disk = data.read(path, memory=10**6)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="is cut off"):
        disk.batch([159])


@given(st.data())
def test_rows_of_any_source(draw: st.DataObject) -> None:
    """Npy on disk, Joined, Picked and tables answer as the array does, in any order, with repeats."""
    values = np.arange(60, dtype=np.int32).reshape(20, 3)
    positions = np.array(draw.draw(st.lists(st.integers(0, 19), max_size=30)), dtype=np.int64)
    cuts = sorted(draw.draw(st.lists(st.integers(1, 19), min_size=1, max_size=3, unique=True)))
    pieces = tuple(Array(p) for p in np.split(values, cuts))
    joined = Joined(pieces)
    if len(positions):
        assert np.array_equal(joined.rows(positions), values[positions])
        lists = Joined(tuple(Listed(p.values.tolist()) for p in pieces))
        assert lists.rows(positions) == values[positions].tolist()
    picked = np.array(sorted(draw.draw(st.sets(st.integers(0, 19), min_size=1))))
    inside = positions[positions < len(picked)]
    if len(inside):
        assert np.array_equal(Picked(joined, picked).rows(inside), values[picked][inside])
    assert np.array_equal(Array(values).rows(positions), values[positions])
    assert Table(pa.table({"a": values[:, 0]})).rows(positions).column("a").to_pylist() == values[positions, 0].tolist()
    starts = np.array([0, *cuts])
    blocked = Blocked(starts, 20, lambda i: pa.table({"a": np.split(values[:, 0], cuts)[i]}), 1, 1)
    if len(positions):
        assert blocked.rows(positions).column("a").to_pylist() == values[positions, 0].tolist()


@given(st.lists(st.integers(0, 49), max_size=60))
def test_rows_on_disk(positions: list[int]) -> None:
    import tempfile

    values = np.arange(300, dtype=np.float64).reshape(50, 2, 3)
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "a.npz", x=values, other=np.ones(3))
        member = members(Path(folder) / "a.npz")["x"]
        assert member.start is not None
        source = Npy(member.file, member.start, member.shape, member.dtype)
        assert np.array_equal(source.rows(np.array(positions, dtype=np.int64)), values[positions])


def test_one_thread_reads_a_block_for_all(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(100))}), path, row_group_size=10)
    source = parquet([str(path)], ["a"], 10**6)
    loads: list[int] = []
    inner = source.load

    def slow(index: int) -> pa.Table:
        loads.append(index)
        time.sleep(0.02)
        return inner(index)

    source.load = slow
    threads = [threading.Thread(target=source.rows, args=(np.arange(30, 60),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(loads) == [3, 4, 5]


def test_ahead_keeps_order_and_bounds_and_passes_errors_on() -> None:
    running: list[int] = []
    most = 0

    def work(job: int) -> int:
        nonlocal most
        running.append(job)
        most = max(most, len(running))
        time.sleep(0.001 * (job % 3))
        running.remove(job)
        if job == 30:
            raise DataError("thirty")
        return job * 2

    assert list(ahead(work, range(30), threads=4, depth=5)) == [2 * i for i in range(30)]
    assert most <= 4
    drawn: list[int] = []

    def jobs() -> Iterator[int]:
        for i in range(1000):
            drawn.append(i)
            yield i

    with pytest.raises(DataError, match="thirty"):
        list(ahead(work, jobs(), threads=2, depth=3))
    assert len(drawn) < 40
    early = ahead(work, jobs(), threads=2)
    next(early)
    early.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given_", "bytes_"), [("500MB", 5 * 10**8), ("8GB", 8 * 10**9), ("1.5 gb", 1_500_000_000), (12, 12), ("100k", 100_000)]
)
def test_sizes_in_words(given_: Any, bytes_: int) -> None:
    assert budget(given_) == bytes_


def test_auto_sees_the_limit_of_this_process() -> None:
    code = """
import resource
from counterpoint.data.budget import available
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
print(available())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert 0 < int(done.stdout) < 2**30


@pytest.mark.slow
def test_a_set_larger_than_memory(tmp_path: Path) -> None:
    """The script that generates a set and walks through it under an address-space limit smaller than the set."""
    command = [
        sys.executable,
        str(ROOT / "scripts" / "show_streaming.py"),
        "--gigabytes",
        "0.6",
        "--memory",
        "0.4",
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every item once" in done.stdout
