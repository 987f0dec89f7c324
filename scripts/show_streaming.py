"""Show that a set larger than memory streams: generate it, limit this process's address space below its size, walk through it.

    python scripts/show_streaming.py --gigabytes 20 --memory 2
    python scripts/show_streaming.py --gigabytes 2 --memory 1 --form parquet

The limit (RLIMIT_AS) is what the process has mapped after its imports, plus --memory gigabytes; it is set before the set is opened, so
that holding the set would end in a MemoryError. Every item is drawn once, in shuffled batches, and the sum of all pixels must be the one
that was counted when the set was written.
"""

from __future__ import annotations

import argparse
import io
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from counterpoint import data
from counterpoint.data import catalogue, reading, samplers, streamed  # noqa: F401 (imported before the limit is set)

SIDE = 64


def mapped() -> int:
    """Bytes of address space this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def write_npy(path: Path, size: float) -> tuple[int, int]:
    """Random images n×64×64×3, a chunk at a time; (items, sum of all pixels)."""
    count = int(size // (SIDE * SIDE * 3))
    rng, total = np.random.default_rng(0), 0
    with open(path, "wb") as file:
        head = {"descr": "|u1", "fortran_order": False, "shape": (count, SIDE, SIDE, 3)}
        np.lib.format.write_array_header_1_0(file, head)
        for start in range(0, count, 4096):
            chunk = rng.integers(0, 256, (min(4096, count - start), SIDE, SIDE, 3), dtype=np.uint8)
            total += int(chunk.sum(dtype=np.int64))
            file.write(chunk.tobytes())
    return count, total


def write_parquet(path: Path, size: float) -> tuple[int, int]:
    """JPEG files in row groups of about 8 MB, until the file has `size` bytes; the sum is that of the decoded pixels."""
    from PIL import Image

    rng = np.random.default_rng(0)
    stock = []
    for _ in range(512):
        out = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(out, "JPEG", quality=95)
        stock.append((out.getvalue(), int(np.asarray(Image.open(io.BytesIO(out.getvalue()))).sum(dtype=np.int64))))
    group = max(1, 8 * 2**20 // len(stock[0][0]))
    schema = pa.schema({"image": pa.binary(), "number": pa.int64()})
    count = total = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        while path.stat().st_size < size:
            picks = rng.integers(0, len(stock), group)
            total += sum(stock[i][1] for i in picks)
            numbers = np.arange(count, count + group)
            writer.write_table(pa.table({"image": [stock[i][0] for i in picks], "number": numbers}, schema=schema), row_group_size=group)
            count += group
    return count, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="size of the set on disk")
    parser.add_argument("--memory", type=float, default=1.0, help="gigabytes of address space the process may take beyond its imports")
    parser.add_argument("--form", choices=["npy", "parquet"], default="npy")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--folder", type=Path, default=None, help="where the set is written; a temporary folder by default")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder) / f"images.{chosen.form}"
        start = time.monotonic()
        write = write_npy if chosen.form == "npy" else write_parquet
        count, total = write(path, chosen.gigabytes * 1e9)
        print(f"wrote {count:,} images, {path.stat().st_size / 1e9:.2f} GB, in {time.monotonic() - start:.0f} s")
        limit = mapped() + int(chosen.memory * 1e9)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        print(f"address space limited to {chosen.memory:.2f} GB beyond the imports")
        start = time.monotonic()
        found = data.read(path, memory=int(chosen.memory * 1e9 / 4))
        print(f"{found.summary()} (read in {time.monotonic() - start:.1f} s)")
        assert not found.in_memory
        seen = torch.zeros(count, dtype=torch.int64)
        start, summed = time.monotonic(), 0
        order = data.shuffled(found, torch.Generator().manual_seed(0), batch=chosen.batch, drop_last=False)
        for batch in found.loader(order):
            seen[batch.keys["item"]] += 1
            summed += int(batch.fields["x"].sum(dtype=torch.int64))
        took = time.monotonic() - start
        assert bool((seen == 1).all()), "an item was missed or drawn twice"
        assert summed == total, "the pixels are not those that were written"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(f"one pass, every item once, in {took:.0f} s: {count / took:,.0f} images/s; at most {peak:.2f} GB resident, imports included")


if __name__ == "__main__":
    main()
