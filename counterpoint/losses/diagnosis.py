"""What a loss does to a batch: its gradient as weights times directions (paper 106), beside its value and its chance level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, name_of
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores

LIMIT = 1 << 22  # pairs that are looked at one by one


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """The gradient of Σ_i L_i, pair by pair: ∂L/∂a_i = Σ_j weights_ij · ∂s_ij/∂a_i.

    name, value, chance: of the loss; the value is the mean over the rows that count.
    counted:   (n,) bool.
    weights:   (n, m), ∂L/∂s_ij: how much a pair matters. Below 0 it is pulled, above 0 pushed.
    pull:      (n,), −Σ of the weights of the positives.          push: (n,), Σ of the weights of the negatives.
    sharing:   (n,), the effective number of negatives, (Σ w)² / Σ w²: 1 if the hardest takes all.
    hardest:   (n,), the share of the push that the negative with the largest weight takes.
    length:    (n,), |∂L/∂a_i| of the (for cosines: unit) anchor; NaN for scores without rows.
    agreement: (n,), that over Σ_j |weights_ij| |∂s_ij/∂a_i|: 1 where all directions are one, near 0 where they cancel.
    """

    name: str
    value: float
    chance: float | None
    counted: Tensor
    weights: Tensor
    pull: Tensor
    push: Tensor
    sharing: Tensor
    hardest: Tensor
    length: Tensor
    agreement: Tensor

    def surrogate(self, scores: Scores) -> Tensor:
        """Σ_ij weights_ij · s_ij with the weights held: a scalar with the very gradient of the loss, of any scores (other directions)."""
        return (self.weights.to(scores.dtype) * scores.matrix()).sum()

    def __str__(self) -> str:
        def mean(x: Tensor) -> str:
            return f"{float(x[self.counted].mean()):.3g}" if bool(self.counted.any()) else "-"

        n, m = self.weights.shape
        chance = "none" if self.chance is None else f"{self.chance:.4g}"
        return "\n".join(
            [
                f"{self.name}: {self.value:.4g} (chance {chance}), {int(self.counted.sum())} of {n} anchors count, {m} candidates",
                f"  weight on positives {mean(self.pull)}, on negatives {mean(self.push)}"
                f" ({mean(self.sharing)} negatives share it, the hardest takes {mean(self.hardest)})",
                f"  gradient of an anchor {mean(self.length)}, directions agree to {mean(self.agreement)}",
            ]
        )


def diagnose(loss: Part | Callable[..., RowLoss], scores: Scores, pairs: Pairs) -> Diagnosis:
    """Split a loss's gradient into a weight per pair and its direction, and give its value beside its chance level. For small batches.

    InfoNCE weighs −(1 − p_i) on the positive and p_k on the negatives, which sum to zero; a sigmoid weighs every pair by itself. What
    separates two losses on the same scores is their weights alone (Wu et al., 2025, "Supervised Fine-Tuning or Contrastive Learning?").

    loss: a part or function (Scores, Pairs) -> RowLoss.   scores, pairs: of one batch, of at most 2²² pairs.

    Raises OptionError for more pairs, and what the loss raises where it needs rows and cannot be said in weights.
    """
    n, m = scores.shape
    if n * m > LIMIT:
        raise OptionError(f"diagnose looks at every pair, and {n} x {m} are too many; give at most {LIMIT} pairs")
    with torch.enable_grad():
        matrix = scores.matrix().detach().requires_grad_()
        result = loss(similarity.learned(matrix), pairs)
        weights = torch.autograd.grad(result.values.sum(), matrix, allow_unused=True)[0]
    weights = torch.zeros_like(matrix) if weights is None else weights
    positive = pairs.positives.dense(pairs.shape, scores.device) > 0
    push = torch.where(positive, 0.0, weights)
    total = push.sum(1)
    length, agreement = _directions(scores, weights)
    return Diagnosis(
        name=name_of(loss.make if isinstance(loss, Part) else loss).rsplit(".", 1)[-1],
        value=float(result.mean().detach()),
        chance=None if result.chance is None else float(result.chance),
        counted=result.counted,
        weights=weights,
        pull=-torch.where(positive, weights, 0.0).sum(1),
        push=total,
        sharing=push.sum(1).square() / push.square().sum(1).clamp(min=1e-30),
        hardest=push.abs().amax(1) / push.abs().sum(1).clamp(min=1e-30) if m else total,
        length=length,
        agreement=agreement,
    )


def _directions(scores: Scores, weights: Tensor) -> tuple[Tensor, Tensor]:
    """(|Σ_j w_ij ∂s_ij/∂a_i|, that over Σ_j |w_ij| |∂s_ij/∂a_i|); the part along a unit anchor is left out, since it changes nothing."""
    if scores.dense is not None:
        nothing = torch.full((len(weights),), float("nan"), dtype=weights.dtype, device=weights.device)
        return nothing, nothing
    with torch.no_grad():
        scale = scores.scale if isinstance(scores.scale, Tensor) else torch.tensor(scores.scale, device=scores.device)
        anchors, candidates = scores.anchors.to(scores.dtype), scores.candidates.to(scores.dtype)
        gradient = weights @ candidates
        squares = candidates.square().sum(1)[None, :].expand_as(weights)
        if scores.bounded:
            gradient = gradient - (gradient * anchors).sum(1, keepdim=True) * anchors
            squares = squares - (anchors @ candidates.T).square()
        length = gradient.norm(dim=1) * scale.abs()
        each = (weights.abs() * squares.clamp(min=0).sqrt()).sum(1) * scale.abs()
        return length, length / each.clamp(min=1e-30)
