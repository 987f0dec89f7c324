"""How fast views are made, beside the peers, in one run: `python benchmarks/views.py` (about three minutes on two cores).

Every contender makes two views of the same items with the same law: crop, flip, colour jitter, grey (no blur; strength 0.5 at
32 × 32, 1.0 at 224 × 224). One thing differs: by default we turn the hue linearly (YIQ), the peers in HSV; the line "hue in HSV"
is the law of the peers exactly. "Plain calls" is what stands without numba. Contenders take turns for several rounds; the best
round of each counts, so that a busy machine harms all alike. Two figures: items per second of wall time with all threads, and, with
one thread, items per second of processor time ("per core"), which other programs on the machine disturb less. A peer that is not
installed is left out by name.

Prints a table, writes benchmarks/results/views.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from counterpoint import views
from counterpoint.core.options import use
from counterpoint.views import kernels

warnings.filterwarnings("ignore")
Run = Callable[[], object]
G = torch.Generator


def pictures(n: int, size: int) -> torch.Tensor:
    """Smooth coloured noise, uint8."""
    coarse = torch.rand(n, 3, max(4, size // 8), max(4, size // 8), generator=G().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1).mul(255).to(torch.uint8)


def ours(x: torch.Tensor, size: int, strength: float, space: str = "linear", compiled: bool = True) -> Run:
    colours = {"brightness": 0.8 * strength, "contrast": 0.8 * strength, "saturation": 0.8 * strength, "hue": 0.2 * strength}
    made, generator = views.preset("image", "simclr", size=size, space=space, **colours), G().manual_seed(0)

    def plainly() -> object:
        chosen, kernels.chosen = kernels.chosen, lambda device: False
        try:
            return made(x, generator)
        finally:
            kernels.chosen = chosen

    return (lambda: made(x, generator)) if compiled else plainly


def lightly(x: torch.Tensor, size: int, strength: float) -> Run:
    from lightly.transforms import SimCLRTransform
    from torchvision.transforms.functional import to_pil_image

    transform = SimCLRTransform(input_size=size, cj_strength=strength, gaussian_blur=0.0, normalize=None)
    items = [to_pil_image(i) for i in x]
    return lambda: [transform(i) for i in items]


def torchvision(x: torch.Tensor, size: int, strength: float) -> Run:
    from torchvision.transforms import v2

    jitter = v2.ColorJitter(0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength)
    transform = v2.Compose([
        v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip(), v2.RandomApply([jitter], 0.8), v2.RandomGrayscale(0.2),
        v2.ToDtype(torch.float32, scale=True),
    ])  # fmt: skip
    return lambda: [(transform(i), transform(i)) for i in x]


def kornia(x: torch.Tensor, size: int, strength: float) -> Run:
    from kornia import augmentation

    s = 0.8 * strength
    transform = torch.nn.Sequential(
        augmentation.RandomResizedCrop((size, size), scale=(0.08, 1.0)), augmentation.RandomHorizontalFlip(),
        augmentation.ColorJitter(s, s, s, s / 4, p=0.8), augmentation.RandomGrayscale(p=0.2),
    )  # fmt: skip

    def run() -> object:
        floats = x.float() / 255
        return transform(floats), transform(floats)

    return run


def compare(contenders: dict[str, tuple[Run, int]], rounds: int) -> dict[str, dict[str, float]]:
    """{name: {"items_per_second", "per_core"}}; a contender is (what to run, items it makes)."""
    best: dict[str, list[float]] = {name: [float("inf"), float("inf")] for name in contenders}
    for run, _ in contenders.values():
        run()
    clocks = ((torch.get_num_threads(), time.perf_counter), (1, time.process_time))  # threads that wait for each other use processor time
    for _ in range(rounds):
        for name, (run, items) in contenders.items():
            for place, (threads, clock) in enumerate(clocks):
                torch.set_num_threads(threads)
                repeats, start = 0, time.perf_counter()
                while repeats < 12 and time.perf_counter() - start < 0.6:
                    begun = clock()
                    run()
                    best[name][place] = min(best[name][place], (clock() - begun) / items)
                    repeats += 1
    torch.set_num_threads(clocks[0][0])
    return {name: {"items_per_second": round(1 / w, 1), "per_core": round(1 / c, 1)} for name, (w, c) in best.items()}


def images(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    results = {}
    for size, strength, batch, few in ((32, 0.5, 512, 32), (224, 1.0, 32, 8)):
        x = pictures(batch, size)
        contenders: dict[str, tuple[Run, int]] = {"counterpoint": (ours(x, size, strength), batch)}
        contenders["counterpoint, hue in HSV"] = (ours(x, size, strength, "hsv"), batch)
        if kernels.chosen(x.device):
            contenders["counterpoint, plain calls"] = (ours(x, size, strength, compiled=False), batch)
        else:
            print("numba is left out: counterpoint makes plain calls")
        for peer, items in ((lightly, few), (torchvision, few), (kornia, batch)):
            try:
                contenders[peer.__name__] = (peer(x[:items], size, strength), items)
            except ImportError as error:
                print(f"{peer.__name__} is left out: {error}")
        results[f"simclr {size}x{size}"] = compare(contenders, rounds)
    return results


# ---- other kinds, where a peer exists ------------------------------------------------------------------------------------


def others(rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    results = {}
    x = torch.rand(8, 1, 32, 32, 32, generator=G().manual_seed(0))
    made = views.preset("volume", "anatomy", contrast=0.0)
    found: dict[str, tuple[Run, int]] = {"counterpoint": (lambda: made(x, G().manual_seed(0)), 8)}
    try:
        import torchio

        chain = torchio.Compose([torchio.RandomAffine(scales=0.2, degrees=10), torchio.RandomNoise(std=0.05)])
        found["torchio"] = (lambda: [(chain(i), chain(i)) for i in x], 8)
    except ImportError as error:
        print(f"torchio is left out: {error}")
    results["volume 32x32x32: affine, noise"] = compare(found, rounds)

    wave = torch.rand(32, 1, 16000, generator=G().manual_seed(0)) * 0.2 - 0.1
    sound = use(views.chain, steps=(use(views.audio.shift), use(views.audio.gain), use(views.audio.noise)))
    found = {"counterpoint": (lambda: [sound(wave, G().manual_seed(s)) for s in (0, 1)], 32)}
    try:
        import audiomentations as am

        compose = am.Compose([am.Shift(-0.25, 0.25, p=1.0), am.Gain(-6, 6, p=1.0), am.AddGaussianSNR(10, 40, p=1.0)])
        arrays = [w[0].numpy() for w in wave]
        found["audiomentations"] = (lambda: [(compose(a, 16000), compose(a, 16000)) for a in arrays], 32)
    except ImportError as error:
        print(f"audiomentations is left out: {error}")
    results["audio 16,000 samples: shift, gain, noise"] = compare(found, rounds)

    nodes = 20_000
    edges = torch.randint(0, nodes, (2, 100_000), generator=G().manual_seed(0))
    graph = {"x": torch.rand(nodes, 64), "edge_index": torch.cat([edges, edges.flip(0)], 1)}
    part = use(views.graph.varied)
    found = {"counterpoint": (lambda: [part(graph, G().manual_seed(s)) for s in (0, 1)], nodes)}
    try:
        from torch_geometric.utils import dropout_edge, mask_feature

        def geometric() -> object:
            made = [(dropout_edge(graph["edge_index"], 0.3), mask_feature(graph["x"], 0.3, mode="col")) for _ in range(2)]
            return made

        found["torch_geometric (each direction alone)"] = (geometric, nodes)

        def both() -> object:
            made = [(dropout_edge(graph["edge_index"], 0.3, force_undirected=True), mask_feature(graph["x"], 0.3)) for _ in range(2)]
            return made

        found["torch_geometric (undirected)"] = (both, nodes)
    except ImportError as error:
        print(f"torch_geometric is left out: {error}")
    results["graph 20,000 nodes, 200,000 edges: edges, features dropped"] = compare(found, rounds)
    return results


# ---- linear in the data ---------------------------------------------------------------------------------------------------


def memory(field: str) -> int:
    """Kibibytes of this process: VmRSS now, VmHWM at most."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))


