"""Between two lines of the log nothing asks the device for a number: a processor that never waits runs ahead of its GPU.

What waits is seen on a CPU too: operations whose result has a size or a value that Python needs. What only moves numbers between devices
cannot be seen here.
"""

from __future__ import annotations

import traceback

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from counterpoint import checks
from counterpoint.core import registry
from counterpoint.training import loop
from counterpoint.training.loop import Training
from counterpoint.training.settings import Settings

ASKS = ("_local_scalar_dense", "nonzero", "unique", "bincount", "masked_select", "aten.equal", "repeat_interleave.Tensor", "is_nonzero")


class Watch(TorchDispatchMode):
    """Notes each operation after which a processor waits for the device, and where it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        waits = any(word in name for word in ASKS)
        if name.startswith(("aten.index.Tensor", "aten.index_put", "aten._index_put")):  # a mask has to be counted
            waits = any(x is not None and x.dtype == torch.bool for x in args[1])
        if waits:
            ours = [
                f"{s.filename.split('counterpoint/')[-1]}:{s.lineno}" for s in traceback.extract_stack() if "counterpoint/" in s.filename
            ]
            self.seen.append(f"{name} in {ours[-1]}")
        return func(*args, **(kwargs or {}))


def waits(slug, kind, folder, monkeypatch, **settings):
    """What the second and third step of a pass waited for, views, metrics and all."""
    given = checks.example(kind)
    run = Training(
        registry.get(slug)(given.spec), given, Settings(epochs=1, batch=16, accelerator="cpu", log_every=10**6, **settings), folder
    )
    monkeypatch.setattr("counterpoint.losses.rows.NUMBERS", (), raising=True)  # as on a GPU: the chance level stays on the device
    watch, step = Watch(), loop.train_step
    counted = []

    def watched(run, batch, views):
        with watch:
            log = step(run, batch, views)
            counted.append(list(watch.seen))
            watch.seen.clear()
        return log

    monkeypatch.setattr(loop, "train_step", watched)
    add = run.metrics.add

    def added(run, log, items):
        with watch:
            line = add(run, log, items)
        if line is None:
            counted[-1] += watch.seen
        watch.seen.clear()
        return line

    monkeypatch.setattr(run.metrics, "add", added)
    run.fit()
    assert len(counted) == 3
    return counted[1] + counted[2]


@pytest.mark.parametrize(("slug", "kind"), [("simclr", "image"), ("byol", "image"), ("vicreg", "image"), ("simclr", "series")])
def test_a_step_asks_for_nothing(slug, kind, tmp_path, monkeypatch):
    assert waits(slug, kind, tmp_path, monkeypatch) == []


def test_the_watch_sees_what_labels_cost(tmp_path, monkeypatch):
    """Groups of equal labels are of another size in each batch, and have to be counted."""
    assert any("unique" in line for line in waits("sup_con", "image", tmp_path, monkeypatch))
