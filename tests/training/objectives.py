"""Objectives for the tests with two processes, every loss among them, and a model that emits the spaces they read."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from counterpoint import losses, pairs, terms
from counterpoint.core import similarity
from counterpoint.core.options import Part, children, use
from counterpoint.core.recipe import Contrast, Progress, Rows, Select, Term, View
from counterpoint.training import distributed
from counterpoint.training.step import gradients

WORLD, ITEMS, WIDTH, LABELS = 2, 12, 6, 3
ANY = {"item": torch.tensor([-1])}


def contrast(loss: Part, rule: Part | None = None, **more: Any) -> Contrast:
    return Contrast(rule or use(pairs.same), loss, **more)


def paired(loss: Part) -> Term:
    return Term(use(terms.paired, loss=loss, first=Select("z", views=(0,)), second=Select("z", views=(1,))))


def referenced(loss: Part) -> Term:
    return Term(use(terms.referenced, pairs=use(pairs.same), loss=loss, reference_anchors="old", reference_candidates="old"))


def both_ways(loss: Part) -> dict[str, Contrast]:
    sides = (("picture", "words"), ("words", "picture"))
    return {f"{a}_to_{c}": contrast(loss, anchors=a, candidates=c, scale="scale", weight=0.5) for a, c in sides}


label = use(pairs.same, key="label")

OBJECTIVES: dict[str, Contrast | Term | Mapping[str, Contrast | Term]] = {
    "info_nce": contrast(use(losses.info_nce, temperature=0.2)),
    "info_nce_each": contrast(use(losses.info_nce, several="each", negatives="mean"), label),
    "clip": both_ways(use(losses.info_nce, temperature=1.0)),
    "hydra": contrast(
        use(losses.info_nce, temperature=1.0, several="each"),
        use(pairs.same, key="partner", other="label", exclude="label"),
        anchors="gated",
        candidates="unit",
        similarity=use(similarity.dot),
        scale="scale",
    ),
    "queue": contrast(use(losses.info_nce, temperature=0.2), candidates=("z", "bank")),
    "neighbouring": contrast(use(losses.neighbouring, temperature=0.3), label),
    "decoupled": contrast(use(losses.decoupled, temperature=0.2)),
    "decoupled_weighted": contrast(use(losses.decoupled, temperature=0.2, weighted=True)),
    "supervised_out": contrast(use(losses.supervised, temperature=0.2), label),
    "supervised_in": contrast(use(losses.supervised, temperature=0.2, mean="in"), label),
    "sigmoid": contrast(use(losses.sigmoid)),
    "sigmoid_learned": contrast(use(losses.sigmoid, temperature=1.0, bias=0.0), scale="scale", bias="bias"),
    "cosine_regression": contrast(use(losses.cosine_regression), use(pairs.same, same_view=False)),
    "margin": contrast(use(losses.margin)),
    "active_margin": contrast(use(losses.active_margin)),
    "triplet_all": contrast(use(losses.triplet, margin=1.0, mining="all"), label),
    "triplet_hardest": contrast(use(losses.triplet, margin=1.0, mining="hardest"), label),
    "triplet_semi_hard": contrast(use(losses.triplet, margin=1.0, mining="semi_hard"), label),
    "multi_similarity": contrast(use(losses.multi_similarity, negative=10.0), label),
    "cacr": contrast(use(losses.cacr)),
    "score_gap": contrast(use(losses.score_gap)),
    "score_gap_whole": contrast(use(losses.score_gap, whole=True)),
    "groco": contrast(use(losses.groco, nearest=5, detach=False)),
    "groco_detached": contrast(use(losses.groco, nearest=5, detach=True)),
    "reweighted": contrast(use(losses.reweighted, prior=0.1)),
    "density_ratio": contrast(use(losses.density_ratio)),
    "density_ratio_square": contrast(use(losses.density_ratio, measure="square")),
    "transformed": contrast(use(losses.transformed)),
    "transformed_normalised": contrast(use(losses.transformed, normalised=True), label),
    "mixed_negatives": contrast(
        use(losses.mixed_negatives, hardest=1, between=2, towards=0)
    ),  # one negative: mixtures are no matter of chance
    "adaptive_heads": Term(use(terms.adaptive_heads, pairs=use(pairs.same), loss=use(losses.adaptive, hardest=4))),
    "proxies": contrast(use(losses.supervised), use(pairs.proxies, other="cluster"), candidates="centres"),
    "boosted": referenced(use(losses.boosted)),
    "similarity_distillation": referenced(use(losses.similarity_distillation)),
    "cluster_proxies": Term(use(terms.clustered, pairs=use(pairs.same), loss=use(losses.cluster_proxies), key="label")),
    "distilled": Term(use(terms.distilled, loss=use(losses.distillation, centring="batch"), teacher="old")),
    "vicreg": paired(use(losses.vicreg)),
    "barlow_twins": paired(use(losses.barlow_twins)),
    "whitening": paired(use(losses.whitening)),
    "squared_distance": paired(use(losses.squared_distance)),
    "reconstruction": paired(use(losses.reconstruction)),
    "swapped": Term(use(terms.swapped)),
    "of items": replace(paired(use(losses.vicreg, variance=0.0, covariance=0.0)), scope="item"),
}
# draws random numbers by the order of the candidates: equal to one process whose rows stand in the order of the processes, at equal seeds
DRAWN = {"transformed", "transformed_normalised"}
ELSEWHERE = {
    "nt_xent": "tensors in, a number out: no processes; info_nce in a recipe",
    "decoupled_nt_xent": "the same of decoupled",
    "sup_con": "the same of supervised",
    "clip": "the same of info_nce both ways",
    "gradient_scale": "a weight that moves over the run, not a loss",
    "diagnose": "looks at one batch and gives no loss",
    "Diagnosis": "what diagnose gives",
}


def terms_of(name: str) -> Mapping[str, Contrast | Term]:
    """The objective as the terms of a recipe."""
    found = OBJECTIVES[name]
    return found if isinstance(found, Mapping) else {name: found}


def parts_of(node: Any) -> Iterator[Part]:
    """Every part inside an objective."""
    if isinstance(node, Part):
        yield node
    for value in (node.options if isinstance(node, Part) else children(node)).values():
        yield from parts_of(value)


class Toy(nn.Module):
    """Linear maps; prototypes, a bank, gates and heads beside them."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.map, self.other = nn.Linear(5, WIDTH), nn.Linear(5, WIDTH)
        self.prototypes = nn.Parameter(torch.randn(4, WIDTH))
        self.register_buffer("bank", torch.randn(7, WIDTH))
        self.gate = nn.Embedding(labels, WIDTH)
        self.scale, self.bias = nn.Parameter(torch.ones(1, 1)), nn.Parameter(-torch.ones(1, 1))
        self.heads = nn.ModuleDict({name: nn.Linear(WIDTH, 5) for name in "ab"})
        self.halves = nn.ModuleDict({name: nn.Linear(5, 6) for name in "ab"})
        self.last = nn.ParameterDict({name: nn.Parameter(torch.randn(1, 4)) for name in "ab"})

    def forward(self, views: list[View], now: Progress) -> dict[str, Rows]:
        z = torch.cat([self.map(v.fields["x"]) for v in views])
        keys = {k: torch.cat([v.keys[k] for v in views]) for k in views[0].keys}
        keys["view"] = torch.arange(len(views)).repeat_interleave(len(views[0]))
        roles = ("global", "global")
        first, second = ({**v.keys, "view": torch.full_like(v.keys["item"], i)} for i, v in enumerate(views))
        unit = normalize(z, dim=1)
        gate = torch.sigmoid((self.gate(keys["label"]) + self.gate(keys["partner"])) / 2)
        out = {
            "z": Rows(z, keys, False, roles),
            "picture": Rows(self.map(views[0].fields["x"]), first, False, ("global",)),
            "words": Rows(self.other(views[1].fields["x"]), second, False, ("global",)),
            "unit": Rows(unit, keys, False, roles),
            "gated": Rows(unit * gate.square(), keys, False, roles),
            "scale": Rows(self.scale, ANY, True),
            "bias": Rows(self.bias, ANY, True),
            "prototypes": Rows(self.prototypes, {"item": -torch.ones(4, dtype=torch.long)}, True),
            "bank": Rows(self.bank, {"item": torch.arange(7) + 100000}, True),
            "old": Rows(z.detach() ** 2, keys, False, roles),
            "centres": Rows(self.prototypes, {"item": -torch.ones(4, dtype=torch.long), "cluster": torch.arange(4)}, True),
        }
        for name, head in self.heads.items():
            rows = head(z)
            out[f"head/{name}"] = Rows(rows, keys, False, roles)
            out[f"heat/{name}"] = Rows(self.halves[name](rows), keys, False, roles)
            out[f"heat_out/{name}"] = Rows(self.last[name], ANY, True)
        return out