SCALED = {
    "table: corrupt": lambda: use(views.table.corrupt, noise=0.05, numeric=8),
    "table: quantile noise": lambda: use(views.table.noise, quantile=True),
    "series: varied": lambda: use(views.series.varied),
    "series: window": lambda: use(views.series.window),
    "series: permutation": lambda: use(views.series.permutation),
    "graph: varied": lambda: use(views.graph.varied),
    "graph: subgraph": lambda: use(views.graph.subgraph),
    "graph: diffuse": lambda: use(views.graph.diffuse),
    "graph: low_rank": lambda: use(views.graph.low_rank),
}


def one_size(name: str, n: int) -> None:
    """In a process of its own: time and added memory of two views of n items."""
    g, part = G().manual_seed(0), SCALED[name]()
    if name.startswith("table"):
        x = torch.rand(n, 12, generator=g)
    elif name.startswith("series"):
        x = torch.rand(n, 1, 64, generator=g)
    else:
        e = torch.randint(0, n, (2, 4 * n), generator=g)
        x = {"x": torch.rand(n, 16, generator=g), "edge_index": torch.cat([e, e.flip(0)], 1)}
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    before = memory("VmRSS")
    start = time.process_time()
    kept = [part(x, g)[0] for _ in range(2)]
    seconds = time.process_time() - start
    peak = memory("VmHWM") - before
    print(json.dumps({"items": n, "processor_seconds": round(seconds, 3), "added_mebibytes": round(peak / 1024), "views": len(kept)}))


