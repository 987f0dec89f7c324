"""The teacher: a twin of backbone and projector that follows them as a moving average and gives rows without gradient."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from counterpoint.core.options import Part, Share
from counterpoint.core.recipe import Embeddings, Progress, Rows, View, value_of
from counterpoint.encoders.stacking import encode, frame, positions_of


def ema(
    backbone: nn.Module,
    projector: nn.Module | None,
    *,
    momentum: Share | Part = 0.99,
    views: tuple[str | int, ...] | None = None,
    statistics: Literal["batch", "running"] = "batch",
) -> Teacher:
    """A twin that moves after every update: teacher ← momentum · teacher + (1 − momentum) · student (He et al., CVPR 2020, eq. 2).

    momentum: share of the old weights that is kept; a part `(Progress) -> float` where it moves.
    views: roles or positions of the views that the teacher sees; all where not given.
    statistics: what its batch norms use in training: those of the batch, as the papers' code does, or the student's running ones. The
        latter lag behind weights that move fast: in short runs MoCo and BYOL then learn little.
    """
    return Teacher(backbone, projector, momentum, views, statistics == "batch")


class Teacher(nn.Module):
    """See `ema`. In eval mode, but for batch norms where they use the batch; buffers (running statistics) are copied from the student."""

    def __init__(
        self,
        backbone: nn.Module,
        projector: nn.Module | None,
        momentum: float | Part,
        views: Sequence[str | int] | None,
        batch_statistics: bool,
    ) -> None:
        super().__init__()
        self.backbone = copy.deepcopy(backbone)
        self.projector = copy.deepcopy(projector) if projector is not None else nn.Identity()
        self.momentum, self.views = momentum, views
        self.batch_statistics = batch_statistics  # `training.step.set_modes` leaves the mode of its norms to it
        # A tuple, so that the student is not registered a second time below the teacher.
        self._student = (backbone, projector if projector is not None else nn.Identity())
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Teacher:
        super().train(False)
        for module in self.modules() if mode and self.batch_statistics else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
        return self

    @torch.no_grad()
    def forward(self, views: Sequence[View], modality: str) -> Rows:
        """Rows (m, width) of the views that the teacher sees; "view" counts in the whole list."""
        seen = positions_of(views, self.views)
        z = self.projector(encode(self.backbone, [views[i].fields for i in seen], modality))
        return frame(views, seen).holding(z)

    @torch.no_grad()
    def after_update(self, out: Embeddings, now: Progress) -> None:
        own: list[Tensor] = [*self.backbone.parameters(), *self.projector.parameters()]
        student: list[Tensor] = [p for part in self._student for p in part.parameters()]
        if own:
            torch._foreach_lerp_(own, student, 1.0 - value_of(self.momentum, now))
        buffers: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}  # one call a type: lists of several types go one by one
        others = (b for part in self._student for b in part.buffers())
        for mine, other in zip([*self.backbone.buffers(), *self.projector.buffers()], others, strict=True):
            pair = buffers.setdefault(mine.dtype, ([], []))
            pair[0].append(mine)
            pair[1].append(other)
        for mines, theirs in buffers.values():
            torch._foreach_copy_(mines, theirs)
