"""The model of paired modalities: a tower for each, one space they share, a learned scale (Radford et al., ICML 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, RequirementError, nearest
from counterpoint.core.options import NotNegative, Part, Positive, use
from counterpoint.core.recipe import UNKNOWN, Batch, Embeddings, Progress, Rows, Spec, View
from counterpoint.encoders import heads
from counterpoint.encoders.kinds import default
from counterpoint.encoders.stacking import encode, evaluating, frame


def towers(
    spec: Spec,
    *,
    backbones: Mapping[str, Part] = {},
    projector: Part = use(heads.linear),  # noqa: B008  (a part is a frozen value)
    temperature: Positive = 0.07,
    largest_scale: Positive = 100.0,
    bias: float | None = None,
    teacher: Part | None = None,
    pool: Mapping[str, NotNegative] = {},
) -> Towers:
    """One backbone and projector per modality. Spaces: one named after each modality, and "scale" (and "bias"), shared.

    backbones: modality -> backbone; the default network of its kind where none is given.
    projector: (width) -> module with `width`, made once for each modality.
    temperature: 1 / scale at the start; the scale is learned as a logarithm.
    largest_scale: the scale is held at or below this after every update.
    teacher: (backbone, projector) -> module (views, modality) -> Rows, a moving average of a tower; spaces "teacher/<modality>".
    bias: start of a learned bias (the sigmoid loss starts at -10); none where not given.
    pool: modality -> weight: the space "pooled" holds the weighted mean of an item's rows of length one, at length one again (CLIPPINGS,
        paper 014), and the embedding is made so too; of an item that lacks modalities, of those that are there.
    """
    if unknown := [name for name in (*backbones, *pool) if name not in spec.modalities]:
        raise OptionError(f"the data have no modality {unknown[0]!r}{nearest(unknown[0], spec.modalities)}")
    found = {}
    for name, modality in spec.modalities.items():
        backbone = backbones.get(name, default(modality))(modality)
        found[name] = Tower(backbone, projector(backbone.width))
    twins = {} if teacher is None else {name: teacher(tower.backbone, tower.projector) for name, tower in found.items()}
    return Towers(found, temperature, largest_scale, bias, twins, pool)


class Tower(nn.Module):
    """A backbone and a projector."""

    def __init__(self, backbone: nn.Module, projector: nn.Module) -> None:
        super().__init__()
        self.backbone, self.projector = backbone, projector

    def forward(self, fields: Sequence[Mapping[str, object]], modality: str) -> Tensor:
        return torch.as_tensor(self.projector(encode(self.backbone, fields, modality)))


class Number(nn.Module):
    """A learned number as shared rows (1, 1), held at or below `largest`."""

    def __init__(self, start: float, largest: float = math.inf) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor([[start]]))
        self.largest = largest

    def forward(self) -> Rows:
        return Rows(self.value, {"item": torch.full((1,), UNKNOWN, device=self.value.device)}, shared=True)

    @torch.no_grad()
    def after_update(self, out: Embeddings, now: Progress) -> None:
        self.value.clamp_(max=self.largest)


class Towers(nn.Module):
    """See `towers`. Children: `towers.<modality>`, `scale`, `bias`, `teachers.<modality>`."""

    def __init__(
        self,
        found: Mapping[str, Tower],
        temperature: float,
        largest_scale: float,
        bias: float | None,
        teachers: Mapping[str, nn.Module] = MappingProxyType({}),
        pool: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        super().__init__()
        self.pool = dict(pool)
        self.names = {name: child_name(name) for name in found}
        self.towers = nn.ModuleDict({self.names[name]: tower for name, tower in found.items()})
        self.scale = Number(-math.log(temperature), math.log(largest_scale))
        if bias is not None:
            self.bias = Number(bias)
        self.teachers = nn.ModuleDict({self.names[name]: teacher for name, teacher in teachers.items()})

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        """All views at once; a view belongs to every modality that its fields hold."""
        out: Embeddings = {}
        for name, child in self.names.items():
            seen = [i for i, view in enumerate(views) if name in view.fields]
            if not seen:
                raise RequirementError(f"no view holds the modality {name!r}; views.modalities makes one view of each")
            z = self.towers[child]([views[i].fields for i in seen], name)
            out[name] = frame(views, seen).holding(z)
            if child in self.teachers:
                out[f"teacher/{name}"] = out[name].holding(self.teachers[child]([views[i] for i in seen], name).z)
        if self.pool:
            sizes = {name: len(out[name]) for name in self.names}
            if len(set(sizes.values())) > 1:
                raise RequirementError(f"rows are pooled item by item, and the modalities have {sizes} rows; make as many views of each")
            pooled = self.pooled({name: functional.normalize(out[name].z.float(), dim=1) for name in self.names})
            out["pooled"] = out[next(iter(self.names))].holding(pooled)
        out["scale"] = self.scale()
        if hasattr(self, "bias"):
            out["bias"] = self.bias()
        return out

    def embed(self, batch: Batch) -> Embeddings:
        """Each modality's rows of length one and "embedding", their mean; a batch may lack modalities. Eval mode, no gradient."""
        there = [name for name in self.names if name in batch.fields]
        if not there:
            raise RequirementError(f"the batch holds none of the modalities {', '.join(self.names)}")

        def compute() -> dict[str, Tensor]:
            fields = dict(batch.fields)
            return {n: functional.normalize(self.towers[self.names[n]]([fields], n).float(), dim=1) for n in there}

        each = evaluating(self, compute)
        out = {name: Rows(z, batch.keys) for name, z in each.items()}
        embedding = self.pooled(each) if self.pool else torch.stack([*each.values()]).mean(0)
        return {**out, "embedding": Rows(embedding, batch.keys)}

    def pooled(self, each: Mapping[str, Tensor]) -> Tensor:
        """(n, d) of length one: the mean of rows of length one, weighted by `pool`; evenly where all that are there weigh nothing."""
        weights = {name: self.pool.get(name, 0.0) for name in each}
        if not any(weights.values()):
            weights = dict.fromkeys(each, 1.0)
        return functional.normalize(torch.stack([weight * each[name] for name, weight in weights.items() if weight]).sum(0), dim=1)


def child_name(name: str) -> str:
    """A name that a child module may have."""
    safe = name.replace(".", "_")
    return f"{safe}_" if hasattr(nn.ModuleDict, safe) or hasattr(nn.ModuleDict(), safe) else safe
