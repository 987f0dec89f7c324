"""Two encoders of one modality: one for what background and target items share, one for what only target items have."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Part
from counterpoint.core.recipe import Batch, Embeddings, Progress, Rows, Spec, View, requires
from counterpoint.encoders import heads
from counterpoint.encoders.kinds import default
from counterpoint.encoders.stacking import encode, evaluating, frame, modality_of


@requires(column=("{flag}",))
def common_and_salient(
    spec: Spec,
    *,
    backbone: Part | None = None,
    flag: str = "target",
    width: Count = 32,
    hidden: Count = 128,
    modality: str | None = None,
) -> CommonAndSalient:
    """Two backbones, each with a code and a head on it (SepCLR, paper 019).

    Spaces: "common" (n, width), of length one; "salient" (n, width), as it is; "masked", salient with zeros for background items, through
    which these get no gradient; "both" = [common ; masked]. `embed` gives the codes below the heads: "common", "salient", and "embedding",
    both of them side by side.

    backbone: (Modality) -> module with `width`, made twice; the default network of the modality's kind where none is given.
    flag: the column that says which items are background (0) and which target (1).
    width: of the codes and of the heads' outputs.
    hidden: of the heads.
    modality: which modality is encoded, where there are several.
    """
    known = spec.columns.get(flag, (0, 0.0))
    if known != (2, 1.0):
        there = "none" if flag not in spec.columns else f"{known[0]} values, known for {known[1]:.0%} of the items"
        raise RequirementError(
            f"contrastive analysis needs a column {flag!r} that is 0 (background) or 1 (target) everywhere; it has {there}"
        )
    name, found = modality_of(spec, modality)
    make = backbone or default(found)
    return CommonAndSalient(name, flag, make(found), make(found), width, hidden)


class Coder(nn.Module):
    """A backbone, a code on it, a head on the code."""

    def __init__(self, backbone: nn.Module, width: int, hidden: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.code = nn.Linear(int(backbone.width), width)  # type: ignore[arg-type]
        self.head = heads.mlp(width, width=width, hidden=hidden)


class CommonAndSalient(nn.Module):
    """See `common_and_salient`."""

    def __init__(self, modality: str, flag: str, first: nn.Module, second: nn.Module, width: int, hidden: int) -> None:
        super().__init__()
        self.modality, self.flag = modality, flag
        self.common, self.salient = Coder(first, width, hidden), Coder(second, width, hidden)

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        """All views at once."""
        rows = frame(views)
        if self.flag not in rows.keys:
            raise RequirementError(f"the rows have no key {self.flag!r}; they have {', '.join(rows.keys)}")
        fields = [view.fields for view in views]
        common, salient = (
            coder.head(coder.code(encode(coder.backbone, fields, self.modality))).float() for coder in (self.common, self.salient)
        )
        common = functional.normalize(common, dim=1)
        masked = torch.where((rows.keys[self.flag] == 1)[:, None], salient, torch.zeros_like(salient))
        spaces = {"common": common, "salient": salient, "masked": masked, "both": torch.cat([common, masked], 1)}
        return {name: rows.holding(z) for name, z in spaces.items()}

    def embed(self, batch: Batch) -> Embeddings:
        """{"common", "salient", "embedding"}: the codes, in eval mode, without gradient."""

        def compute() -> list[Tensor]:
            fields = [dict(batch.fields)]
            return [coder.code(encode(coder.backbone, fields, self.modality)).float() for coder in (self.common, self.salient)]

        common, salient = evaluating(self, compute)
        each = {"common": common, "salient": salient, "embedding": torch.cat([common, salient], 1)}
        return {name: Rows(z, batch.keys) for name, z in each.items()}
