"""Learned classes on the backbone's rows: a latent part (see `encoders.latent`) whose logits are cosines with one direction per class."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import Count, Whole
from counterpoint.core.recipe import UNKNOWN, Embeddings, Progress, Rows, Spec, requires
from counterpoint.encoders.heads import Prototypes, mlp


@requires(column=("{label}",))
def classes(spec: Spec, width_h: int, width_z: int, *, label: str = "label", new: Whole = 5, branch: Count | None = None) -> Classes:
    """One unit direction per class, for the labelled classes and `new` more (SimGCD, ProtoGCD: papers 021 and 118).

    l_ik = cos(b(h_i), w_k). Spaces: "logits" (n, K), the cosines; "classes" (K, width), shared, with the key "class": number c is the
    label c, those from the number of labels on are new.

    label: the column of the labels 0 … c − 1, −1 where there is none.
    new: classes without any label; 0 = none (semi-supervised).
    branch: hidden and output width of an own perceptron b on h; without one, classes lie on h itself.
    """
    if label not in spec.columns:
        raise RequirementError(f"classes need the column {label!r}, and the data have {', '.join(spec.columns) or 'none'}")
    count = spec.columns[label][0] + new
    if count < 2:
        raise OptionError(f"new = {new} beside {count - new} labelled classes makes {count}; at least 2 classes are needed")
    return Classes(width_h, count, branch)


class Classes(nn.Module):
    """See `classes`."""

    def __init__(self, width: int, count: int, branch: int | None) -> None:
        super().__init__()
        self.branch: nn.Module = nn.Identity() if branch is None else mlp(width, width=branch, hidden=branch)
        self.prototypes = Prototypes(width if branch is None else branch, count)

    def logits(self, h: Tensor) -> Tensor:
        """Cosines (n, K) of rows (n, width) with the classes, in float32."""
        rows = self.branch(h)
        with torch.autocast(rows.device.type, enabled=False):
            return functional.normalize(rows.float(), dim=1) @ functional.normalize(self.prototypes.weight.float(), dim=1).T

    def assign(self, h: Tensor) -> Tensor:
        """The most likely class (n,) of rows (n, width); for inference, in eval mode."""
        return self.logits(h).argmax(1)

    def forward(self, out: Mapping[str, Rows], now: Progress) -> Embeddings:
        weight = self.prototypes.weight
        number = torch.arange(len(weight), device=weight.device)
        shared = Rows(weight, {"item": torch.full_like(number, UNKNOWN), "class": number}, shared=True)
        return {"logits": out["h"].holding(self.logits(out["h"].z)), "classes": shared}
