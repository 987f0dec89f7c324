"""Losses: time and extra memory, forward and backward, beside the bare matrix products and the peers: `python benchmarks/losses.py`.

Every contender runs in a process of its own. Value and gradient are first checked against a float64 twin, ours on both roads that are
timed (one tile; many tiles, of which some are kept and the others made again); a wrong contender is shown as such and not timed. Then the
peak of resident memory of one step over what was there before it, then time: the contender, the bare products of the same algorithm,
our NT-Xent and, for a peer, our loss of the same group take turns in one process, so that a busy machine harms all alike, and the ratios
are those of the medians.

    floor      the matrix products alone, tile by tile: scores once forward; scores again and both gradients backward. "symmetric": rows
               against themselves, the upper triangle of tiles; "full": all tiles; of sorting the forward alone.
    x ours     a peer's time over that of our loss of its group.
    extra      MiB above inputs and libraries at the peak of one step (on a GPU: of allocated memory).
    error      the larger of the relative errors of value and gradient. A peer may be as wrong as products in TF32 and bfloat16 are.

On a CPU all groups at 512, 4,096 and 8,192 pairs and the common ones from 64, in about ten minutes; on a GPU at 512, 4,096 and 32,768
and the common ones to 262,144, in float32 and in bfloat16. `--quick` leaves out what takes long, `--large` adds 65,536 pairs; `--json FILE`
writes the figures as they come, a row in the place of an earlier one of the same device, type, contender and size; `--only GROUP`
takes one group, `--pairs N …` some sizes, `--dtype` one type.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from loss_contenders import CHECKED, FORWARD, OURS, PEERS, WIDTH, Data, bare_sides, data, twin
from torch import Tensor

from counterpoint.core.similarity import plan as plans

warnings.filterwarnings("ignore")
COMMON = ("NT-Xent", "CLIP", "SupCon out")  # the groups that peers have: all sizes
Row = dict[str, Any]


# ---- the floor: nothing but products


def floor(first: Tensor, second: Tensor, side: int, backward: bool = True) -> Callable[[], None]:
    """The products of first (n, d) and second (m, d), forward and backward; half of the tiles where both are the same object."""
    symmetric = first is second
    A = F.normalize(first.detach().float())
    C = A if symmetric else F.normalize(second.detach().float())
    flat, dA, dC = A.new_empty(side * side), torch.zeros_like(A), torch.zeros_like(C)

    def run() -> None:
        for back in (False, True) if backward else (False,):
            for r in range(0, len(A), side):
                for c in range(r if symmetric else 0, len(C), side):
                    left, right = A[r : r + side], C[c : c + side]
                    tile = flat[: len(left) * len(right)].view(len(left), len(right))
                    torch.mm(left, right.T, out=tile)
                    if back:
                        dA[r : r + side].addmm_(tile, right)
                        if not symmetric or c > r:
                            dC[c : c + side].addmm_(tile.T, left)

    return run


# ---- one contender


def memory(field: str) -> int:
    """Kibibytes of this process: VmRSS now, VmHWM at most."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))


