"""How fast training runs from end to end, beside a peer and beside a bare loop: `python benchmarks/training.py`.

SimCLR, the same small network (`encoders.image.small_cnn` and the projector), the same batch, the same optimiser, float32, in-memory
pictures of 32 × 32, two views of crop, flip, colour, grey.

    counterpoint   `Training.fit`: views, step, metrics, health, checkpoints at the start and the end, all that `fit` does in training
    bare           the same parts in a loop written by hand: index, views (both at once, handed on without a copy, as ours), network, loss,
                   backward, the same optimiser in one pass; no log, no state
    as fit does    counterpoint with the precision that `fit` chooses on this machine (bfloat16 where the processor has it)
    compiled       that with `compile`, its compiling not counted
    lightly        lightly's transform (not standardised: the network does it) in a DataLoader of two workers, its NTXentLoss, the same
                   network and optimiser

The first three run one after the other in one process; those processes, the compiled ones and lightly's come by turns three times, so that
lightly is compared with what ran minutes before, and each turn gives a share: their median, lowest and highest. Whole runs still differ by
a tenth, so the overhead of `fit` over the bare loop is measured more closely: ten steps of the one, ten of the other, through a run of
twice as many epochs, in seven processes; their median, lowest and highest.
All processes have large pages for tensors, as the command `counterpoint` has them.
`--profile` writes where the time of our step goes. CHANNELS=16,32 in the environment makes the network smaller (fewer than 16 channels are
no faster: PyTorch's batch norm, channels last, then goes number by number, and its threads write to the same line of the cache). Prints a
table, `--json FILE` writes the figures beside those of other networks (benchmarks/results/training.json). What is measured on a GPU stands
in `benchmarks/training_gpu.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # before torch is loaded

import torch
from torch import nn

warnings.filterwarnings("ignore")
TURNS = 3
OVERHEADS = 7  # processes: where things come to lie in memory is worth a percent either way, and stays so for as long as a process lives
SIZE, TEMPERATURE, RATE = 32, 0.1, 1e-3
CHANNELS = tuple(map(int, os.environ.get("CHANNELS", "32,64,128").split(",")))


def pictures(count: int) -> torch.Tensor:
    """Smooth coloured noise (count, 3, 32, 32) uint8."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=SIZE, mode="bicubic").clamp(0, 1).mul(255).to(torch.uint8)


def recipe_of(given: Any) -> Any:
    """SimCLR with its default views, which are lightly's at strength 0.5."""
    from counterpoint.core.registry import get

    return get("simclr")(given.spec, temperature=TEMPERATURE).at("encoder.backbone.channels", CHANNELS)


def ours(given: Any, batch: int, epochs: int, precision: str = "32-true") -> float:
    """Seconds of a whole `fit`."""
    from counterpoint.training.loop import Training
    from counterpoint.training.settings import Settings

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(epochs=epochs, batch=batch, lr=RATE, precision=precision, devices=1)
        training = Training(recipe_of(given), given, settings, Path(folder))
        start = time.perf_counter()
        training.fit()
        return time.perf_counter() - start


