"""Tables: (b, columns) float32, standardised numeric columns first, then category codes; NaN = missing everywhere."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from counterpoint.core.errors import OptionError
from counterpoint.core.options import Count, Share
from counterpoint.core.recipe import Modality
from counterpoint.encoders.array import Norm, ResidualMlp
from counterpoint.encoders.stacking import expect


class Mixed(nn.Module):
    """See `mixed`."""

    offsets: Tensor
    sizes: Tensor

    def __init__(self, modality: Modality, width: int, blocks: int, embedding: int, dropout: float, norm: Norm) -> None:
        super().__init__()
        columns = modality.shape[0]
        sizes = [int(size) for size in modality.info.get("categories", ())]
        self.numeric = int(modality.info.get("numeric", columns - len(sizes)))
        if self.numeric + len(sizes) != columns:
            raise OptionError(f"the table has {columns} columns, but {self.numeric} numeric and {len(sizes)} categorical are declared")
        # Each category column has one more row, its last, for a missing or unseen value.
        self.register_buffer("sizes", torch.tensor(sizes, dtype=torch.int64), persistent=False)
        ends = torch.tensor([0, *[size + 1 for size in sizes]], dtype=torch.int64).cumsum(0)
        self.register_buffer("offsets", ends[:-1], persistent=False)
        if sizes:
            self.embedding = nn.Embedding(int(ends[-1]), embedding)
        self.body = ResidualMlp(2 * self.numeric + embedding * len(sizes), width, blocks, dropout, norm)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.body.enter.weight.dtype)
        numbers = x[:, : self.numeric]
        missing = numbers.isnan()
        pieces = [numbers.nan_to_num(nan=0.0), missing.to(x.dtype)]
        if len(self.sizes):
            codes = x[:, self.numeric :].nan_to_num(nan=-1.0).long()
            codes = torch.where((codes < 0) | (codes >= self.sizes), self.sizes, codes)
            pieces.append(self.embedding(codes + self.offsets).flatten(1))
        return cast(Tensor, self.body(torch.cat(pieces, 1)))


def mixed(
    modality: Modality,
    *,
    width: Count = 128,
    blocks: Count = 2,
    embedding: Count = 8,
    dropout: Share = 0.0,
    norm: Norm = "batch",
) -> Mixed:
    """A residual perceptron over numeric columns, flags of what is missing, and learned vectors of the categories.

    width: of the hidden layers and of the output.
    blocks: residual blocks, of two matrices each.
    embedding: width of a category's vector.
    dropout: share of hidden units that are dropped while training.
    norm: between the layers; "none" where a row must not depend on its batch and its distance from the mean must not be lost.
    """
    expect(modality, "table", "table.mixed")
    return Mixed(modality, width, blocks, embedding, dropout, norm)
