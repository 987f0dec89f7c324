"""The checks that every method passes, and that an outside method can run on itself:

    from counterpoint.checks import check_method
    check_method("my_package.my_method.my_method")

Each check takes a method and a kind of data it runs on, trains a few tiny steps at most, and raises AssertionError with what is wrong.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from counterpoint import data
from counterpoint.core import registry
from counterpoint.core.errors import CounterpointError
from counterpoint.core.options import from_plain, to_plain
from counterpoint.core.recipe import Progress, Rows
from counterpoint.core.registry import Method
from counterpoint.training.loop import Training
from counterpoint.training.settings import Settings
from counterpoint.training.state import pack, unpack
from counterpoint.training.step import gradients, parameters, train_step

ITEMS = 48
KINDS = ("image", "series", "table", "text", "array", "volume", "graph", "video", "audio", "points", "skeleton", "interactions")


def example(kind: str, items: int = ITEMS, seed: int = 0) -> Any:
    """A small data set of one kind with four groups in it, labelled, of four patients with two trials each, two groups
    of them targets: what the checks train on.

    kind: one of KINDS, or "paired" (an image and a series of the same item).
    """
    rng = np.random.default_rng(seed)
    group = np.arange(items) % 4
    beside = {"label": group, "patient": group, "trial": np.arange(items) // 4 % 2, "target": group % 2}
    if kind == "paired":
        single = {name: _raw(name, group, rng) for name in ("image", "series")}
        return data.read(single).with_columns(beside)
    raw = _raw(kind, group, rng)
    given = data.read(raw, kind=None if kind in ("graph", "interactions") else kind).with_columns(beside)
    if kind != "series":
        return given
    ahead = np.sin(np.arange(24) * (group[:, None, None] + 1) / 4 + rng.uniform(0, 6, (items, 2, 1)))  # two channels, 24 steps to predict
    return replace(given, every={**given.every, "future": torch.from_numpy(ahead.reshape(items, -1)).float()})


def _raw(kind: str, group: np.ndarray, rng: np.random.Generator) -> Any:
    if kind == "image":
        return _waves(group, rng, (16, 16)).astype(np.uint8)
    if kind == "series":
        time = np.arange(32)
        waves = np.sin(time[None, None] * (group[:, None, None] + 1) / 4 + rng.uniform(0, 6, (len(group), 1, 1)))
        return (waves + rng.normal(0, 0.1, (len(group), 2, 32))).astype(np.float32)
    if kind == "text":
        themes = ["river water boat fish", "stock bank price trade", "ball team goal match", "oven bread salt dough"]
        return [" ".join(rng.choice(themes[g].split(), 6)) for g in group]
    if kind in ("table", "array"):
        return (group[:, None] * 2.0 + rng.normal(0, 1, (len(group), 6))).astype(np.float32)
    if kind == "interactions":  # a third users, the rest products; three of the own group, one of any
        users = len(group) // 3
        own = group[:users, None] + 4 * rng.integers(0, (len(group) - users) // 4, (users, 3))
        chosen = np.concatenate([own, rng.integers(0, len(group) - users, (users, 1))], 1)
        chosen[0, 0] = len(group) - users - 1
        return {"interactions": np.stack([np.arange(users).repeat(4), chosen.ravel()], 1)}
    if kind == "graph":  # three neighbours of the own group, one of any
        each = np.arange(len(group))
        inside = (each[:, None] + 4 * rng.integers(1, max(len(group) // 4, 2), (len(group), 3))) % len(group)
        links = np.stack([each.repeat(4), np.concatenate([inside, rng.integers(0, len(group), (len(group), 1))], 1).ravel()], 1)
        return {"x": (group[:, None] == np.arange(12) % 4) + rng.normal(0, 1, (len(group), 12)), "edges": links}
    if kind == "volume":
        return _waves(group, rng, (8, 8, 8)).astype(np.float32) / 255
    if kind == "video":
        return _waves(group, rng, (4, 12, 12)).astype(np.uint8)[..., None]
    if kind == "audio":
        tones = np.sin(np.arange(800) * 0.1 * (group[:, None] + 1) + rng.uniform(0, 6, (len(group), 1)))
        return (tones + rng.normal(0, 0.1, tones.shape)).astype(np.float32)
    if kind == "points":
        return (rng.normal(0, 1, (len(group), 32, 3)) * (1 + group[:, None, None] * np.array([1.0, 0.3, 0.0]))).astype(np.float32)
    if kind == "skeleton":
        moves = np.sin(np.arange(16)[:, None, None] * (group[:, None, None, None] + 1) / 4) * np.arange(5)[:, None]
        return (moves + rng.normal(0, 0.1, (len(group), 16, 5, 3))).astype(np.float32)
    raise ValueError(f"there is no example of kind {kind!r}")


def _waves(group: np.ndarray, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """(items, *shape) bytes as float: waves along the diagonal, of another length in each group."""
    waves = np.sin(np.indices(shape).sum(0) * (group.reshape(-1, *[1] * len(shape)) + 1) / 3) * 60 + 128
    return (waves + rng.normal(0, 10, waves.shape)).clip(0, 255)


def kinds_of(method: Method) -> tuple[str, ...]:
    """The kinds with an example that the method runs on."""
    return tuple(k for k in (*KINDS, "paired") if method.runs_on(k))


@contextmanager
def training(method: Method, kind: str, given: Any = None, **settings: Any) -> Iterator[Training]:
    """A training of the method on the example data, in a folder that is removed afterwards."""
    given = example(kind) if given is None else given
    chosen = {"epochs": 2, "batch": 16, "log_every": 1, "accelerator": "cpu", **settings}
    with tempfile.TemporaryDirectory() as folder:
        yield Training(method(given.spec), given, Settings(**chosen), Path(folder))


def builds(method: Method, kind: str) -> None:
    """The recipe builds, prints, goes through YAML unchanged, and differs from its baseline's where it has one."""
    spec = example(kind).spec
    recipe = method(spec)
    assert repr(recipe), "the recipe does not print"
    assert not from_plain(to_plain(recipe)).diff(recipe), "the recipe changes on its way through config.yaml"
    if method.baseline is not None:
        assert method(spec).diff(registry.get(method.baseline)(spec)), f"the recipe is the same as that of its baseline {method.baseline}"
    assert len(method.doc.splitlines()) >= 3, "the file's docstring says too little: paper, what it changes, the equation"


