"""ResNet-18 and SimCLR on a GPU: how much of the device's speed the loop keeps, and a run on CIFAR-10 to the end.

    python benchmarks/training_gpu.py --json benchmarks/results/training_gpu.json
    COUNTERPOINT_DATA=… python benchmarks/training_gpu.py --cifar 200 --json benchmarks/results/cifar10_resnet18.json

The first measures items/s of

    fixed         forward, loss and backward on the same two tensors of views again and again, bfloat16, the share of which is asked for
    counterpoint  `Training`: items picked on the device, views, step, optimiser, metrics; the next views made beside the step
    in order      that without looking ahead
    logged        counterpoint with a line of the log every ten steps, as `fit` writes it
    compiled      counterpoint with `compile`, its compiling not counted

in turns in one process. The second trains as lightly's benchmark of CIFAR-10 does (SGD, rate 0.06 for a batch of 128 and in proportion,
weight decay 5e-4, temperature 0.5, crop, flip, colour and grey without blur) but for a short warm-up of the rate, and counts the
neighbours' vote (k = 200, temperature 0.1) of the last epoch; the curve, the settings and the recipe are written beside it.
`--network small --device cpu` runs the same code where there is no GPU, to see that it runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

LIGHTLY = {"knn": 0.847, "minutes": 100, "epochs": 200, "note": "as published for SimCLR on CIFAR-10, ResNet-18"}
TEMPERATURE = 0.5


def recipe_of(given: Any, network: str) -> Any:
    """SimCLR with its default views and a ResNet whose first layer keeps the resolution ("small": a network for a quick look)."""
    from counterpoint import encoders
    from counterpoint.core.options import use
    from counterpoint.core.registry import get

    small = use(encoders.image.small_cnn, channels=(8, 16))
    backbone = small if network == "small" else use(encoders.image.resnet, name=network, stem="small")
    return get("simclr")(given.spec, temperature=TEMPERATURE).at("encoder.backbone", backbone)


def training_of(given: Any, network: str, folder: str, *, ahead: bool | None = None, **settings: Any) -> Any:
    """A training with the settings of lightly's benchmark."""
    from counterpoint.training.loop import Training
    from counterpoint.training.settings import Settings

    chosen = {"optimizer": "sgd", "lr": 0.06 * settings["batch"] / 128, "weight_decay": 5e-4, "devices": 1, **settings}
    run = Training(recipe_of(given, network), given, Settings(**chosen), Path(folder))
    run.ahead = run.ahead if ahead is None else ahead
    return run


