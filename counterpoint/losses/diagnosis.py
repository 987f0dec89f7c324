"""What a loss does to a batch: its gradient as weights times directions (paper 106), beside its value and its chance level."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, name_of
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Scores

LIMIT = 1 << 22  # pairs that are looked at one by one
_STEP = 1e-5  # size of the coordinate that tells candidates apart: its square is lost in any norm


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
    sides:     who gets the gradient of the scores: "both", the "anchors" alone (GroCo), or "part": the anchors, while the candidates'
               runs through rows that the loss made of them too.
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
    sides: Literal["both", "anchors", "part"] = "both"

    def surrogate(self, scores: Scores) -> Tensor:
        """Σ_ij weights_ij · s_ij with the weights held: a scalar with the very gradient of the loss, of any scores (other directions).

        To the anchors alone where `sides` is not "both": the candidates are held then.
        """
        if self.sides != "both" and scores.dense is None:
            scores = replace(scores, candidates=scores.candidates.detach())
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


def diagnose(loss: Part | Callable[..., RowLoss], scores: Scores, pairs: Pairs, *others: Any) -> Diagnosis:
    """Split a loss's gradient into a weight per pair and its direction, and give its value beside its chance level. For small batches.

    InfoNCE weighs −(1 − p_i) on the positive and p_k on the negatives, which sum to zero; a sigmoid weighs every pair by itself. What
    separates two losses on the same scores is their weights alone (Wu et al., 2025, "Supervised Fine-Tuning or Contrastive Learning?").
    Of rows that a loss mixes from candidates the weight lies on these, by their share.

    loss: a part or function (Scores, Pairs, …) -> RowLoss.   scores, pairs: of one batch, of at most 2²² pairs.
    others: what the loss takes beside them: a reference's scores, clusters, the network of pairs.

    Raises OptionError for more pairs; for losses of aligned rows, which have no pairs; for functions of tensors; and what the loss raises.
    """
    make = loss.make if isinstance(loss, Part) else loss
    name = name_of(make).rsplit(".", 1)[-1]
    _check(make, name, others)
    n, m = scores.shape
    if n * m > LIMIT:
        raise OptionError(f"diagnose looks at every pair, and {n} x {m} are too many; give at most {LIMIT} pairs")
    with torch.random.fork_rng(devices=[scores.device] if scores.device.type == "cuda" else []):  # the same draws for both
        real = None if scores.dense is not None else _row_gradients(loss, scores, pairs, others)
    with torch.enable_grad():
        makes = getattr(make, "__makes_rows__", False) and scores.dense is None
        result, weights = (_through_coordinates if makes else _through_matrix)(loss, scores, pairs, others)
    positive = pairs.positives.dense(pairs.shape, scores.device) > 0
    push = torch.where(positive, 0.0, weights)
    total = push.sum(1)
    length, agreement = _directions(scores, weights)
    return Diagnosis(
        name=name,
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
        sides="both" if real is None else _sides(scores, weights, real),
    )


def _check(make: Callable[..., Any], name: str, others: tuple[Any, ...]) -> None:
    """Refuse what has no weights per pair, and other arguments than the loss takes."""
    try:
        signature = inspect.signature(make)
    except (TypeError, ValueError):
        return
    given = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    kinds = [str(p.annotation) for p in given]
    if isinstance(make, type) or make is diagnose or (kinds and kinds[0] == "Progress"):
        raise OptionError(f"{name} is no loss; give one of (Scores, Pairs), such as losses.info_nce")
    if kinds[:1] == ["Tensor"]:
        if str(signature.return_annotation) == "Tensor":
            raise OptionError(f"{name} is a function of tensors; give the loss of (Scores, Pairs) behind it, such as losses.supervised")
        raise OptionError(f"{name} compares aligned rows, not pairs, and so has no weight per pair; give a loss of (Scores, Pairs)")
    if any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values()):
        return
    beside = given[2:]
    missing = [p.name for p in beside[len(others) :] if p.default is p.empty]
    if missing:
        wanted = ", ".join(p.name for p in beside)
        raise OptionError(f"{name} takes {missing[0]!r} beside scores and pairs; give diagnose(loss, scores, pairs, {wanted})")
    if len(others) > len(beside):
        takes = ", ".join(p.name for p in beside) or "nothing"
        raise OptionError(f"{name} takes {takes} beside scores and pairs, and {len(others) - len(beside)} argument more was given")


def _through_matrix(loss: Callable[..., RowLoss], scores: Scores, pairs: Pairs, others: tuple[Any, ...]) -> tuple[RowLoss, Tensor]:
    """The loss of the scores as a matrix, and its gradient to that."""
    matrix = scores.matrix().detach().requires_grad_()
    result = loss(similarity.learned(matrix), pairs, *others)
    found = torch.autograd.grad(result.values.sum(), matrix, allow_unused=True)[0]
    return result, torch.zeros_like(matrix) if found is None else found


def _through_coordinates(loss: Callable[..., RowLoss], scores: Scores, pairs: Pairs, others: tuple[Any, ...]) -> tuple[RowLoss, Tensor]:
    """The same of a loss that needs rows: every candidate has one more coordinate of its own, where the anchors have a zero that learns.

    Made rows, which are sums of candidates, so carry their shares along.
    """
    (n, m), kind = scores.shape, scores.dtype
    if m * m > LIMIT:
        raise OptionError(f"diagnose of a loss that makes rows takes at most {int(LIMIT**0.5)} candidates, and {m} were given")
    step = scores.anchors.new_zeros(n, m, dtype=kind).requires_grad_()
    own = torch.eye(m, dtype=kind, device=scores.device) * _STEP
    anchors, candidates = torch.cat([scores.anchors.detach().to(kind), step], 1), torch.cat([scores.candidates.detach().to(kind), own], 1)
    result = loss(replace(scores, anchors=anchors, candidates=candidates), pairs, *others)
    found = torch.autograd.grad(result.values.sum(), step, allow_unused=True)[0]
    scale = scores.scale[:, None] if isinstance(scores.scale, Tensor) and scores.scale.dim() else scores.scale
    return result, torch.zeros_like(step) if found is None else (found / (_STEP * scale)).detach()


def _row_gradients(
    loss: Callable[..., RowLoss], scores: Scores, pairs: Pairs, others: tuple[Any, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """The loss's own gradient to anchors and candidates as they enter the products; None for rows that get none."""
    with torch.enable_grad():
        anchors = scores.anchors.detach().requires_grad_()
        candidates = anchors if scores.selfsame else scores.candidates.detach().requires_grad_()
        value = loss(replace(scores, anchors=anchors, candidates=candidates), pairs, *others).values.sum()
        if scores.selfsame:
            return torch.autograd.grad(value, anchors, allow_unused=True)[0], None
        found = torch.autograd.grad(value, (anchors, candidates), allow_unused=True)
        return found[0], found[1]


