"""What is made ahead is what would be made when it is due: the same weights, bit for bit. And how streams wait for each other."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from counterpoint import checks, data
from counterpoint.core import registry, values
from counterpoint.core.options import use
from counterpoint.core.recipe import Batch, Graph, Round, RowLoss, Stage, Term, Update, View
from counterpoint.data.held import held, size_of
from counterpoint.training import feed as feeding
from counterpoint.training.feed import Beside, Place, pinned, tensors_of
from counterpoint.training.loop import Training
from counterpoint.training.settings import Settings

gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def train(given, folder, changes=(), slug="simclr", ahead=True, fit=True, **settings):
    recipe = registry.get(slug)(given.spec)
    for path, value in dict(changes).items():
        recipe = recipe.at(path, value)
    chosen = {"epochs": 3, "batch": 16, "log_every": 2, "accelerator": "cpu", "precision": "32-true", **settings}
    run = Training(recipe, given, Settings(**chosen), folder)
    run.ahead = ahead
    if fit:
        run.fit()
    return run


def same(one, two):
    wanted, got = one.model.state_dict(), two.model.state_dict()
    assert wanted.keys() == got.keys()
    for name, tensor in wanted.items():
        assert torch.equal(tensor, got[name]), name


# ---- rounds and views that notice when they run


def scatter(run, *, name="noise"):
    """A column that is another one each time, written in place the second time on."""
    drawn = torch.rand(int(run.data.ids.max()) + 1) + run.now.step
    if name in run.columns:
        run.columns[name].copy_(drawn)
    else:
        run.columns[name] = drawn
    run.tables[name] = drawn.mean()


def noticing(batch, generator, now, *, strength=0.1):
    """Views that depend on all they may: the generator, the moment, a column, a table of the run."""
    x = batch.fields["x"]
    column = batch.keys.get("noise", torch.zeros(len(batch)))
    table = batch.tables.get("noise", torch.zeros(()))
    shift = strength * (now.step + column + table)[:, None] / 10
    return [View("global", {"x": x + shift + strength * torch.randn(x.shape, generator=generator)}, dict(batch.keys)) for _ in range(2)]


def mean_of(out, tables, now):
    z = out["z"]
    return RowLoss(z.z.square().mean(1) * z.keys["noise"], torch.ones(len(z), dtype=torch.bool))


NOTICING = {"views": use(noticing)}
EVERY = (Round(use(scatter), "start"), Round(use(scatter), 2), Round(use(scatter), "epoch"))
STAGES = (
    Stage("weak", 0.34, {"views.strength": 0.1}),
    Stage("strong", 0.33, {"views.strength": 1.0}, ("projector",)),
    Stage("again", 0.33, {"views.strength": 0.3}),
)
LATER = (Round(use(scatter), 2, use(values.step, before=0.0, after=1.0, share=0.4)),)


@pytest.mark.parametrize(
    ("slug", "changes", "settings"),
    [
        ("simclr", {}, {}),
        ("swav", {}, {}),
        ("moco", {}, {}),
        ("bacon", {}, {}),
        ("simclr", {**NOTICING, "rounds": EVERY, "objective.extra": Term(use(mean_of))}, {}),
        ("simclr", {**NOTICING, "rounds": LATER}, {}),
        ("simclr", {**NOTICING, "stages": STAGES}, {}),
        ("simclr", {**NOTICING, "rounds": EVERY}, {"batch": 8, "effective_batch": 24}),
        ("simclr", {**NOTICING, "updates": (Update(("backbone",)), Update(("projector",), sign=-1))}, {}),
    ],
    ids=["simclr", "swav", "moco", "bacon", "rounds", "rounds that begin later", "stages", "two passes", "two updates"],
)
def test_weights_are_those_without_looking_ahead(tmp_path, slug, changes, settings):
    given = checks.example("array")
    if slug == "bacon":
        pytest.importorskip("sklearn")
    plain = train(given, tmp_path / "a", changes, slug, False, **settings)
    same(plain, train(given, tmp_path / "b", changes, slug, True, **settings))


def test_a_graph_whose_neighbours_are_drawn(tmp_path):
    given = checks.example("graph")
    plain = train(given, tmp_path / "a", ahead=False, neighbours=(3, 3))
    same(plain, train(given, tmp_path / "b", neighbours=(3, 3)))


def test_data_that_stream(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(96, 4096)).astype(np.float32))
    whole, disk = data.read(path, kind="array"), data.read(path, kind="array", memory=500_000)
    assert whole.in_memory and not disk.in_memory
    changes = {**NOTICING, "rounds": EVERY}
    plain = train(disk, tmp_path / "a", changes, ahead=False)
    same(plain, train(disk, tmp_path / "b", changes))
    same(plain, train(whole, tmp_path / "c", changes))


class Stop(Exception):
    pass


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(("changes", "broken"), [({"rounds": EVERY}, 5), ({"stages": STAGES[:2]}, 6)], ids=["rounds", "a stage is near"])
def test_a_run_that_broke_off_goes_on_as_if_it_had_not(tmp_path, ahead, changes, broken):
    given, changes = checks.example("array"), {**NOTICING, **changes}
    whole = train(given, tmp_path / "a", changes, ahead=ahead)
    first = train(given, tmp_path / "b", changes, ahead=ahead, fit=False, save_every=0, log_every=1)

    def stop(run, line):
        if line["step"] == broken:
            raise Stop

    with pytest.raises(Stop):
        first.fit(stop)
    rest = train(given, tmp_path / "b", changes, ahead=ahead, fit=False)
    rest.resume()
    assert rest.now.step == broken - 1
    rest.fit()
    same(whole, rest)


# ---- what comes before what

SEEN: list = []


def write_step(run, *, column="noise"):
    SEEN.append(("round", run.now.step))
    run.columns[column] = torch.full((len(run.data),), float(run.now.step))


def telling(batch, generator, now):
    SEEN.append(("views", now.step, batch.keys["noise"].unique().tolist()))
    return noticing(batch, generator, now)


def test_a_round_comes_before_its_batch_and_views_before_the_log(tmp_path):
    SEEN.clear()
    changes = {"views": use(telling), "rounds": (Round(use(write_step), "start"), Round(use(write_step), 2))}
    run = train(checks.example("array"), tmp_path, changes, fit=False, epochs=2, log_every=1)
    run.fit(lambda run, line: SEEN.append(("log", line["step"])))
    assert SEEN == [
        ("round", 0), ("round", 0), ("views", 0, [0.0]),
        ("views", 1, [0.0]), ("log", 1),  # ahead, while the step before it runs
        ("log", 2), ("round", 2), ("views", 2, [2.0]),  # not ahead: a round is due
        ("log", 3),  # nor across the end of a pass
        ("views", 3, [2.0]),
        ("log", 4), ("round", 4), ("views", 4, [4.0]),
        ("views", 5, [4.0]), ("log", 5), ("log", 6),
    ]  # fmt: skip


def test_the_timing_of_a_budget_leaves_no_trace(tmp_path):
    run = train(checks.example("array"), tmp_path, fit=False, epochs=None, time=1000)
    before = {n: p.clone() for n, p in run.model.state_dict().items()}
    run._budget(0.5)
    assert all(torch.equal(before[n], p) for n, p in run.model.state_dict().items())
    assert run.now.step == run.position == run.drawn == 0


# ---- streams


class Spy:
    """Stands for a stream and for its events."""

    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def record_event(self):
        self.seen.append(f"{self.name} records")
        return f"event of {self.name}"

    def wait_event(self, event):
        assert event is not None
        self.seen.append(f"{self.name} waits for {event}")

    def wait_stream(self, other):
        self.seen.append(f"{self.name} waits for all of {other.name}")


def test_streams_wait_for_each_other(monkeypatch):
    seen: list = []
    main, side = Spy("main", seen), Spy("side", seen)
    current = [main]

    @contextmanager
    def entered(stream):
        current.append(stream)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "Stream", lambda device, priority: side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: current[-1])
    monkeypatch.setattr(torch.cuda, "stream", entered)
    beside = Beside(torch.device("cuda:0"))
    beside.mark()
    with beside.working():
        seen.append(f"work on {current[-1].name}")
    beside.hand_over({})
    beside.join()
    assert seen == [
        "main records", "side waits for event of main", "work on side", "side records", "main waits for event of side",
        "main waits for all of side",
    ]  # fmt: skip


def test_without_a_gpu_there_is_no_stream():
    beside = Beside(torch.device("cpu"))
    beside.mark()
    with beside.working():
        pass
    beside.hand_over({"x": torch.ones(1)})
    beside.join()
    assert beside.stream is None


def test_no_tensor_is_overlooked():
    each = [torch.full((2,), i) for i in range(7)]
    graph = Graph({"x": each[0], "edge_index": each[1], "more": {"a": each[2]}}, each[3])
    batch = Batch({"x": graph, "y": each[4]}, {"item": each[5]})
    found = list(tensors_of((batch, [View("global", {"x": each[6]}, {"item": each[5]})])))
    assert {id(x) for x in found} == {id(x) for x in each}


# ---- where the data lie


@pytest.mark.parametrize("kind", [*checks.KINDS, "paired"])
def test_items_that_are_held_are_those_of_the_set(kind):
    given = checks.example(kind)
    there, ids = held(given, torch.device("cpu")), given.ids[[3, 1, 4, 1, 5]]
    one, two = given.batch(ids), there.batch(ids)
    for x, y in zip(tensors_of(one), tensors_of(two), strict=True):
        assert torch.equal(x.nan_to_num(), y.nan_to_num())
    assert size_of(given) > 0


def test_items_are_picked_on_the_device_where_they_lie():
    there = held(checks.example("image"), torch.device("meta"))
    found = there.batch(torch.arange(4))
    assert {x.device.type for x in tensors_of(found)} == {"meta"}
    assert found.fields["x"].shape == (4, 1, 16, 16)


def test_training_on_data_that_are_held(tmp_path, monkeypatch):
    given = checks.example("text")
    plain = train(given, tmp_path / "a")
    monkeypatch.setattr(feeding, "fits", lambda data, device: data.in_memory)
    run = train(given, tmp_path / "b")
    assert run.place.of(given) is run.place.of(given) is not None
    same(plain, run)


def test_a_small_part_of_the_memory_is_taken(monkeypatch):
    given = checks.example("image")
    size, gpu_zero = size_of(given), torch.device("cuda:0")
    for free, wanted in ((4 * size, True), (4 * size - 4, False)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, free=free: (free, 10**12))
        assert feeding.fits(given, gpu_zero) is wanted
    assert not feeding.fits(given, torch.device("cpu"))


def test_a_column_is_moved_again_when_it_was_written_to():
    place, column = Place(torch.device("meta")), torch.zeros(5)
    first = place.here("cluster", column)
    assert first.device.type == "meta" and place.here("cluster", column) is first
    column[2] = 1.0
    second = place.here("cluster", column)
    assert second is not first and place.here("cluster", column) is second
    assert place.here("cluster", column.clone()) is not second
    third = place.here("cluster", column)
    place.forget()
    assert place.here("cluster", column) is not third
    assert place.here("users", 7) == 7


@gpu
def test_on_a_gpu_the_weights_are_those_without_looking_ahead(tmp_path):
    given, settings = checks.example("image"), {"accelerator": "cuda", "epochs": 4}
    plain = train(given, tmp_path / "a", ahead=False, **settings)
    run = train(given, tmp_path / "b", **settings)
    assert run.place.of(given) is not None and run.beside.stream is not None
    for name, tensor in plain.model.state_dict().items():
        assert torch.allclose(tensor.float(), run.model.state_dict()[name].float(), atol=1e-4), name


@gpu
def test_a_batch_that_streams_is_pinned():
    made = pinned(checks.example("graph").batch(torch.arange(4)))
    assert all(x.is_pinned() for x in tensors_of(made))
