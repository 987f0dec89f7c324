"""A model of speech that hears with gaps: frames of a wave, units that it makes itself, two stacks of context (w2v-BERT, paper 015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import Count, Part, Positive, Share, use
from counterpoint.core.recipe import Batch, Embeddings, Modality, Progress, Rows, Spec, View, provides
from counterpoint.encoders import quantiser as quantisers
from counterpoint.encoders.audio import LogMel
from counterpoint.encoders.conformer import ConformerBlock, places
from counterpoint.encoders.stacking import evaluating, expect, frame, modality_of
from counterpoint.encoders.tokens import rows_of


def frames_of(modality: Modality, *, hop: Positive = 0.01, subsample: Count = 2) -> int:
    """How many frames `speech` makes of a wave: what a mask of its frames must be as wide as.

    hop: seconds between two frames of the spectrogram.
    subsample: frames of the spectrogram to one of the network.
    """
    rate, samples = float(modality.info.get("rate", 16_000)), modality.shape[-1]
    step = max(round(hop * rate), 1)
    return (samples // step) // subsample + 1


@provides(column=("code",))
def speech(
    spec: Spec,
    *,
    width: Count = 96,
    lower: Count = 2,
    upper: Count = 2,
    heads: Count = 4,
    kernel: Count = 7,
    bands: Count = 40,
    window: Positive = 0.032,
    hop: Positive = 0.01,
    subsample: Count = 2,
    dropout: Share = 0.1,
    quantiser: Part = use(quantisers.gumbel),  # noqa: B008  (a part is a frozen value)
    mask: str = "hidden",
    modality: str | None = None,
) -> Speech:
    """Log-mel frames, convolved; frames that the key `mask` hides become noise; a lower and an upper stack of Conformer blocks.

    The quantiser sees the frames without gaps. Spaces, of the hidden frames with the keys "position" and "code" (its unit):
    "context" what the lower stack makes of it, projected; "quantised" its unit's vector, under the role "clean", for it is another view;
    "logits/g" what the upper stack thinks of the unit in codebook g, with its "code" there. Of all frames: "choices", the probabilities
    of the units. Of the items: "z", the mean of the upper stack, which is also the embedding. Silence after the sound is no frame.

    width: of all blocks.
    lower: blocks below, which are contrasted.
    upper: blocks above them, which predict units.
    heads: of attention.
    kernel: frames of the blocks' convolution, odd.
    bands: mel bands.
    window: seconds of a mel window.
    hop: seconds between mel frames.
    subsample: mel frames in a frame.
    dropout: share of units dropped while training.
    quantiser: (width) -> module (frames, now) -> (vectors, codes, probabilities).
    mask: key of the views, (b, frames) booleans; where a view lacks it, nothing is hidden.
    modality: which modality is encoded, where there are several.
    """
    name, found = modality_of(spec, modality)
    expect(found, "audio", "speech")
    if width % heads or kernel % 2 == 0:
        raise OptionError(f"width = {width}, heads = {heads}, kernel = {kernel}: the width must be a multiple of heads and the kernel odd")
    mel = LogMel(float(found.info.get("rate", 16_000)), found.shape[-1], bands, window, hop)
    stacks = [nn.ModuleList(ConformerBlock(width, heads, kernel, dropout) for _ in range(count)) for count in (lower, upper)]
    return Speech(name, mask, mel, bands, width, subsample, stacks[0], stacks[1], quantiser(width))


class Speech(nn.Module):
    """See `speech`."""

    def __init__(
        self,
        modality: str,
        mask: str,
        mel: LogMel,
        bands: int,
        width: int,
        subsample: int,
        lower: nn.ModuleList,
        upper: nn.ModuleList,
        quantiser: nn.Module,
    ) -> None:
        super().__init__()
        self.modality, self.mask, self.subsample, self.width = modality, mask, subsample, width
        self.mel = mel
        self.first = nn.Conv1d(bands, width, 3, stride=subsample, padding=1)
        self.second = nn.Conv1d(width, width, 3, padding=1)
        self.norm = nn.LayerNorm(width)  # the noise of hidden frames is small beside frames of this scale
        self.lower, self.upper, self.quantiser = lower, upper, quantiser
        groups, codes = int(quantiser.groups), int(quantiser.codes)  # type: ignore[arg-type]
        self.project = nn.Linear(width, int(quantiser.width))  # type: ignore[arg-type]
        self.classify = nn.ModuleList(nn.Linear(width, codes) for _ in range(groups))

    def frames(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """(frames (b, t, width), there (b, t)); at least one is there."""
        mel = self.mel(wave)[:, 0]
        mel = (mel - mel.mean((1, 2), keepdim=True)) / mel.std((1, 2), keepdim=True).clamp(min=1e-3)
        found = self.second(functional.gelu(self.first(mel)))
        found = self.norm(functional.gelu(found).transpose(1, 2))
        sound = (wave.nan_to_num(0.0) != 0).any(1).flip(1).cummax(1).values.sum(1)  # samples up to the last that is not silent
        steps = found.shape[1]
        there = torch.arange(steps, device=wave.device) * wave.shape[2] < sound[:, None] * steps
        there[:, 0] = True
        return found, there

    def _context(self, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        x = x + places(x.shape[1], self.width, x)
        for block in self.lower:
            x = block(x, there)
        low = x
        for block in self.upper:
            x = block(x, there)
        return low, x

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        rows = frame(views)
        x, there = self.frames(torch.cat([view.fields[self.modality] for view in views]))
        hidden = torch.zeros_like(there)
        if self.mask in rows.keys:
            hidden = rows.keys[self.mask].bool()
            if hidden.shape != there.shape:
                raise RequirementError(
                    f"the mask {self.mask!r} is for {hidden.shape[1]} frames and a wave has {there.shape[1]}; see frames_of"
                )
            hidden = hidden & there
        slim = replace(rows, keys={name: key for name, key in rows.keys.items() if key.ndim == 1})
        vectors, codes, choices = self.quantiser(x, now)
        noise = 0.1 * torch.randn_like(x) if self.training else torch.zeros_like(x)
        low, high = self._context(torch.where(hidden[:, :, None], noise, x), there)
        pooled = (high * there[:, :, None]).sum(1) / there.sum(1, keepdim=True)

        def of_hidden(z: Tensor, code: Tensor) -> Rows:
            found = rows_of(z, hidden, slim)
            return replace(found, keys={**found.keys, "code": code[hidden]})

        unit = codes[..., 0].clone()
        for group in range(1, codes.shape[2]):
            unit = unit * choices.shape[-1] + codes[..., group]
        out: Embeddings = {
            "z": slim.holding(pooled),
            "context": of_hidden(self.project(low), unit),
            "quantised": replace(of_hidden(vectors, unit), roles=("clean",) * max(len(rows.roles), 1)),
            "choices": rows_of(choices.flatten(2), there, slim),
        }
        for group, head in enumerate(self.classify):
            out[f"logits/{group}"] = of_hidden(head(high), codes[..., group])
        return out

    def embed(self, batch: Batch) -> Embeddings:
        """{"embedding": Rows (b, width)} without gaps, in eval mode, without gradient."""

        def compute() -> Tensor:
            x, there = self.frames(batch.fields[self.modality])
            high = self._context(x, there)[1]
            return (high * there[:, :, None]).sum(1) / there.sum(1, keepdim=True)

        return {"embedding": Rows(evaluating(self, compute).float(), batch.keys)}
