"""What a model makes of its rows beside projecting them: gates that depend on a pair of classes, several heads with a network of pairs.

A latent part is `(spec, width of h, width of z, *, options) -> module`; the module takes the spaces of all views and gives more spaces.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Positive
from counterpoint.core.recipe import UNKNOWN, Embeddings, Progress, Rows, Spec, requires


@requires(column=("{key}",))
def gate(
    spec: Spec,
    width_h: int,
    width_z: int,
    *,
    key: str = "label",
    partner: str = "partner",
    width: Count = 128,
    hidden: Count = 256,
    temperature: Positive = 0.1,
    opened: bool = False,
) -> Gate:
    """A gate in (0, 1) per dimension of z for a pair of classes (Hydra, paper 034). Needs class ids 0 … c − 1.

    e = (E[y] + E[y']) / 2,  g = sigmoid(MLP(e)).  Spaces: "unit" z / |z|; "gated" unit · g², so that the product of a gated row with a
    unit row weights both by g; "scale" the logarithm of a learned scale, shared. Unknown classes have an open gate.

    key: the class of a row.
    partner: the class it is paired with; the row's own class where the key is not there (inference).
    width: of the class embedding E.
    hidden: of the MLP.
    temperature: 1 / scale at the start.
    opened: all gates are 1, the control.
    """
    if key not in spec.columns:
        raise RequirementError(f"the gate needs the column {key!r}, and the data have {', '.join(spec.columns) or 'none'}")
    return Gate(spec.columns[key][0], width_z, key, partner, width, hidden, temperature, opened)


class Gate(nn.Module):
    """See `gate`."""

    def __init__(
        self, classes: int, width_z: int, key: str, partner: str, width: int, hidden: int, temperature: float, is_open: bool
    ) -> None:
        super().__init__()
        self.key, self.partner, self.is_open, self.width = key, partner, is_open, width_z
        self.classes = nn.Embedding(classes, width)
        self.mlp = nn.Sequential(nn.ReLU(), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width_z))
        self.scale = nn.Parameter(torch.tensor([[-math.log(temperature)]]))

    def gates(self, first: Tensor, second: Tensor) -> Tensor:
        """Gates (n, width of z) of pairs of classes (n,), (n,); 1 where a class is unknown."""
        if self.is_open:
            return torch.ones(len(first), self.width, device=first.device)
        known = (first >= 0) & (second >= 0)
        if bool((torch.maximum(first, second) >= self.classes.num_embeddings).any()):
            raise RequirementError(f"the gate knows {self.classes.num_embeddings} classes, and a row has class {int(first.max())}")
        e = (self.classes(first.clamp(min=0)) + self.classes(second.clamp(min=0))) / 2
        return torch.where(known[:, None], torch.sigmoid(self.mlp(e)), 1.0)

    def forward(self, out: Mapping[str, Rows], now: Progress) -> Embeddings:
        rows = out["z"]
        own = rows.keys[self.key] if self.key in rows.keys else torch.full_like(rows.keys["item"], UNKNOWN)
        g = self.gates(own, rows.keys.get(self.partner, own))
        unit = functional.normalize(rows.z.float(), dim=1)
        item = torch.full((1,), UNKNOWN, device=unit.device)
        return {
            "unit": rows.holding(unit),
            "gated": rows.holding(unit * g.float().square()),
            "scale": Rows(self.scale, {"item": item}, shared=True),
        }

    @torch.no_grad()
    def after_update(self, out: Embeddings, now: Progress) -> None:
        self.scale.clamp_(max=math.log(100.0))


def heads(
    spec: Spec,
    width_h: int,
    width_z: int,
    *,
    count: Count = 3,
    width: Count = 64,
    hidden: Count = 256,
    heat: Count = 64,
    start: float = -2.5,
    detach: bool = False,
) -> Heads:
    """Several projections of h, and for each a network on pairs of its rows (paper 121).

    heat(i, j) = w · relu(A [z_i ; z_j] + a) + b. Spaces: "head/c" (n, width); "heat/c" (n, 2 · heat), both halves of A z, the first with a;
    "heat_out/c" (1, heat + 1), w and b, shared.

    count: number of heads.
    width: of a head's rows.
    hidden: of a head's hidden layer.
    heat: width of the network on pairs.
    start: b at the start; with temperatures low + (high − low) sigmoid(heat), −2.5 is a low one, from which training does not collapse.
    detach: whether that network sees the rows as constants, so that the encoder cannot move temperatures.
    """
    return Heads(width_h, count, width, hidden, heat, start, detach)


class Heads(nn.Module):
    """See `heads`."""

    def __init__(self, width_h: int, count: int, width: int, hidden: int, heat: int, start: float, detach: bool) -> None:
        super().__init__()
        self.detach = detach
        self.projectors = nn.ModuleList(
            nn.Sequential(nn.Linear(width_h, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, width)) for _ in range(count)
        )
        self.first = nn.ModuleList(nn.Linear(width, heat) for _ in range(count))
        self.second = nn.ModuleList(nn.Linear(width, heat, bias=False) for _ in range(count))
        last = torch.randn(count, 1, heat + 1) / math.sqrt(heat)
        last[:, :, -1] = start
        self.last = nn.ParameterList(nn.Parameter(each.clone()) for each in last)

    def forward(self, out: Mapping[str, Rows], now: Progress) -> Embeddings:
        rows = out["h"]
        found: Embeddings = {}
        parts = zip(self.projectors, self.first, self.second, self.last, strict=True)
        for c, (projector, first, second, last) in enumerate(parts):
            z = projector(rows.z)
            seen = functional.normalize((z.detach() if self.detach else z).float(), dim=1)
            item = torch.full((1,), UNKNOWN, device=z.device)
            found[f"head/{c}"] = rows.holding(z)
            found[f"heat/{c}"] = rows.holding(torch.cat([first(seen), second(seen)], dim=1))
            found[f"heat_out/{c}"] = Rows(last, {"item": item}, shared=True)
        return found
