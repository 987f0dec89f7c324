"""Text: (b, T) token ids, 0 = padding (or `info["padding"]`); padding changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, need
from counterpoint.core.options import Count, Share, Whole
from counterpoint.core.recipe import Modality
from counterpoint.encoders.stacking import by_length, expect


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """(b, T, d), (b, T) → (b, d): mean over the tokens that are there, zero where there are none."""
    weights = mask.unsqueeze(2).to(tokens.dtype)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)


class GatedBlock(nn.Module):
    """(x + value · sigmoid(gate)) · mask, both from one convolution over three tokens (Dauphin et al., ICML 2017), on (b, T, channels)."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        # As an image of height one with channels last, which a CPU convolves faster than a series; nothing is copied.
        self.conv = nn.Conv2d(channels, 2 * channels, (1, 3), padding=(0, dilation), dilation=(1, dilation))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inner = self.conv((self.norm(x) * mask).transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        return (x + self.dropout(functional.glu(inner, 2))) * mask


class Small(nn.Module):
    """See `small`."""

    def __init__(self, modality: Modality, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        half = (width + 1) // 2
        self.padding = int(modality.info.get("padding", 0))
        self.tokens = nn.Embedding(int(modality.info["vocabulary"]), half)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(GatedBlock(half, 2**i, dropout) for i in range(layers))
        self.width = 2 * half

    def forward(self, x: Tensor) -> Tensor:
        mask = x != self.padding
        words = self.dropout(self.tokens(x.long()))
        there = mask.unsqueeze(2).to(words.dtype)
        found = words * there
        for block in self.blocks:
            found = block(found, there)
        return torch.cat([masked_mean(words, mask), masked_mean(found, mask)], 1)


def small(modality: Modality, *, width: Count = 256, layers: Count = 2, dropout: Share = 0.1) -> Small:
    """Word vectors averaged, beside the average of what gated convolutions make of them: fast, and not lost on little data.

    width: of the output; half of it is the width of a word's vector.
    layers: gated convolutions, of doubling dilation.
    dropout: share of units that are dropped while training; two passes over one text are two views of it (SimCSE).
    """
    expect(modality, "text", "text.small")
    if "vocabulary" not in modality.info:
        raise OptionError('text.small needs the size of the vocabulary, info["vocabulary"], and the data do not say it')
    return Small(modality, width, layers, dropout)


class Transformer(nn.Module):
    """See `transformer`."""

    def __init__(self, model: nn.Module, width: int, padding: int, pooling: str) -> None:
        super().__init__()
        self.model = model
        self.width, self.padding, self.pooling = width, padding, pooling

    def forward(self, x: Tensor) -> Tensor:
        ends = ((x != self.padding) * torch.arange(1, x.shape[1] + 1, device=x.device)).amax(1)
        return by_length(x, ends, lambda piece: self._pooled(piece.long()))

    def _pooled(self, x: Tensor) -> Tensor:
        mask = x != self.padding
        # A text without tokens still needs one to attend to.
        mask[:, 0] |= ~mask.any(1)
        tokens = cast(Any, self.model)(input_ids=x, attention_mask=mask.long()).last_hidden_state
        return cast(Tensor, tokens[:, 0] if self.pooling == "first" else masked_mean(tokens, mask))


def transformer(
    modality: Modality,
    *,
    path: str,
    pooling: Literal["mean", "first"] = "mean",
    dropout: Share | None = None,
    frozen: Whole = 0,
) -> Transformer:
    """Any encoder of the package transformers, from a local folder (config.json and model.safetensors); nothing is downloaded.

    path: the folder; its tokeniser must be the one that made the ids.
    pooling: mean over the tokens, or the first token.
    dropout: replaces the model's own share of dropped units.
    frozen: number of first layers that do not learn, with the word vectors; 0 = all learn.
    """
    expect(modality, "text", "text.transformer")
    folder = Path(path).expanduser()
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise OptionError(f"text.transformer: path = {path!r} holds no {name}; it must be a folder as transformers saves it")
    transformers = need("transformers", "text")
    options = {} if dropout is None else {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    noise = transformers.utils.logging
    bars = noise.is_progress_bar_enabled()
    noise.disable_progress_bar()
    try:
        model = transformers.AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise OptionError(f"text.transformer: {path!r} is not a model that transformers reads: {str(error).splitlines()[0]}") from None
    finally:
        if bars:
            noise.enable_progress_bar()
    vocabulary = int(modality.info.get("vocabulary", 0))
    if vocabulary > model.config.vocab_size:
        raise OptionError(
            f"the texts have ids up to {vocabulary - 1} and the model in {path!r} knows {model.config.vocab_size}; "
            "tokenise with the model's own tokeniser"
        )
    if frozen:
        _freeze(model, frozen)
    return Transformer(model, model.config.hidden_size, int(modality.info.get("padding", 0)), pooling)


def _freeze(model: Any, count: int) -> None:
    """Word vectors and the first `count` layers do not learn."""
    stack = getattr(model, "encoder", getattr(model, "transformer", model))
    layers: Any = getattr(stack, "layer", getattr(stack, "layers", ()))
    if count > len(layers):
        raise OptionError(f"text.transformer: frozen = {count}, and the model has {len(layers)} layers")
    getattr(model, "embeddings", model.get_input_embeddings()).requires_grad_(False)
    layers[:count].requires_grad_(False)
