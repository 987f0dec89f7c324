"""Sets larger than memory: rows read from disk by position, batches prepared ahead by worker threads, memory bounded.

Threads, not processes: decoding images, reading files and Arrow all release the interpreter, and threads share one bounded cache.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from counterpoint.core.errors import DataError

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Npy:
    """Rows of an array that lies uncompressed in a file, from byte `start` on. Plain reads: nothing is mapped, memory stays bounded."""

    path: str
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype
    resident: bool = False
    blocks: None = None

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """Runs of neighbouring rows are one read."""
        order = np.argsort(positions, kind="stable")
        wanted = positions[order]
        out = np.empty((len(positions), *self.shape[1:]), self.dtype)
        size = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        starts = np.flatnonzero(np.diff(wanted, prepend=-2) != 1)
        stops = np.append(starts[1:], len(wanted))
        flat = memoryview(out.reshape(-1).view(np.uint8).data) if out.size else memoryview(b"")
        with open(self.path, "rb", buffering=0) as file:
            for first, last in zip(starts, stops):
                file.seek(self.start + int(wanted[first]) * size)
                target = flat[first * size : last * size]
                done = 0
                while done < len(target):
                    got = file.readinto(target[done:])
                    if not got:
                        raise DataError(f"{self.path} is cut off: row {int(wanted[first])} of {self.shape[0]} is not there")
                    done += got
        if (order == np.arange(len(order))).all():
            return out
        back = np.empty_like(out)
        back[order] = out
        return back


@dataclass
class Blocked:
    """Tables on disk that are read a block at a time (row groups of parquet, record batches of Arrow), with a bounded cache."""

    blocks: np.ndarray
    count: int
    load: Callable[[int], pa.Table]
    cache_bytes: int
    block_bytes: int
    resident: bool = False
    _cache: OrderedDict[int, pa.Table] = field(default_factory=OrderedDict)
    _reading: dict[int, Future[pa.Table]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return self.count

    @property
    def blocks_held(self) -> int:
        """How many blocks fit into the cache."""
        return max(1, self.cache_bytes // max(self.block_bytes, 1))

    def rows(self, positions: np.ndarray) -> pa.Table:
        if not len(positions):
            return self._block(0).slice(0, 0)
        which = np.searchsorted(self.blocks, positions, side="right") - 1
        pieces, order = [], []
        for block in np.unique(which):
            here = np.flatnonzero(which == block)
            pieces.append(self._block(int(block)).take(pa.array(positions[here] - self.blocks[block])))
            order.append(here)
        if len(pieces) == 1:
            return pieces[0]
        return pa.concat_tables(pieces).take(pa.array(np.argsort(np.concatenate(order))))

    def _block(self, index: int) -> pa.Table:
        """One thread reads a block, the others that want it wait for it."""
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return self._cache[index]
            waiting = self._reading.get(index)
            if waiting is None:
                mine: Future[pa.Table] = Future()
                self._reading[index] = mine
        if waiting is not None:
            return waiting.result()
        try:
            table = self.load(index)
        except BaseException as error:
            with self._lock:
                del self._reading[index]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._reading[index]
            self._cache[index] = table
            while len(self._cache) > 1 and sum(t.nbytes for t in self._cache.values()) > self.cache_bytes:
                self._cache.popitem(last=False)
        mine.set_result(table)
        return table


def parquet(paths: Sequence[str], columns: Sequence[str] | None, memory: int) -> Blocked:
    """Row groups of parquet files below each other, only these columns, at most `memory` bytes of them at a time."""
    places: list[tuple[str, int]] = []
    sizes: list[int] = []
    largest = 0
    footers = {}
    for path in paths:
        meta = footers[path] = _footer(path).metadata
        for group in range(meta.num_row_groups):
            info = meta.row_group(group)
            taken = [info.column(c) for c in range(info.num_columns)]
            used = sum(c.total_uncompressed_size for c in taken if columns is None or c.path_in_schema.split(".")[0] in columns)
            if used > memory:
                raise DataError(
                    f"{path}: row group {group} takes {used:,} bytes and memory= allows {memory:,}; write the file with smaller row groups"
                )
            largest = max(largest, used)
            if info.num_rows:
                places.append((path, group))
                sizes.append(info.num_rows)

    def load(index: int) -> pa.Table:
        path, group = places[index]
        try:
            with pq.ParquetFile(path, metadata=footers[path], pre_buffer=False) as file:
                return file.read_row_group(group, columns=None if columns is None else list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: row group {group} cannot be read ({one_line(error)})") from None

    return Blocked(np.cumsum([0, *sizes])[:-1], sum(sizes), load, memory, largest)


def _footer(path: str) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole parquet file ({one_line(error)})") from None


def feather(path: str, memory: int) -> Blocked:
    """Record batches of an Arrow file, read one at a time."""

    def opened() -> pa.ipc.RecordBatchFileReader:
        try:
            return pa.ipc.open_file(pa.OSFile(path))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path} is not a whole Arrow file ({one_line(error)})") from None

    def load(index: int) -> pa.Table:
        try:
            return pa.Table.from_batches([opened().get_batch(index)])
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path}: record batch {index} cannot be read ({one_line(error)})") from None

    sizes, largest = [], 0
    for i in range(opened().num_record_batches):
        block = load(i)
        sizes.append(block.num_rows)
        largest = max(largest, block.nbytes)
    if largest > memory:
        raise DataError(
            f"{path}: a record batch takes {largest:,} bytes and memory= allows {memory:,}; write the file with smaller batches"
        )
    return Blocked(np.cumsum([0, *sizes])[:-1], sum(sizes), load, memory, largest)


def one_line(error: BaseException, limit: int = 160) -> str:
    """The first line of an error's text, short enough for one line of ours."""
    text = " ".join(str(error).split("\n", 1)[0].split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def workers() -> int:
    """How many threads decode: the processors this process may use, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, 16))


def ahead(work: Callable[[A], B], jobs: Iterable[A], *, threads: int | None = None, depth: int | None = None) -> Iterator[B]:
    """`work(job)` for each job, in order, computed by threads while the caller uses the last one; `depth` jobs are under way at most."""
    threads = threads or workers()
    depth = depth or threads + 1
    queue: deque[Future[B]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="counterpoint-data") as pool:
        try:
            for job in jobs:
                queue.append(pool.submit(work, job))
                if len(queue) >= depth:
                    yield queue.popleft().result()
            while queue:
                yield queue.popleft().result()
        finally:  # the caller stopped early or a job failed: nothing more is started
            for waiting in queue:
                waiting.cancel()