def extra(step: Callable[[], None], device: str) -> float:
    """MiB that one step needs beyond what is there."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    resident = memory("VmRSS")
    step()
    return max(memory("VmHWM") - resident, 0) / 2**10


def timed(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def error(group: str, run: Callable[[Data], Tensor], pairs: int, device: str, dtype: torch.dtype) -> float:
    """The larger of the relative errors of value and gradient."""
    x = data(pairs, device, dtype)
    inputs = (x.first, x.second)
    value, expected = run(x), twin(group, x)
    one, two = (torch.cat([g.double() for g in torch.autograd.grad(v, inputs)]) for v in (value, expected))
    off = (value.double() - expected).detach().abs() / expected.detach().abs()
    return max(float(off), float((one - two).norm() / two.norm()))


@contextmanager
def small_tiles(device: str) -> Iterator[int]:
    """Many tiles of few pairs: how many pairs. Three tiles may be kept for the backward, the others are made again."""
    side, pairs = (512, 1200) if device == "cuda" else (128, 320)  # on a GPU large enough for the kernels
    before = plans.TILE[device], plans.KEEP
    plans.TILE[device], plans.KEEP = side, 3 * side * side
    try:
        yield pairs
    finally:
        plans.TILE[device], plans.KEEP = before


def checked(name: str, device: str, dtype: torch.dtype) -> tuple[float, bool]:
    """(the error, over both roads where there are two; whether it is small enough)."""
    wide = dtype == torch.float32
    if name not in OURS:
        found = error(PEERS[name].group, PEERS[name].run, 192, device, dtype)
        return found, found < ((2e-3 if device == "cuda" else 1e-4) if wide else 5e-2)
    run = CHECKED.get(name, OURS[name])
    found = error(name, run, 192, device, dtype)
    with small_tiles(device) as pairs:
        found = max(found, error(name, run, pairs, device, dtype))
    return found, found < (1e-4 if wide else 2e-2)


def single(name: str, pairs: int, rounds: int, device: str, dtype: torch.dtype) -> Row:
    """Figures of one contender at one size."""
    ours = name in OURS
    group, run = (name, OURS[name]) if ours else (PEERS[name].group, PEERS[name].run)
    wrong, right = checked(name, device, dtype)
    found: Row = {"group": group, "contender": "counterpoint" if ours else name, "pairs": pairs, "error": wrong}
    if not right:
        return found | {"note": f"value or gradient is wrong by {wrong:.0e}: not timed"}
    x = data(pairs, device, dtype)

    def step(loss: Callable[[Data], Tensor] = run) -> None:
        x.first.grad = x.second.grad = None
        loss(x).backward()

    start = time.perf_counter()
    found["extra_mib"] = round(extra(step, device), 1)
    alone = (time.perf_counter() - start) * 1e3
    bare = floor(*bare_sides(group, x), 1024 if device == "cpu" else 4096, group not in FORWARD)
    if rounds == 0:  # once is all there is time for: no turns, no medians
        return found | {"ms": round(alone, 3), "floor_ms": round(timed(bare, device), 3)}
    contenders: dict[str, Callable[[], object]] = {"ms": step, "floor_ms": bare}
    if not ours:
        contenders["ours_ms"] = lambda: step(OURS[group])
    if group != "NT-Xent" and (ours or pairs < 1024):
        contenders["nt_xent_ms"] = lambda: step(OURS["NT-Xent"])
    times: dict[str, list[float]] = {key: [] for key in contenders}
    few = 1 if pairs >= 1024 else min(max(int(300 / max(timed(step, device), 1e-3)), 1), 20)  # a slow peer is not asked twenty times
    for turn in range(1 if alone > 500 else 0, rounds + 1):  # turn 0 warms up; what takes long needs none
        for key, one in contenders.items():
            each = [timed(one, device) for _ in range(few)]
            if turn:
                times[key] += each
    found |= {key: round(statistics.median(values), 3) for key, values in times.items()}
    if group == "NT-Xent":
        found["nt_xent_ms"] = found.get("ours_ms", found["ms"])
    found["least_ms"], found["least_floor_ms"] = round(min(times["ms"]), 3), round(min(times["floor_ms"]), 3)
    return found


# ---- each in its own process


def alone(pipe: Connection, name: str, pairs: int, rounds: int, device: str, dtype: str, threads: int) -> None:
    torch.set_num_threads(threads)
    try:
        pipe.send(single(name, pairs, rounds, device, getattr(torch, dtype)))
    except Exception as reason:  # what a peer cannot do is a line of the table, not the end of it
        pipe.send(str(reason).strip().splitlines()[0] if str(reason).strip() else type(reason).__name__)


def in_a_process(name: str, pairs: int, rounds: int, device: str, dtype: str, threads: int) -> Row:
    """A copy of this process, which has computed nothing yet; on a GPU a new one."""
    context = multiprocessing.get_context("spawn" if device == "cuda" else "fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=alone, args=(there, name, pairs, rounds, device, dtype, threads))  # type: ignore[attr-defined]
    process.start()
    there.close()
    try:
        found = here.recv()
    except EOFError:
        found = None
    process.join()
    if isinstance(found, dict):
        return found
    group, contender = (name, "counterpoint") if name in OURS else (PEERS[name].group, name)
    note = found or f"ended with {process.exitcode}" + (" (killed; out of memory?)" if process.exitcode == -9 else "")
    return {"group": group, "contender": contender, "pairs": pairs, "note": note[:90]}


# ---- all of them


def plan(quick: bool, large: bool, device: str) -> list[tuple[str, int, int]]:
    """(contender, pairs, rounds)."""
    sizes = [64, 128, 256, 512, 4096] + ([] if quick else [8192])
    everyone = {512, 4096, 8192}  # the sizes of all groups
    if device == "cuda":
        sizes, everyone = [512, 4096, 32768] + ([] if quick else [131072, 262144]), {512, 4096, 32768}
    found = []
    for pairs in sizes:
        long = pairs >= (8192 if device == "cpu" else 131072)
        few = 2 if long else 3
        for name in OURS:
            if pairs in everyone or name in COMMON:
                found.append((name, pairs, 5 if not quick and (name == "NT-Xent" or (name in COMMON and not long)) else few))
        for name, peer in PEERS.items():
            if pairs <= (peer.most_gpu if device == "cuda" else peer.most) and _there(peer.module):
                found.append((name, pairs, 1 if long else 3))
    if large:
        found.append(("NT-Xent", 65536, 0))
    return found


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None  # not imported: that is left to the process that needs it


def versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "triton", "lightly", "pytorch-metric-learning", "open_clip_torch", "inf-cl", "memeff"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


HEAD = f"{'group':22} {'contender':31} {'pairs':>6} {'ms':>10} {'x floor':>8} {'x NT-Xent':>9} {'x ours':>8} {'extra MiB':>9}  error"


def show(row: Row) -> str:
    line = f"{row['group']:22} {row['contender']:31} {row['pairs']:>6}"
    if "ms" not in row:
        return f"{line}  {row.get('note', '')}"
    floor_, nt_xent, ours = (
        f"{row['ms'] / row[key]:{width}.2f}" if key in row else " " * width
        for key, width in (("floor_ms", 8), ("nt_xent_ms", 9), ("ours_ms", 8))
    )
    return f"{line} {row['ms']:10.2f} {floor_} {nt_xent} {ours} {row['extra_mib']:9.1f}  {row['error']:.0e}"


def keep(path: Path, row: Row, device: str, threads: int) -> None:
    """Put a row into the file, in the place of an earlier one of the same device, type, contender and size."""
    before = json.loads(path.read_text()) if path.exists() else {"rows": []}
    first = {"device": before.get("device", device), "dtype": before.get("dtype", "float32")}  # of files with one device for all rows
    machines = before.get("machines") or ({first["device"]: before["machine"]} if "machine" in before else {})
    about = {"cores": os.cpu_count(), "threads": threads, "processor": platform.machine(), "python": platform.python_version()}
    machines[device] = about | {"versions": versions()}
    same = ("device", "dtype", "group", "contender", "pairs")
    rows = [first | one for one in before["rows"]]
    rows = [one for one in rows if any(one[k] != row[k] for k in same)] + [row]
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".partial")
    written.write_text(json.dumps({"width": WIDTH, "machines": machines, "rows": rows}, indent=1) + "\n")
    os.replace(written, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes and fewer rounds")
    parser.add_argument("--large", action="store_true", help="add 65,536 pairs")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--only", help="one group or contender, by name")
    parser.add_argument("--pairs", type=int, nargs="+", help="only these sizes")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of every process")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="of the embeddings; both on a GPU, float32 on a CPU")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "PAIRS", "ROUNDS"), help="one contender, as JSON, in this process")
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    types = [chosen.dtype] if chosen.dtype else ["float32", "bfloat16"] if device == "cuda" else ["float32"]
    if chosen.one:
        torch.set_num_threads(chosen.threads)
        name, pairs, rounds = chosen.one
        if name not in OURS and name not in PEERS:
            sys.exit(f"--one {name!r}: no such contender; there are {', '.join([*OURS, *PEERS])}")
        for dtype in types:
            print(json.dumps({"dtype": dtype} | single(name, int(pairs), int(rounds), device, getattr(torch, dtype))))
        return
    place = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    for dtype in types:
        print(f"{place}, {dtype}\n{HEAD}")
        for name, pairs, rounds in plan(chosen.quick, chosen.large, device):
            group = name if name in OURS else PEERS[name].group
            if (chosen.pairs and pairs not in chosen.pairs) or (chosen.only and chosen.only not in (name, group)):
                continue
            row = {"device": place, "dtype": dtype} | in_a_process(name, pairs, rounds, device, dtype, chosen.threads)
            print(show(row), flush=True)
            if chosen.json:
                keep(chosen.json, row, place, chosen.threads)


if __name__ == "__main__":
    main()