def _sides(scores: Scores, weights: Tensor, real: tuple[Tensor | None, Tensor | None]) -> Literal["both", "anchors", "part"]:
    """Whose gradient the weights give, beside the loss's own."""
    with torch.no_grad():
        scale = scores.scale[:, None] if isinstance(scores.scale, Tensor) and scores.scale.dim() else scores.scale
        W = weights * scale
        first, second = W @ scores.candidates.to(W.dtype), W.T @ scores.anchors.to(W.dtype)
        nothing = torch.zeros_like
        if scores.selfsame:
            total = nothing(first) if real[0] is None else real[0]
            return "both" if _near(total, first + second, scores) else "anchors" if _near(total, first, scores) else "part"
        got = nothing(second) if real[1] is None else real[1]
        return "both" if _near(got, second, scores) else "anchors" if not bool(got.any()) else "part"


def _near(one: Tensor, two: Tensor, scores: Scores) -> bool:
    """Whether two gradients to rows are equal to what rounding leaves; along unit rows, where nothing changes, they may differ."""
    gap = one - two
    if scores.bounded:
        rows = (scores.anchors if len(gap) == len(scores.anchors) and scores.selfsame else scores.candidates).to(gap.dtype)
        gap = gap - (gap * rows).sum(1, keepdim=True) * rows
    return bool(gap.norm() <= 1e-3 * torch.maximum(one.norm(), two.norm()))


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
