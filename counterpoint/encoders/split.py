"""Paired modalities with a shared and a private part each: what the modalities have in common, and what only one of them says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, RequirementError, nearest
from counterpoint.core.options import Count, Part, Whole, use
from counterpoint.core.recipe import Batch, Embeddings, Progress, Rows, Spec, View
from counterpoint.encoders.kinds import default
from counterpoint.encoders.stacking import encode, evaluating, frame
from counterpoint.encoders.targets import standardised
from counterpoint.encoders.towers import child_name


def split_towers(
    spec: Spec,
    *,
    backbones: Mapping[str, Part] = {},
    shared: Count = 96,
    private: Whole = 32,
    hidden: Count = 256,
    target: Part = use(standardised),  # noqa: B008  (a part is a frozen value)
    embed: Literal["whole", "shared"] = "whole",
) -> SplitTowers:
    """Two heads on each backbone, and decoders (SpecCLIP, paper 091).

    Spaces for modalities a, b: "a" the shared rows (n, shared), "private/a" (n, private), "target/a" what is to be reproduced (n, D),
    "own/a" the same decoded from both parts of a, "cross/a/b" what is to be reproduced of b, predicted from the shared rows of a alone.

    backbones: modality -> backbone; the default network of its kind where none is given.
    shared: width of the shared part.
    private: width of the private part; 0 leaves one part, which does both.
    hidden: width of the heads and decoders.
    target: (Modality) -> module (b, …) -> (b, D) with `width`, what is reproduced.
    embed: what `embed` returns as the embedding: the mean of the shared parts beside all private ones, or that mean alone.
    """
    if unknown := [name for name in backbones if name not in spec.modalities]:
        raise OptionError(f"the data have no modality {unknown[0]!r}{nearest(unknown[0], spec.modalities)}")
    trunks = {name: backbones.get(name, default(modality))(modality) for name, modality in spec.modalities.items()}
    targets = {name: target(modality) for name, modality in spec.modalities.items()}
    return SplitTowers(trunks, targets, shared, private, hidden, embed == "whole")


class Residual(nn.Module):
    """y = A x,  y + MLP(LayerNorm(y))."""

    def __init__(self, width_in: int, width: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(width_in, width)
        self.rest = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return torch.as_tensor(y + self.rest(y))


def decoder(width_in: int, width: int, hidden: int, layers: int, dropout: float = 0.0) -> nn.Sequential:
    """A perceptron with GELU (and LayerNorm and dropout between its layers, where there are more than two)."""
    found: list[nn.Module] = []
    for number in range(layers - 1):
        norm = [nn.LayerNorm(hidden)] if layers > 2 else []
        found += [nn.Linear(width_in if number == 0 else hidden, hidden), *norm, nn.GELU(), nn.Dropout(dropout)]
    return nn.Sequential(*found, nn.Linear(hidden, width))


class SplitTowers(nn.Module):
    """See `split_towers`. Children, each by modality: `backbones`, `shared`, `private`, `decoders`, and `translators` by "a_to_b"."""

    def __init__(
        self, trunks: Mapping[str, nn.Module], targets: Mapping[str, nn.Module], shared: int, private: int, hidden: int, whole: bool
    ) -> None:
        super().__init__()
        self.names = {name: child_name(name) for name in trunks}
        self.whole, self.private_width = whole, private

        def each(make: object) -> nn.ModuleDict:
            return nn.ModuleDict({self.names[name]: make(name) for name in trunks})  # type: ignore[operator]

        self.backbones = each(lambda name: trunks[name])
        self.shared = each(lambda name: Residual(int(trunks[name].width), shared, hidden))  # type: ignore[arg-type]
        if private:
            self.private = each(lambda name: Residual(int(trunks[name].width), private, hidden))  # type: ignore[arg-type]
        self.targets = each(lambda name: targets[name])
        self.decoders = each(lambda name: decoder(shared + private, int(targets[name].width), hidden, 2))  # type: ignore[arg-type]
        self.translators = nn.ModuleDict(
            {
                f"{self.names[a]}_to_{self.names[b]}": decoder(shared, int(targets[b].width), hidden, 4, 0.1)  # type: ignore[arg-type]
                for a, b in permutations(trunks, 2)
            }
        )

    def parts(self, fields: Sequence[Mapping[str, object]], name: str) -> tuple[Tensor, Tensor | None]:
        """(shared (n, s), private (n, p) or None) of one modality."""
        h = encode(self.backbones[self.names[name]], fields, name)
        return self.shared[self.names[name]](h), self.private[self.names[name]](h) if self.private_width else None

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        """All views at once; a view belongs to every modality that its fields hold."""
        out: Embeddings = {}
        for name, child in self.names.items():
            seen = [i for i, view in enumerate(views) if name in view.fields]
            if not seen:
                raise RequirementError(f"no view holds the modality {name!r}; views.modalities makes one view of each")
            fields = [views[i].fields for i in seen]
            rows = frame(views, seen)
            shared, private = self.parts(fields, name)
            both = shared if private is None else torch.cat([shared, private], dim=1)
            out[name] = rows.holding(shared)
            if private is not None:
                out[f"private/{name}"] = rows.holding(private)
            out[f"target/{name}"] = rows.holding(encode(self.targets[child], fields, name))
            out[f"own/{name}"] = rows.holding(self.decoders[child](both))
            for other in self.names:
                if other != name:
                    out[f"cross/{name}/{other}"] = rows.holding(self._translator(name, other)(shared))
        return out

    def embed(self, batch: Batch) -> Embeddings:
        """Shared rows of length one by modality, "private/…", and "embedding"; of modalities that the batch lacks the private part is 0."""
        there = [name for name in self.names if name in batch.fields]
        if not there:
            raise RequirementError(f"the batch holds none of the modalities {', '.join(self.names)}")
        fields = [dict(batch.fields)]
        found: dict[str, tuple[Tensor, Tensor | None]] = evaluating(self, lambda: {name: self.parts(fields, name) for name in there})
        shared = {name: functional.normalize(s.float(), dim=1) for name, (s, _) in found.items()}
        private = {name: functional.normalize(p.float(), dim=1) for name, (_, p) in found.items() if p is not None}
        out = {name: Rows(z, batch.keys) for name, z in shared.items()}
        out.update({f"private/{name}": Rows(z, batch.keys) for name, z in private.items()})
        mean = torch.stack([*shared.values()]).mean(0)
        absent = mean.new_zeros(len(mean), self.private_width)
        beside = [private.get(name, absent) for name in self.names] if self.whole else []
        return {**out, "embedding": Rows(torch.cat([mean, *beside], dim=1), batch.keys)}

    def translate(self, batch: Batch, source: str, into: str) -> Tensor:
        """(b, D): what an item's modality `into` looks like, in the form of `target`, predicted from its modality `source`."""
        for name in (source, into):
            if name not in self.names:
                raise OptionError(f"there is no modality {name!r}{nearest(name, self.names)}")
        fields = [dict(batch.fields)]
        return torch.as_tensor(evaluating(self, lambda: self._translator(source, into)(self.parts(fields, source)[0])))

    def _translator(self, source: str, into: str) -> nn.Module:
        return self.translators[f"{self.names[source]}_to_{self.names[into]}"]