class RankByRank(Toy):
    """The same with the rows in the order in which processes that share the items gather them."""

    def forward(self, views: list[View], now: Progress) -> dict[str, Rows]:
        out = super().forward(views, now)
        share = len(views[0]) // WORLD
        return {s: r if r.shared else r.where((r.keys["item"] // share).argsort(stable=True)) for s, r in out.items()}


def step(
    name: str, chunk: int, part: slice = slice(None), *, items: int = ITEMS, labels: int = LABELS, make: type[Toy] = Toy
) -> dict[str, Tensor]:
    """The loss and every parameter's gradient, summed over the processes, of a step on this part of the items."""
    torch.manual_seed(0)
    model = make(labels)
    x = torch.randn(2, items, 5)
    item = torch.arange(items)
    keys = {"item": item, "label": item % labels, "partner": (item * 7 + item // labels) % labels}
    views = [View("global", {"x": x[v][part]}, {k: value[part] for k, value in keys.items()}) for v in range(2)]
    run = SimpleNamespace(
        model=model, now=Progress(step=50, steps=100), chunk=chunk, autocast=nullcontext,
        seed=lambda purpose: torch.manual_seed(zlib.crc32(purpose.encode())),
        backward=lambda loss, inputs: loss.backward(inputs=list(inputs)),
    )  # fmt: skip
    log: dict[str, Any] = {"loss": 0.0, "terms": {}}
    learning = list(model.parameters())
    gradients(run, views, terms_of(name), {}, 1, learning, log, "test")
    distributed.sum_gradients(learning)
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()}
    return {**found, "loss": torch.as_tensor(log["loss"]).detach().reshape(1)}