def lowers_its_loss(method: Method, kind: str) -> None:
    """Repeated steps on one batch, same views, lower the objective; queues and teachers stand still (a queue that fills raises it)."""
    with training(method, kind, lr=3e-3, warmup=0.0, weight_decay=0.0) as run:
        for module in run.model.modules():
            if hasattr(module, "after_update"):
                module.after_update = lambda *_: None  # type: ignore[assignment]
        run.now = Progress(steps=10_000)
        batch = next(run._batches(0, 0))
        values = []
        for _ in range(30):
            log = train_step(run, batch)
            values.append(float(log["loss"]))
        assert all(map(math.isfinite, values)), f"the loss is not finite: {values}"
        first, last = sum(values[:3]) / 3, sum(values[-3:]) / 3
        assert last < first, f"30 steps on one batch did not lower the loss ({first:.4f} → {last:.4f})"


def takes_an_odd_batch(method: Method, kind: str) -> None:
    """Batches of 3 and of 17 items go through."""
    with training(method, kind) as run:
        for size in (3, 17):
            batch = run.data.batch(run.data.ids[:size])
            log = train_step(run, batch)
            assert math.isfinite(float(log["loss"])), f"a batch of {size} items gives the loss {float(log['loss'])}"


def refuses_one_item(method: Method, kind: str) -> None:
    """One item cannot be contrasted: refused with an error of ours."""
    try:
        with training(method, kind, example(kind).subset(torch.tensor([0]))) as run:
            run.fit()
    except CounterpointError:
        return
    raise AssertionError("training on one item went through")


def keeps_its_state(method: Method, kind: str) -> None:
    """State goes to disk and back without a change, and training goes on to the same weights as without the break."""
    given = example(kind)
    with training(method, kind, given) as whole:
        whole.fit()
        wanted = {k: v.clone() for k, v in whole.model.state_dict().items()}
    with training(method, kind, given, pause_after=1) as half, training(method, kind, given) as rest:
        half.fit()
        tensors: dict[str, Tensor] = {}
        tree = pack(half.state(), tensors)
        rest.restore(unpack(tree, tensors))
        rest.fit()
        got = rest.model.state_dict()
    for name, tensor in wanted.items():
        assert torch.equal(tensor, got[name]), f"after a break {name} differs by {(tensor - got[name]).abs().max():.3g}"