def compiled(given: Any, batch: int, epochs: int) -> float:
    """Seconds of a `fit` with `compile`, as they would be without the compiling: from the end of its first step on."""
    from counterpoint.training.loop import Training
    from counterpoint.training.settings import Settings

    marks: list[tuple[int, float]] = []
    steps = given.items // batch * epochs
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(epochs=epochs, batch=batch, lr=RATE, devices=1, compile=True, log_every=max(steps // 2, 1))
        training = Training(recipe_of(given), given, settings, Path(folder))
        training.fit(lambda run, line: marks.append((line["step"], time.perf_counter())))
    (first, start), (last, end) = marks[0], marks[-1]
    return (end - start) / (last - first) * steps


def stepping(given: Any, batch: int) -> Iterator[None]:
    """The same parts in a loop written by hand, a step at a time."""
    from counterpoint import losses
    from counterpoint.core.arrangement import below_each_other
    from counterpoint.views.looks import together

    recipe = recipe_of(given)
    model = recipe.encoder(given.spec).train()
    transform = recipe.views.options["transform"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    generator = torch.Generator().manual_seed(0)
    x = given.batch(given.ids).fields["x"]
    while True:
        for ids in torch.randperm(len(x), generator=generator).split(batch):
            if len(ids) < batch:
                continue
            both = below_each_other([view for view, _ in together((transform, transform), x[ids], generator)])
            first, second = model.projector(model.backbone(both)).chunk(2)
            optimizer.zero_grad(set_to_none=True)
            losses.nt_xent(first, second, temperature=TEMPERATURE).backward()
            optimizer.step()
            yield


def bare(given: Any, batch: int, epochs: int) -> float:
    """Seconds of the loop written by hand."""
    loop, start = stepping(given, batch), time.perf_counter()
    for _ in range(given.items // batch * epochs):
        next(loop)
    return time.perf_counter() - start


def overhead(given: Any, batch: int, epochs: int) -> float:
    """What `fit` takes more than the loop written by hand, as a share: every ten steps of the one are followed by ten of the other, so that
    a machine that slows down slows both. All of `fit` counts, its start and end too."""
    from counterpoint.training.loop import Training
    from counterpoint.training.settings import Settings

    loop = stepping(given, batch)
    next(loop)
    by_hand: list[float] = []

    def turn(run: Training, line: dict[str, Any]) -> None:
        start = time.perf_counter()
        for _ in range(10):
            next(loop)
        by_hand.append(time.perf_counter() - start)

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(epochs=epochs, batch=batch, lr=RATE, precision="32-true", devices=1, log_every=10)
        training = Training(recipe_of(given), given, settings, Path(folder))
        start = time.perf_counter()
        training.fit(turn)
        own = time.perf_counter() - start - sum(by_hand)
    return own / training.now.steps / (sum(by_hand) / len(by_hand) / 10) - 1


def lightly(given: Any, batch: int, epochs: int) -> float:
    """Seconds of lightly's transform, loader and loss around the same network."""
    from lightly.loss import NTXentLoss
    from lightly.transforms import SimCLRTransform
    from torchvision.transforms.functional import to_pil_image

    model = recipe_of(given).encoder(given.spec).train()
    transform = SimCLRTransform(input_size=SIZE, cj_strength=0.5, gaussian_blur=0.0, normalize=None)
    items = [to_pil_image(one) for one in given.batch(given.ids).fields["x"]]

    class Pictures(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(items)

        def __getitem__(self, i: int) -> Any:
            return transform(items[i])

    loader = torch.utils.data.DataLoader(Pictures(), batch_size=batch, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)
    criterion, optimizer = NTXentLoss(temperature=TEMPERATURE), torch.optim.AdamW(model.parameters(), lr=RATE, fused=True)
    iterator = iter(loader)  # the workers start before the clock
    next(iterator)
    start = time.perf_counter()
    for epoch in range(epochs):
        for first, second in iterator if epoch == 0 else loader:
            one, two = (model.projector(model.backbone(x)) for x in (first, second))
            optimizer.zero_grad(set_to_none=True)
            criterion(one, two).backward()
            optimizer.step()
    return time.perf_counter() - start


def profile(given: Any, batch: int, target: Path) -> None:
    """Where the time of one epoch of ours goes, by operator."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as recorder

    ours(given, batch, 1)
    with recorder(activities=[ProfilerActivity.CPU]) as found:
        ours(given, batch, 1)
    target.write_text(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=30, max_name_column_width=45) + "\n")


def dataset(count: int) -> Any:
    from counterpoint import data

    return data.read(pictures(count).numpy().transpose(0, 2, 3, 1))


def single(name: str, items: int, batch: int, epochs: int, rounds: int) -> dict[str, list[float]]:
    given = dataset(items)
    steps = items // batch * epochs
    if name == "overhead":
        overhead(given, batch, 1)
        return {name: [overhead(given, batch, 2 * epochs)]}
    groups: dict[str, dict[str, Any]] = {
        "counterpoint": {"bare": bare, "as fit does": partial(ours, precision="auto"), "counterpoint": ours},
        "compiled": {"compiled": compiled},
        "lightly": {"lightly": lightly},
    }
    contenders = groups[name]
    found: dict[str, list[float]] = {key: [] for key in contenders}
    for turn in range(rounds + 1):
        for key, run in contenders.items():
            counted = steps if key != "lightly" else steps - 1
            seconds = run(given, batch, epochs if turn else 1)
            if turn:
                found[key].append(counted * batch / seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=5120)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=1, help="whole runs of each contender in a process")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--profile", type=Path, help="write where the time of our step goes here")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    if chosen.one:
        print(json.dumps(single(chosen.one, chosen.items, chosen.batch, chosen.epochs, chosen.rounds)))
        return
    rates: dict[str, list[float]] = {}
    turns: dict[str, list[float]] = {}
    for name in [*["counterpoint", "compiled", "lightly"] * TURNS, *["overhead"] * OVERHEADS]:
        given = {"items": chosen.items, "batch": chosen.batch, "epochs": chosen.epochs, "threads": chosen.threads}
        command = [sys.executable, __file__, "--one", name, "--rounds", str(chosen.rounds)]
        for key, value in given.items():
            command += [f"--{key}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
            if name in ("counterpoint", "overhead"):
                sys.exit(1)
            continue
        for key, values in json.loads(done.stdout.strip().splitlines()[-1]).items():
            rates.setdefault(key, []).extend(values)
            turns.setdefault(key, []).append(statistics.median(values))
    shares = rates.pop("overhead")
    median = {name: statistics.median(values) for name, values in rates.items()}
    for name, value in median.items():
        print(f"{name:14} {value:9,.0f} items/s   {value / median['counterpoint']:5.2f} of counterpoint")
    low, high = round(min(shares), 4), round(max(shares), 4)
    share = {"measured": round(statistics.median(shares), 4), "lowest": low, "highest": high}
    bars: dict[str, dict[str, Any]] = {"overhead over the bare loop, at most 0.03 asked": share}
    for name in ("counterpoint", "as fit does", "compiled"):
        if len(turns.get(name, [])) == len(turns.get("lightly", [])) == TURNS:
            over = sorted(own / peer for own, peer in zip(turns[name], turns["lightly"], strict=True))
            share = {"measured": round(statistics.median(over), 2), "lowest": round(over[0], 2), "highest": round(over[-1], 2)}
            bars[f"{name}, over lightly's loop, 5 asked"] = share
    for name, bar in bars.items():
        bar["met"] = bar["measured"] <= 0.03 if "overhead" in name else bar["measured"] >= 5
        between = f", {bar['lowest']} to {bar['highest']}" if "lowest" in bar else ""
        print(f"{name}: {bar['measured']}{between} ({'met' if bar['met'] else 'missed'})")
    if chosen.profile:
        profile(dataset(chosen.items), chosen.batch, chosen.profile)
    if chosen.json:
        found = {}
        for package in ("torch", "numba", "lightly", "torchvision"):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                continue
        about = {k: getattr(chosen, k) for k in ("items", "batch", "epochs", "rounds", "threads")}
        result = {"about": about, "machine": platform.machine(), "cores": os.cpu_count(), "versions": found, "items_per_second": rates,
                  "median": median, "bars": bars}  # fmt: skip
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        before = json.loads(chosen.json.read_text()) if chosen.json.exists() else {}
        kept = {key: value for key, value in before.items() if key.startswith("channels")}
        chosen.json.write_text(json.dumps({**kept, "channels " + "-".join(map(str, CHANNELS)): result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
