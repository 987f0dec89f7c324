"""Views of sequences of choices, (b, t) ids, 0 = padding at the end: a beginning and what comes next, and two changed copies of it."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count, Part, Share, use
from counterpoint.core.recipe import UNKNOWN, Batch, Progress, View, provides
from counterpoint.views import draw


def changed(
    x: Tensor, generator: Generator, *, crop: Share = 0.5, mask: Share = 0.5, reorder: Share = 0.8, token: Count = 1
) -> tuple[Tensor, dict[str, Tensor]]:
    """One of three changes of each sequence, each as likely (CL4SRec, Xie et al., ICDE 2022). A sequence of one stays as it is.

    crop: share of the sequence that is kept, one span of it.
    mask: share of the choices that become the mask's id.
    reorder: share of the sequence, one span of it, whose order is drawn anew.
    token: id of the mask, which no choice has. (Published: that of the padding.)
    """
    if x.dim() != 2 or x.is_floating_point():
        raise DataError(f"sequences of shape {tuple(x.shape)} and type {x.dtype} were given; a batch is (items, choices) of whole numbers")
    b, t = x.shape
    place = torch.arange(t, device=x.device)
    n = (x != 0).sum(1, keepdim=True)
    which = draw.integers(x, generator, 0, 3, b, 1)
    span = (n * torch.where(which == 0, crop, reorder)).floor().long().clamp(min=1)
    begin = (draw.uniform(x, generator, 0.0, 1.0, b, 1) * (n - span + 1)).floor().long()
    inside = (place >= begin) & (place < begin + span)
    cropped = torch.where(place < span, x.gather(1, (place + begin).clamp(max=t - 1)), 0)
    noise = draw.uniform(x, generator, 0.0, 1.0, b, t)
    rank = noise.masked_fill(place >= n, 2.0).argsort(1).argsort(1)
    masked = torch.where((rank < (n * mask).floor()) & (place < n), token, x)
    # in the span by chance, else as it was
    order = torch.where(inside, begin + (noise * 0.999) * span, place + 0.0).argsort(dim=1, stable=True)
    found = torch.where(which == 0, cropped, torch.where(which == 1, masked, x.gather(1, order)))
    return torch.where(n > 1, found, x).to(x.dtype), {"change": which[:, 0]}


@provides(column=("next",))
def next_and_two(
    batch: Batch,
    generator: Generator,
    now: Progress,
    *,
    transform: Part | None = use(changed),  # noqa: B008  (a part is a frozen value)
    modality: str = "x",
) -> list[View]:
    """Views "plain", a beginning of every sequence that ends at a random place, and two "global" ones that the transform makes of it.

    Key "next" of the plain view: the id that comes after it; −1 where the sequence has only one.

    transform: what makes the global views; none = there are none.
    modality: which field of the batch is looked at.
    """
    x = batch.fields.get(modality)
    if not isinstance(x, Tensor) or x.dim() != 2 or x.is_floating_point():
        raise DataError(f"sequences are (items, choices) of whole numbers; the batch has {', '.join(batch.fields)}")
    n = (x != 0).sum(1)
    end = 1 + (draw.uniform(x, generator, 0.0, 1.0, len(x)) * (n - 1).clamp(min=1)).floor().long()
    several = n > 1
    following = torch.where(several, x.gather(1, torch.where(several, end, 0)[:, None])[:, 0].long(), UNKNOWN)
    place = torch.arange(x.shape[1], device=x.device)
    plain = torch.where(place < end[:, None], x, torch.zeros_like(x))
    views = [View("plain", {modality: plain}, {**batch.keys, "next": following})]
    for _ in range(2 if transform is not None else 0):
        view, done = transform(plain, generator)  # type: ignore[misc]
        views.append(View("global", {modality: view}, {**done, **batch.keys}))
    return views
