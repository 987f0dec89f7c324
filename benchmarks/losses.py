"""Losses: time and extra memory, forward and backward, beside the bare matrix products and the peers: `python benchmarks/losses.py`.

Every contender runs in a process of its own. It is first checked against a float64 twin at a small size; a contender with a wrong value or
gradient is shown as such and not timed. Then the peak of resident memory of one step over what was there before it, then time: the
contender, the bare products of the same algorithm and our NT-Xent take turns in the same process, so that a busy machine harms all
alike, and the ratios are those of the medians.

    floor      the matrix products alone, tile by tile: scores once forward; scores again and both gradients backward. "symmetric": rows
               against themselves, the upper triangle of tiles; "full": all tiles.
    extra      MiB above inputs and libraries at the peak of one step (on a GPU: of allocated memory).

`--quick` leaves out what takes long, `--large` adds 65,536 pairs, `--json FILE` writes the figures as they come, `--only GROUP` takes one
group, `--pairs N …` some sizes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from loss_contenders import FULL, OURS, PEERS, WIDTH, Data, data, twin
from torch import Tensor

warnings.filterwarnings("ignore")


# ---- the floor: nothing but products


def floor(first: Tensor, second: Tensor, side: int) -> Callable[[], None]:
    """The products of first (n, d) and second (m, d), forward and backward; half of the tiles where both are the same object."""
    symmetric = first is second
    A = F.normalize(first.detach().float())
    C = A if symmetric else F.normalize(second.detach().float())
    flat, dA, dC = A.new_empty(side * side), torch.zeros_like(A), torch.zeros_like(C)

    def run() -> None:
        for backward in (False, True):
            for r in range(0, len(A), side):
                for c in range(r if symmetric else 0, len(C), side):
                    left, right = A[r : r + side], C[c : c + side]
                    tile = flat[: len(left) * len(right)].view(len(left), len(right))
                    torch.mm(left, right.T, out=tile)
                    if backward:
                        dA[r : r + side].addmm_(tile, right)
                        if not symmetric or c > r:
                            dC[c : c + side].addmm_(tile.T, left)

    return run


# ---- one contender, in its own process


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
    return (memory("VmHWM") - resident) / 2**10


def timed(run: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def error(group: str, run: Callable[[Data], Tensor], device: str, dtype: torch.dtype) -> float:
    """The largest of the relative errors of value and gradient at 192 pairs."""
    x = data(192, device, dtype)
    inputs = (x.first, x.second)
    value, expected = run(x), twin(group, x)
    one, two = (torch.cat([g.double() for g in torch.autograd.grad(v, inputs)]) for v in (value, expected))
    return max(float((value.double() - expected).detach().abs() / expected.detach().abs()), float((one - two).norm() / two.norm()))


def single(name: str, pairs: int, rounds: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Figures of one contender at one size."""
    group, run = (name, OURS[name]) if name in OURS else PEERS[name][:2]
    wrong = error(group, run, device, dtype)
    found: dict[str, Any] = {"group": group, "contender": "counterpoint" if name in OURS else name, "pairs": pairs, "error": wrong}
    if not wrong < (1e-4 if dtype == torch.float32 else 2e-2):
        return found | {"note": "value or gradient is wrong: not timed"}
    x = data(pairs, device, dtype)

    def step(loss: Callable[[Data], Tensor] = run) -> None:
        x.first.grad = x.second.grad = None
        loss(x).backward()

    start = time.perf_counter()
    found["extra_mib"] = round(extra(step, device), 1)
    alone = (time.perf_counter() - start) * 1e3
    side = 1024 if device == "cpu" else 4096
    if group == "CLIP":
        bare = floor(x.first, x.second, side)
    else:
        rows = x.rows
        bare = floor(rows, rows * 1.0 if group in FULL else rows, side)
    if rounds == 0:  # once is all there is time for: no turns, no medians
        return found | {"ms": round(alone, 3), "nt_xent_ms": round(alone, 3), "floor_ms": round(timed(bare, device), 3)}
    contenders = {"ms": step, "floor_ms": bare, "nt_xent_ms": lambda: step(OURS["NT-Xent"])}
    times: dict[str, list[float]] = {key: [] for key in contenders}
    few = 1 if pairs >= 1024 else min(max(int(300 / max(timed(step, device), 1e-3)), 1), 20)  # a slow peer is not asked twenty times
    for turn in range(rounds + 1):
        for key, one in contenders.items():
            each = [timed(one, device) for _ in range(few)]
            if turn:
                times[key] += each
    found |= {key: round(statistics.median(values), 3) for key, values in times.items()}
    found["least_ms"], found["least_floor_ms"] = round(min(times["ms"]), 3), round(min(times["floor_ms"]), 3)
    return found


