"""Two gloo processes: loss and gradient of every objective that gathers equal those of one process with the global batch."""

import socket
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as multiprocessing
from safetensors.torch import load_file, save_file
from torch import nn

from counterpoint import losses, pairs, terms
from counterpoint.core.options import use
from counterpoint.core.recipe import Contrast, Progress, Rows, Select, Term, View
from counterpoint.training import distributed
from counterpoint.training.step import gradients

WORLD, ITEMS, WIDTH = 2, 12, 6


def contrast(loss, rule=None, **more):
    return Contrast(rule or use(pairs.same), loss, **more)


def paired(loss):
    return Term(use(terms.paired, loss=loss, first=Select("z", views=(0,)), second=Select("z", views=(1,))))


OBJECTIVES = {
    "info_nce": contrast(use(losses.info_nce, temperature=0.2)),
    "decoupled": contrast(use(losses.decoupled, temperature=0.2)),
    "decoupled_weighted": contrast(use(losses.decoupled, temperature=0.2, weighted=True)),
    "supervised_out": contrast(use(losses.supervised, temperature=0.2), use(pairs.same, key="label")),
    "supervised_in": contrast(use(losses.supervised, temperature=0.2, mean="in"), use(pairs.same, key="label")),
    "sigmoid": contrast(use(losses.sigmoid)),
    "cosine_regression": contrast(use(losses.cosine_regression), use(pairs.same, same_view=False)),
    "info_nce_each": contrast(use(losses.info_nce, several="each", negatives="mean"), use(pairs.same, key="label")),
    "margin": contrast(use(losses.margin)),
    "triplet": contrast(use(losses.triplet, margin=1.0, mining="all"), use(pairs.same, key="label")),
    "multi_similarity": contrast(use(losses.multi_similarity, negative=10.0), use(pairs.same, key="label")),
    "cacr": contrast(use(losses.cacr)),
    "groco": contrast(use(losses.groco, nearest=5, detach=False)),
    "reweighted": contrast(use(losses.reweighted, prior=0.1)),
    "density_ratio": contrast(use(losses.density_ratio)),
    "mixed_negatives": contrast(
        use(losses.mixed_negatives, hardest=1, between=2, towards=0)
    ),  # one negative: mixtures are no matter of chance
    "proxies": contrast(use(losses.supervised), use(pairs.proxies, other="cluster"), candidates="centres"),
    "boosted": Term(
        use(terms.referenced, pairs=use(pairs.same), loss=use(losses.boosted), reference_anchors="old", reference_candidates="old")
    ),
    "similarity_distillation": Term(
        use(
            terms.referenced,
            pairs=use(pairs.same),
            loss=use(losses.similarity_distillation),
            reference_anchors="old",
            reference_candidates="old",
        )
    ),
    "cluster_proxies": Term(use(terms.clustered, pairs=use(pairs.same), loss=use(losses.cluster_proxies), key="label")),
    "distilled": Term(use(terms.distilled, loss=use(losses.distillation, centring="batch"), teacher="old")),
    "queue": contrast(use(losses.info_nce, temperature=0.2), candidates=("z", "bank")),
    "vicreg": paired(use(losses.vicreg)),
    "barlow_twins": paired(use(losses.barlow_twins)),
    "swapped": Term(use(terms.swapped)),
    "of items": replace(paired(use(losses.vicreg, variance=0.0, covariance=0.0)), scope="item"),
}


class Toy(nn.Module):
    """A linear map; prototypes and a bank beside it."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(5, WIDTH)
        self.prototypes = nn.Parameter(torch.randn(4, WIDTH))
        self.register_buffer("bank", torch.randn(7, WIDTH))

    def forward(self, views, now):
        z = torch.cat([self.map(v.fields["x"]) for v in views])
        keys = {k: torch.cat([v.keys[k] for v in views]) for k in views[0].keys}
        keys["view"] = torch.arange(len(views)).repeat_interleave(len(views[0]))
        stale = {"item": torch.arange(7) + 100}
        return {
            "z": Rows(z, keys, False, ("global", "global")),
            "prototypes": Rows(self.prototypes, {"item": -torch.ones(4, dtype=torch.long)}, True),
            "bank": Rows(self.bank, stale, True),
            "old": Rows(z.detach() ** 2, keys, False, ("global", "global")),
            "centres": Rows(self.prototypes, {"item": -torch.ones(4, dtype=torch.long), "cluster": torch.arange(4)}, True),
        }


def setting(name, chunk, part=slice(None)):
    torch.manual_seed(0)
    model = Toy()
    x = torch.randn(2, ITEMS, 5)
    item, label = torch.arange(ITEMS), torch.arange(ITEMS) % 3
    views = [View("global", {"x": x[v][part]}, {"item": item[part], "label": label[part]}) for v in range(2)]
    run = SimpleNamespace(
        model=model, now=Progress(step=50, steps=100), chunk=chunk, seed=lambda purpose: None, autocast=nullcontext,
        backward=lambda loss, inputs: loss.backward(inputs=list(inputs)),
    )  # fmt: skip
    log = {"loss": 0.0, "terms": {}}
    learning = list(model.parameters())
    gradients(run, views, {name: OBJECTIVES[name]}, {}, 1, learning, log, "test")
    distributed.sum_gradients(learning)
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()}
    return {**found, "loss": torch.as_tensor(log["loss"]).detach().reshape(1)}


def worker(rank, port, folder, chunk):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD)
    share = slice(rank * ITEMS // WORLD, (rank + 1) * ITEMS // WORLD)
    found = {}
    for name in OBJECTIVES:
        found |= {f"{name}/{k}": v.contiguous() for k, v in setting(name, chunk, share).items()}
    save_file(found, f"{folder}/{rank}.safetensors")
    torch.distributed.destroy_process_group()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module", params=[100, 3], ids=["one pass", "two passes"])
def two_processes(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(worker, (free_port(), str(folder), request.param), nprocs=WORLD)
    return [load_file(folder / f"{rank}.safetensors") for rank in range(WORLD)]


@pytest.mark.two_process
@pytest.mark.parametrize("name", OBJECTIVES)
def test_loss_and_gradient_equal_those_of_one_process(two_processes, name):
    wanted = setting(name, 100)
    assert any(v.abs().max() > 1e-6 for k, v in wanted.items() if k != "loss"), "the objective gives no gradient"
    for rank, found in enumerate(two_processes):
        for key, value in wanted.items():
            torch.testing.assert_close(
                found[f"{name}/{key}"], value, rtol=1e-4, atol=1e-6, msg=lambda m, k=key, r=rank: f"rank {r}, {k}: {m}"
            )


def test_one_process_gathers_nothing():
    out = {"z": Rows(torch.randn(3, 2), {"item": torch.arange(3)})}
    assert distributed.gather(out) is out
    assert torch.equal(distributed.share_of(torch.arange(5)), torch.arange(5))
    assert distributed.world() == 1
