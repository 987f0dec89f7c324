"""Two gloo processes: loss and gradient of every objective that gathers equal those of one process with the global batch."""

import inspect
import re
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file, save_file

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.recipe import Contrast, Rows, Term
from counterpoint.core.similarity import plan
from counterpoint.training import distributed
from tests.training.objectives import DRAWN, ELSEWHERE, ITEMS, OBJECTIVES, WORLD, RankByRank, Toy, parts_of, step, terms_of
from tests.watch import Watch

MANY = 256  # items, two rows each, where memory is watched; and twice as many


def joined(rank, port):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)


def share_of(rank, items):
    return slice(rank * items // WORLD, (rank + 1) * items // WORLD)


def worker(rank, port, folder, chunk):
    joined(rank, port)
    found = {}
    for name in OBJECTIVES:
        found |= {f"{name}/{k}": v.contiguous() for k, v in step(name, chunk, share_of(rank, ITEMS)).items()}
    save_file(found, f"{folder}/{rank}.safetensors")
    torch.distributed.destroy_process_group()


def watcher(rank, port, folder):
    """At two sizes the largest tensor and the peak of what lives, with small tiles of which none is kept."""
    joined(rank, port)
    plan.TILE["cpu"], plan.KEEP = 64, 0
    inspect.getmodule(losses.similarity_distillation)._STRIPE = 1 << 13
    found = {}
    for name in OBJECTIVES:
        for items in (MANY, 2 * MANY):
            with Watch() as watch:
                step(name, items, share_of(rank, items), items=items, labels=items // 2)
            found[f"{name}/{items}"] = torch.tensor([watch.largest, watch.peak])
    save_file(found, f"{folder}/{rank}.safetensors")
    torch.distributed.destroy_process_group()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawned(function, folder, *more):
    multiprocessing.spawn(function, (free_port(), str(folder), *more), nprocs=WORLD)
    return [load_file(folder / f"{rank}.safetensors") for rank in range(WORLD)]


@pytest.fixture(scope="module", params=[100, 3], ids=["one pass", "two passes"])
def two_processes(request, tmp_path_factory):
    return spawned(worker, tmp_path_factory.mktemp("processes"), request.param)


@pytest.mark.two_process
@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_and_gradient_equal_those_of_one_process(two_processes, name):
    wanted = step(name, 100, make=RankByRank if name in DRAWN else Toy)
    assert any(v.abs().max() > 1e-6 for k, v in wanted.items() if k != "loss"), "the objective gives no gradient"
    for rank, found in enumerate(two_processes):
        for key, value in wanted.items():
            torch.testing.assert_close(
                found[f"{name}/{key}"], value, rtol=1e-4, atol=1e-6, msg=lambda m, k=key, r=rank: f"rank {r}, {k}: {m}"
            )


def test_every_loss_is_an_objective_or_says_why_not():
    inside = {part.make.__name__ for name in OBJECTIVES for term in terms_of(name).values() for part in parts_of(term)}
    tested = {name for name in losses.__all__ if name in inside}
    assert tested | set(ELSEWHERE) == set(losses.__all__)
    assert not tested & set(ELSEWHERE)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    return spawned(watcher, tmp_path_factory.mktemp("watched"))


@pytest.mark.two_process
@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_process_holds_the_scores(watched, name):
    """Neither (N, N) nor its own anchors' (N / W, N), in one tensor or in many: twice the rows, twice the memory."""
    for found in watched:
        largest, peak = found[f"{name}/{2 * MANY}"].tolist()
        assert 0 < largest < (4 * MANY) ** 2 / WORLD / 8
        assert peak < 2.3 * found[f"{name}/{MANY}"][1]


def test_the_watch_would_see_them(monkeypatch):
    """A matrix of the own anchors' scores; and tiles that are small, but all kept."""
    z = torch.randn(4 * MANY, 6)
    with Watch() as watch:
        similarity.cosine(z[: 2 * MANY], z).matrix().logsumexp(1)
    assert watch.largest == (4 * MANY) ** 2 / WORLD
    monkeypatch.setitem(plan.TILE, "cpu", 64)
    peaks = []
    for items in (MANY, 2 * MANY):
        with Watch() as watch:
            step("info_nce", items, items=items, labels=2)
        peaks.append(watch.peak)
    assert peaks[1] > 2.5 * peaks[0]


def test_one_process_gathers_nothing():
    out = {"z": Rows(torch.randn(3, 2), {"item": torch.arange(3)})}
    assert distributed.gather(out) is out
    assert torch.equal(distributed.share_of(torch.arange(5)), torch.arange(5))
    assert distributed.world() == 1


def test_the_page_says_what_is_declared():
    """The table of docs/concepts/losses.md against the marks of the code and the terms of the objectives."""
    page = (Path(__file__).parents[2] / "docs" / "concepts" / "losses.md").read_text(encoding="utf-8")
    said = {}
    for line in re.findall(r"^\| (`.*) \| (rows apart|in a term|`@joint\(.*\)`) \|.*$", page, flags=re.MULTILINE):
        said |= dict.fromkeys(re.findall(r"`(\w+)`", line[0]), line[1])
    assert set(said) == set(losses.__all__) - set(ELSEWHERE)
    for name, declared in said.items():
        mark = getattr(getattr(losses, name), "__joint__", False)
        assert declared in {False: ("rows apart", "in a term"), True: ("`@joint()`",)}.get(mark, (f'`@joint("{mark}")`',)), name
        kinds = {type(t) for o in OBJECTIVES for t in terms_of(o).values() for p in parts_of(t) if p.make is getattr(losses, name)}
        assert kinds == {Term if declared == "in a term" else Contrast}, name