# ---- all of them


def plan(quick: bool, large: bool, only: str | None, device: str) -> list[tuple[str, int, int]]:
    """(contender, pairs, rounds)."""
    sizes = [64, 128, 256, 512, 4096] + ([] if quick else [8192])
    if device == "cuda":
        sizes = [512, 4096, 32768] + ([] if quick else [131072])
    found = []
    for pairs in sizes:
        rounds = 3 if pairs >= 4096 and quick else 5
        for name in OURS:
            if name in ("NT-Xent", "CLIP") or pairs >= 512:
                found.append((name, pairs, rounds))
        for name, (_, _, module, most, gpu) in PEERS.items():
            if pairs <= most and (device == "cuda" or not gpu) and _there(module):
                found.append((name, pairs, min(rounds, 3)))
    if large:
        found.append(("NT-Xent", 65536, 0))
    return [one for one in found if only is None or only in (one[0], PEERS.get(one[0], (one[0],))[0])]


def _there(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "lightly", "pytorch-metric-learning", "open_clip_torch", "inf-cl", "memeff"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def show(row: dict[str, Any]) -> str:
    if "ms" not in row:
        return f"{row['group']:22} {row['contender']:31} {row['pairs']:>6}  {row.get('note', '')}"
    ratios = f"{row['ms'] / row['floor_ms']:8.2f} {row['ms'] / row['nt_xent_ms']:9.2f}"
    return (
        f"{row['group']:22} {row['contender']:31} {row['pairs']:>6} {row['ms']:10.2f} {ratios} {row['extra_mib']:9.1f}  {row['error']:.0e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes and fewer rounds")
    parser.add_argument("--large", action="store_true", help="add 65,536 pairs")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--only", help="one group or contender, by name")
    parser.add_argument("--pairs", type=int, nargs="+", help="only these sizes")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of every process")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the embeddings")
    parser.add_argument("--one", nargs=3, metavar=("NAME", "PAIRS", "ROUNDS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    device, dtype = "cuda" if torch.cuda.is_available() else "cpu", getattr(torch, chosen.dtype)
    torch.set_num_threads(chosen.threads)
    if chosen.one:
        name, pairs, rounds = chosen.one
        print(json.dumps(single(name, int(pairs), int(rounds), device, dtype)))
        return
    print(f"{'group':22} {'contender':31} {'pairs':>6} {'ms':>10} {'x floor':>8} {'x NT-Xent':>9} {'extra MiB':>9}  error")
    for name, pairs, rounds in plan(chosen.quick, chosen.large, chosen.only, device):
        if chosen.pairs and pairs not in chosen.pairs:
            continue
        command = [sys.executable, __file__, "--one", name, str(pairs), str(rounds)]
        command += ["--threads", str(chosen.threads), "--dtype", chosen.dtype]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
            group, contender = (name, "counterpoint") if name in OURS else (PEERS[name][0], name)
            row: dict[str, Any] = {"group": group, "contender": contender, "pairs": pairs, "note": reason[:90]}
        else:
            row = json.loads(done.stdout.strip().splitlines()[-1])
        print(show(row), flush=True)
        if chosen.json:
            keep(chosen.json, row, device, chosen)


def keep(path: Path, row: dict[str, Any], device: str, chosen: argparse.Namespace) -> None:
    """Put a row into the file, in the place of an earlier one of the same contender and size."""
    machine = {"cores": os.cpu_count(), "threads": chosen.threads, "processor": platform.machine(), "python": platform.python_version()}
    device_name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    same = ("group", "contender", "pairs")
    rows = [one for one in rows if any(one[k] != row[k] for k in same)] + [row]
    result = {"device": device_name, "dtype": chosen.dtype, "width": WIDTH, "machine": machine, "versions": versions(), "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".partial")
    written.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(written, path)


if __name__ == "__main__":
    main()
