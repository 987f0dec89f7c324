"""Vectors as codes: a choice in each of several codebooks, learned through a soft choice (Baevski et al., "wav2vec 2.0", NeurIPS 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.options import Count, Part, Positive
from counterpoint.core.recipe import Progress, value_of


def gumbel(
    width_in: int, *, groups: Count = 1, codes: Count = 64, width: Count = 96, temperature: Positive | Part = 1.0
) -> GumbelQuantiser:
    """One code of each codebook for every vector, their entries beside each other.

    While training the choice is drawn (Gumbel noise) and hard forward, soft backward, so that what is contrasted is what the code names; in
    eval mode it is the most likely one.

    groups: codebooks.
    codes: of each codebook.
    width: of the quantised vector, divided among the codebooks.
    temperature: of the soft choice, > 0; falls over the run where a part is given.
    """
    return GumbelQuantiser(width_in, groups, codes, width, temperature)


class GumbelQuantiser(nn.Module):
    """See `gumbel`."""

    def __init__(self, width_in: int, groups: int, codes: int, width: int, temperature: float | Part) -> None:
        super().__init__()
        self.groups, self.codes, self.temperature = groups, codes, temperature
        each = -(-width // groups)
        self.width = each * groups
        self.choose = nn.Linear(width_in, groups * codes)
        self.entries = nn.Parameter(torch.randn(groups, codes, each))

    def forward(self, x: Tensor, now: Progress) -> tuple[Tensor, Tensor, Tensor]:
        """(…, width_in) → (quantised (…, width), codes (…, groups) int64, probabilities without noise (…, groups, codes))."""
        logits = self.choose(x).float().unflatten(-1, (self.groups, self.codes))
        heat = value_of(self.temperature, now)
        if self.training:
            noise = torch.rand_like(logits).clamp(1e-9, 1 - 1e-7)
            drawn = logits - (-noise.log()).log()
        else:
            drawn = logits
        soft = (drawn / heat).softmax(-1)
        chosen = drawn.argmax(-1)
        hard = functional.one_hot(chosen, self.codes).to(soft.dtype)
        weights = hard + soft - soft.detach()
        found = torch.einsum("...gv,gvd->...gd", weights, self.entries.float()).flatten(-2)
        return found, chosen, logits.softmax(-1)