def ours(given: Any, network: str, steps: int, *, ahead: bool | None = None, **settings: Any) -> float:
    """Items/s of the second half of `steps` steps; a line of the log waits for the device, so its clock is right."""
    marks: list[tuple[int, float]] = []
    epochs = -(-steps // max(given.items // settings["batch"], 1))
    with tempfile.TemporaryDirectory() as folder:
        run = training_of(given, network, folder, ahead=ahead, epochs=epochs, **{"log_every": max(steps // 2, 1), **settings})
        run.fit(lambda _, line: marks.append((line["step"], time.perf_counter())))
    last, end = marks[-1]
    first, start = min(marks, key=lambda mark: abs(mark[0] - last // 2))
    return (last - first) * settings["batch"] / (end - start)


def fixed(given: Any, network: str, steps: int, **settings: Any) -> float:
    """Items/s of forward, loss and backward on two tensors that stay where they are."""
    from counterpoint import losses

    with tempfile.TemporaryDirectory() as folder:
        run = training_of(given, network, folder, epochs=1, **settings)
    batch = given.batch(given.ids[: settings["batch"]]).to(run.fabric.device)
    both = torch.cat([view.fields["x"] for view in run.recipe.views(batch, run.generator("views"), run.now)])
    weights = [p for p in run.model.parameters() if p.requires_grad]

    def step() -> None:
        with run.autocast():
            first, second = run.model.projector(run.model.backbone(both)).chunk(2)
        run.backward(losses.nt_xent(first, second, temperature=TEMPERATURE), weights)
        for p in weights:
            p.grad = None

    half = max(steps // 2, 1)
    for _ in range(half):
        step()
    _wait(run.fabric.device)
    start = time.perf_counter()
    for _ in range(half):
        step()
    _wait(run.fabric.device)
    return half * settings["batch"] / (time.perf_counter() - start)


def shares(given: Any, network: str, steps: int, rounds: int, *, compiled: bool = True, **settings: Any) -> dict[str, Any]:
    """{contender: {"items_per_second": median, "all": […], "share": of fixed}}."""
    contenders: dict[str, Callable[[], float]] = {
        "fixed": partial(fixed, given, network, steps, **settings),
        "counterpoint": partial(ours, given, network, steps, **settings),
        "in order": partial(ours, given, network, steps, ahead=False, **settings),
        "logged": partial(ours, given, network, steps, log_every=10, **settings),
    }
    if compiled:
        contenders["compiled"] = partial(ours, given, network, steps, compile=True, **settings)
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:  # who comes after whom changes
            found[name].append(contenders[name]())
    median = {name: statistics.median(values) for name, values in found.items()}
    return {n: {"items_per_second": median[n], "all": found[n], "share": median[n] / median["fixed"]} for n in names}


def cifar(train: Any, test: Any, network: str, epochs: int, **settings: Any) -> dict[str, Any]:
    """Train to the end; the vote of neighbours of the last epoch, the curve (a line an epoch), the seconds, what repeats the run."""
    from counterpoint.core.options import to_plain
    from counterpoint.evaluation.neighbours import knn
    from counterpoint.run.scores import embed

    with tempfile.TemporaryDirectory() as folder:
        every = max(train.items // settings["batch"], 1)
        run = training_of(train, network, folder, epochs=epochs, log_every=every, save_every=1e9, **settings)
        start = time.perf_counter()
        run.fit(
            lambda _, line: print(f"epoch {line['epoch']:4}  loss {line['loss']:.4f}  {line['items_per_second']:,.0f} items/s", flush=True)
        )
        _wait(run.fabric.device)
        seconds = time.perf_counter() - start
    labels = [given.columns["label"] for given in (train, test)]
    vote = knn(embed(run.model, train), labels[0], embed(run.model, test), labels[1], k=200, temperature=0.1)
    shown = ("step", "epoch", "loss", "chance", "spread", "effective_rank", "positive", "negative", "lr", "items_per_second", "time")
    return {
        "knn": vote,
        "protocol": "weighted vote of 200 neighbours, temperature 0.1, last epoch, train split against test split",
        "seconds": seconds,
        "lightly": LIGHTLY,
        "curve": [{name: line.get(name) for name in shown} for line in run.metrics.history],
        "settings": run.settings.plain(),
        "recipe": to_plain(run.recipe),
        "verdict": run.verdict(),
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def about(device: str) -> dict[str, str]:
    """What it was measured on."""
    name = torch.cuda.get_device_name() if device == "cuda" else "a processor"
    return {"device": name, **{package: version(package) for package in ("torch", "torchvision")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar", type=int, metavar="EPOCHS", help="train on CIFAR-10 for this many epochs instead")
    parser.add_argument("--network", default="resnet18", help="a residual network of torchvision, or small")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--items", type=int, default=20_480, help="pictures, where not CIFAR-10's")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU here; --device cpu --network small shows that the code runs")
    settings = {"batch": chosen.batch, "accelerator": chosen.device, "precision": "bf16-mixed"}
    if chosen.cifar:
        from counterpoint import data

        whole = data.read("cifar10")
        train, test = (whole.subset(whole.ids[whole.split == part]) for part in (0, 1))
        result = cifar(train, test, chosen.network, chosen.cifar, **settings)
        print(f"kNN {result['knn']:.3f} after {result['seconds'] / 60:.1f} minutes; lightly {LIGHTLY['knn']} in about {LIGHTLY['minutes']}")
    else:
        from training import dataset

        result = shares(dataset(chosen.items), chosen.network, chosen.steps, chosen.rounds, **settings)
        for name, line in result.items():
            print(f"{name:14} {line['items_per_second']:9,.0f} items/s   {line['share']:5.2f} of fixed")
    if chosen.json:
        run = {k: v for k, v in vars(chosen).items() if k != "json"}
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps({"about": {**about(chosen.device), **run}, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