def has_no_nan_at_extremes(method: Method, kind: str) -> None:
    """Values a thousand times as large, and bfloat16 in the encoder, give finite losses and gradients."""
    for precision, factor in (("32-true", 1.0), ("bf16-mixed", 1.0), ("bf16-mixed", 1000.0)):
        with training(method, kind, precision=precision) as run:
            batch = run.data.batch(run.data.ids[:16])
            if factor != 1.0:
                grown = {k: v * factor if kind in ("series", "array") and v.is_floating_point() else v for k, v in batch.fields.items()}
                batch = type(batch)(grown, batch.keys, batch.tables)
            log = train_step(run, batch)
            assert math.isfinite(float(log["loss"])), f"{precision}, values ×{factor:g}: the loss is {float(log['loss'])}"
            broken = [n for n, p in run.model.named_parameters() if not bool(torch.isfinite(p).all())]
            assert not broken, f"{precision}, values ×{factor:g}: {broken[0]} is not finite after a step"


def agrees_in_two_passes(method: Method, kind: str) -> None:
    """The gradient in two passes is the gradient in one (norm layers on running statistics, dropout off: they see chunks)."""
    given = example(kind)
    with training(method, kind, given, precision="32-true") as run:
        batch = run.data.batch(run.data.ids[:12])
        views = run.recipe.views(batch, run.generator("views"), run.now)
        update = run.recipe.updates[0]
        learning = parameters(run.model, update, Progress(step=5000, steps=10_000))
        run.model.eval()
        _apart(run.model, learning)
        found = []
        for chunk in (12, 5):
            run.chunk = chunk
            for p in learning:
                p.grad = None
            log: dict[str, Any] = {"loss": 0.0, "terms": {}}
            gradients(run, views, dict(run.recipe.objective), batch.tables, 1, learning, log, "check")
            found.append([None if p.grad is None else p.grad.clone() for p in learning])
        names = [n for n, p in run.model.named_parameters() if any(p is q for q in learning)]
        scale = max((g.abs().max().item() for g in found[0] if g is not None), default=0.0)
        assert scale > 0, "no gradient reaches any parameter"
        for name, one, two in zip(names, *found, strict=True):
            assert (one is None) == (two is None), f"{name} has a gradient in one way and none in the other"
            if one is not None and two is not None:
                # A learned scale's gradient is a sum over all pairs that nearly cancels: rounding is of the size of the loss. That of a
                # bias which the loss takes out again is nothing but rounding.
                rounding = 2e-7 * abs(float(log["loss"])) if one.numel() == 1 else 0.0
                assert torch.allclose(one, two, rtol=1e-3, atol=2e-5 * scale + 1e-9 + rounding), (
                    f"{name}: two passes differ by {(one - two).abs().max():.3g}"
                )


@torch.no_grad()
def _apart(model: nn.Module, learning: Sequence[Tensor]) -> None:
    """Move what does not learn a little, as steps do: beside an exact copy of itself a model ties, and rounding says who is first."""
    noise = torch.Generator().manual_seed(0)
    for p in model.parameters():
        if not any(p is q for q in learning):
            p.add_(0.05 * p.abs().mean() * torch.randn(p.shape, generator=noise))


def embeds(method: Method, kind: str) -> None:
    """`embed` gives one finite row per item, in eval mode: the same whatever else is in the batch."""
    with training(method, kind) as run:
        run.model.eval()
        whole = run.model.embed(run.data.batch(run.data.ids[:8]))["embedding"]  # type: ignore[operator]
        part = run.model.embed(run.data.batch(run.data.ids[:3]))["embedding"]  # type: ignore[operator]
        assert isinstance(whole, Rows), "embed gives no Rows"
        assert tuple(whole.z.shape)[:-1] == (8,), f"embed of 8 items has the shape {tuple(whole.z.shape)}"
        assert bool(torch.isfinite(whole.z).all()), "an embedding is not finite"
        assert torch.allclose(whole.z[:3], part.z, atol=1e-4), "an item's embedding depends on the rest of its batch"


CHECKS: tuple[Callable[[Method, str], None], ...] = (
    builds, lowers_its_loss, takes_an_odd_batch, refuses_one_item, keeps_its_state, has_no_nan_at_extremes, agrees_in_two_passes, embeds,
)  # fmt: skip


def check_method(method: Method | str, kind: str | None = None) -> None:
    """Run all checks on a method, on one kind of data or on the first that it runs on."""
    found = registry.get(method) if isinstance(method, str) else method
    kinds = kinds_of(found) if kind is None else (kind,)
    assert kinds, f"{found.slug} runs on {', '.join(found.kinds)}; the checks have examples of {', '.join(KINDS)} and paired"
    for check in CHECKS:
        check(found, kinds[0])
