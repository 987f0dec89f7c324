"""Sequences of choices, (b, t) ids with 0 = padding at the end: what comes next, and two learned views of it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Part, Share, use
from counterpoint.core.recipe import UNKNOWN, Batch, Embeddings, Modality, Progress, Rows, Spec, View
from counterpoint.encoders.stacking import by_length, encode, evaluating, expect, frame, modality_of, positions_of


def sasrec(modality: Modality, *, width: Count = 64, layers: Count = 2, heads: Count = 2, dropout: Share = 0.2) -> SasRec:
    """A transformer that looks back only (Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018), (b, t) → (b, width).

    The row is the state at the last choice. The vectors of the choices, `tokens.weight`, are those that a choice is recommended by.

    width: of the vectors and of the state; heads must divide it.
    layers: of attention.
    heads: of attention.
    dropout: share of units dropped while training.
    """
    expect(modality, "text", "sequences.sasrec")
    return SasRec(int(modality.info["vocabulary"]), modality.shape[0], width, layers, heads, dropout)


class Block(nn.Module):
    """x + attention to what came before, then x + perceptron, each on a normalised input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.look, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.look(self.first(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, d)
        x = x + self.dropout(self.out(found))
        return x + self.dropout(self.mlp(self.second(x)))


class SasRec(nn.Module):
    """See `sasrec`."""

    def __init__(self, vocabulary: int, longest: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise RequirementError(f"width = {width} does not divide into {heads} heads of attention")
        self.tokens, self.places = nn.Embedding(vocabulary, width, padding_idx=0), nn.Embedding(longest, width)
        for table in (self.tokens, self.places):
            nn.init.normal_(table.weight, std=0.05)
        with torch.no_grad():
            self.tokens.weight[0] = 0
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm, self.dropout, self.width = nn.LayerNorm(width), nn.Dropout(dropout), width

    def forward(self, x: Tensor) -> Tensor:
        return by_length(x, (x != 0).sum(1), self._last)

    def _last(self, x: Tensor) -> Tensor:
        # Padding stands at the end, so that nothing that counts ever looks at it.
        last = ((x != 0).sum(1) - 1).clamp(min=0)
        states = self.dropout(self.tokens(x.long()) + self.places.weight[: x.shape[1]])
        for block in self.blocks:
            states = block(states)
        return self.norm(states[torch.arange(len(x), device=x.device), last])


def recommender(
    spec: Spec,
    *,
    backbone: Part = use(sasrec),  # noqa: B008  (a part is a frozen value)
    augmenters: tuple[Count, ...] = (),
    modality: str | None = None,
) -> Recommender:
    """A backbone of sequences, the vectors of all choices, and learned views of the sequences' rows (MCLRec, paper 125).

    Spaces: "h" (n, width), all views; "products" (V, width), the backbone's vectors of choices, shared, with the key "product" (−1 for the
    padding); with augmenters "z", the two views "global", the first through the network `first`, the second through `second`.

    backbone: (Modality) -> module with `width` and `tokens`.
    augmenters: hidden widths of the two perceptrons width → … → width with GELU; none = there are no learned views.
    modality: which modality is encoded, where there are several.
    """
    name, found = modality_of(spec, modality)
    return Recommender(name, backbone(found), augmenters)


class Recommender(nn.Module):
    """See `recommender`."""

    def __init__(self, modality: str, backbone: SasRec, augmenters: Sequence[int]) -> None:
        super().__init__()
        self.modality, self.backbone = modality, backbone
        if augmenters:
            self.first, self.second = (_perceptron(backbone.width, augmenters) for _ in range(2))

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        """All views at once."""
        rows = frame(views)
        h = encode(self.backbone, [view.fields for view in views], self.modality)
        weight = self.backbone.tokens.weight
        number = torch.arange(len(weight), device=weight.device)
        shared = {"item": torch.full_like(number, UNKNOWN), "product": torch.where(number == 0, UNKNOWN, number)}
        out = {"h": rows.holding(h), "products": Rows(weight, shared, shared=True)}
        if hasattr(self, "first"):
            places = positions_of(views, ("global",))
            if len(places) != 2:
                raise RequirementError(f"the learned views are made of two views named 'global', and there are {len(places)}")
            sizes = [len(view) for view in views]
            pieces = h.split(sizes)
            made = torch.cat([network(pieces[place]) for network, place in zip((self.first, self.second), places, strict=True)])
            out["z"] = frame(views, places).holding(made)
        return out

    def scores(self, rows: Tensor) -> Tensor:
        """(b, V) scores of all choices for rows (b, width)."""
        return rows.float() @ self.backbone.tokens.weight.float().T

    def embed(self, batch: Batch) -> Embeddings:
        """{"embedding": Rows (b, width)} in eval mode, without gradient."""
        h = evaluating(self, lambda: encode(self.backbone, [dict(batch.fields)], self.modality))
        return {"embedding": Rows(h.float(), batch.keys)}


def _perceptron(width: int, hidden: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for one, two in zip((width, *hidden), (*hidden, width)):
        layers += [nn.Linear(one, two), nn.GELU()]
    return nn.Sequential(*layers[:-1])