def scaling() -> dict[str, list[dict[str, float]]]:
    found = {}
    for name in SCALED:
        rows = []
        for n in (100_000, 300_000, 1_000_000):
            done = subprocess.run([sys.executable, __file__, "--size", name, str(n)], capture_output=True, text=True)
            if done.returncode:
                print(f"{name} at {n:,} items: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
                break
            rows.append(json.loads(done.stdout.splitlines()[-1]))
        found[name] = rows
    return found


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def bars(speeds: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, Any]]:
    """What was asked of our views beside what was measured, for each way to turn the hue."""
    found: dict[str, dict[str, Any]] = {}
    small, large = speeds.get("simclr 32x32", {}), speeds.get("simclr 224x224", {})
    for ours_ in (name for name in small if name.startswith("counterpoint")):
        rows = {
            "32x32, items/s, 30,000 asked": small.get(ours_, {}).get("items_per_second"),
            "32x32, over lightly per core, 40 asked": _over(small, ours_, "lightly"),
            "32x32, over kornia per core, 8 asked": _over(small, ours_, "kornia"),
            "224x224, over torchvision v2 per core, 5 asked": _over(large, ours_, "torchvision"),
        }
        asked = (30_000, 40, 8, 5)
        found[ours_] = {k: {"measured": v, "met": v is not None and v >= a} for (k, v), a in zip(rows.items(), asked)}
    return found


def _over(rows: dict[str, dict[str, float]], ours_: str, peer: str) -> float | None:
    return round(rows[ours_]["per_core"] / rows[peer]["per_core"], 2) if {ours_, peer} <= set(rows) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", default=str(Path(__file__).parent / "results" / "views.json"))
    parser.add_argument("--only", choices=("images", "others", "scaling"), help="one part; the other parts of the file are kept")
    parser.add_argument("--size", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.size:
        one_size(options.size[0], int(options.size[1]))
        return
    wanted = (options.only,) if options.only else ("images", "others", "scaling")
    speeds = images(options.rounds) if "images" in wanted else {}
    speeds |= others(max(2, options.rounds // 2)) if "others" in wanted else {}
    linear = scaling() if "scaling" in wanted else {}
    for title, rows in speeds.items():
        print(f"\n{title}, two views{'':20}items/s   per core   ours / peer per core")
        for name, row in rows.items():
            ratio = rows["counterpoint"]["per_core"] / row["per_core"]
            row["ours_over_it_per_core"] = round(ratio, 2)
            print(f"  {name:45}{row['items_per_second']:>12,.0f}{row['per_core']:>11,.0f}{ratio:>11.1f}")
    for kind, sizes in linear.items():
        print(f"{kind}: " + "; ".join(f"{r['items']:,} items {r['processor_seconds']} s, {r['added_mebibytes']} MiB" for r in sizes))
    names = ("counterpoint", "torch", "numba", "torchvision", "lightly", "kornia", "torchio", "audiomentations", "torch-geometric")
    versions = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    about = {"threads": torch.get_num_threads(), "processors": os.cpu_count(), "machine": platform.machine(), "versions": versions}
    about["processor"], about["date"] = processor(), time.strftime("%Y-%m-%d")
    about["load_average"] = round(os.getloadavg()[0], 1)  # of other programs too: above the number of processors, wall time says little
    target = Path(options.out)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_suffix(".new")
    old = json.loads(target.read_text()) if options.only and target.exists() else {}
    abouts = old.get("about", {}) | dict.fromkeys(wanted, about)
    speeds = old.get("speed", {}) | speeds
    found = {"about": abouts, "bars": bars(speeds), "speed": speeds, "scaling": linear or old.get("scaling", {})}
    for name, rows in found["bars"].items():
        print(f"\n{name}: " + "; ".join(f"{k}: {v['measured']} ({'met' if v['met'] else 'missed'})" for k, v in rows.items()))
    fresh.write_text(json.dumps(found, indent=1) + "\n")
    os.replace(fresh, target)
    print(f"\nwritten to {target}")


if __name__ == "__main__":
    main()
