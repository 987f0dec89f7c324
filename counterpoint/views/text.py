"""Views of token sequences, (b, t) int64 or int32 ids; 0 (or `padding`) = padding, at the end, and it stays there.

No synonyms and no language model: edits that need nothing but the ids. Views have the shape and type of what came in.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import Count, Share, Whole
from counterpoint.views import draw, masking

Keys = dict[str, Tensor]
Part01 = tuple[Share, Share]


def _there(x: Tensor, padding: int = 0) -> Tensor:
    if x.dim() != 2 or x.is_floating_point():
        raise DataError(f"text of shape {tuple(x.shape)} and type {x.dtype} was given; a batch is (items, tokens) of whole numbers")
    return x != padding


def _close(x: Tensor, keep: Tensor, padding: int) -> Tensor:
    """The kept tokens moved to the front in their order, padding behind them."""
    order = (~keep).int().argsort(dim=1, stable=True)
    return x.gather(1, order).masked_fill(~keep.gather(1, order), padding)


def twin(x: Tensor, generator: Generator, *, head: Whole = 0, padding: Whole = 0) -> tuple[Tensor, Keys]:
    """The text itself, for encoders whose dropout makes two views of it (SimCSE, Gao et al. 2021).

    head: without effect here; the same option as the other views of text.
    padding: id of the padding.
    """
    return x, {}


def drop(x: Tensor, generator: Generator, *, share: Share = 0.15, head: Whole = 0, padding: Whole = 0) -> tuple[Tensor, Keys]:
    """A share of each text's tokens is left out and the rest closes up; at least one stays.

    share: share of tokens.
    head: the first tokens that always stay (1 for a [CLS]).
    padding: id of the padding.
    """
    there = _there(x, padding)
    gone = masking.mask(there & (torch.arange(x.shape[1], device=x.device) >= head), generator, share=share)
    return _close(x, there & ~gone, padding), {"dropped": gone}


def mask(
    x: Tensor, generator: Generator, *, token: Count, share: Share = 0.15, length: Count = 1, head: Whole = 0, padding: Whole = 0
) -> tuple[Tensor, Keys]:
    """A share of the tokens is replaced by the mask token.

    token: id of the mask token.
    share: share of tokens.
    length: tokens in a run; 1 masks single ones.
    head: the first tokens that always stay.
    padding: id of the padding.
    """
    if token > torch.iinfo(x.dtype).max:
        raise OptionError(f"token = {token} is no id of type {str(x.dtype).removeprefix('torch.')}; give ids as int64")
    there = _there(x, padding) & (torch.arange(x.shape[1], device=x.device) >= head)
    hidden = masking.mask(there, generator, share=share, how="run" if length > 1 else "random", length=length)
    return torch.where(hidden, torch.full_like(x, token), x), {"mask": hidden}


def crop(x: Tensor, generator: Generator, *, share: Part01 = (0.5, 1.0), head: Whole = 0, padding: Whole = 0) -> tuple[Tensor, Keys]:
    """One span of each text.

    share: the span's part of the text, uniform between the two.
    head: the first tokens that always stay, before the span.
    padding: id of the padding.
    """
    there = _there(x, padding)
    places = torch.arange(x.shape[1], device=x.device)
    n = (there.sum(1) - head).clamp(min=0).float()
    size = (draw.uniform(x, generator, share[0], share[1], len(x)) * n).round().clamp(min=1)
    start = (draw.uniform(x, generator, 0.0, 1.0, len(x)) * (n - size + 1).clamp(min=0)).floor() + head
    inside = (places >= start[:, None]) & (places < (start + size)[:, None])
    return _close(x, there & (inside | (places < head)), padding), {"span": torch.stack([start, start + size], 1)}


def repeat(x: Tensor, generator: Generator, *, share: Share = 0.2, head: Whole = 0, padding: Whole = 0) -> tuple[Tensor, Keys]:
    """Some tokens stand twice, so that two views differ in length (ESimCSE, Wu et al. 2022). What grows beyond t is cut.

    share: up to this share of the tokens, uniform per text.
    head: the first tokens that are never repeated.
    padding: id of the padding.
    """
    there = _there(x, padding)
    b, t = x.shape
    body = there & (torch.arange(t, device=x.device) >= head)
    noise = draw.uniform(x, generator, 0.0, 1.0, b, t)
    twice = body & (noise < draw.uniform(x, generator, 0.0, share, b, 1))
    place = (1 + twice.long()).cumsum(1) - 1  # where the last copy of each token goes
    out = torch.full((b, 2 * t), padding, dtype=x.dtype, device=x.device)
    out.scatter_(1, place, x)  # padding is copied as padding
    out.scatter_(1, torch.where(twice, place - 1, place), x)
    return out[:, :t], {"repeated": twice}


def swap(
    x: Tensor, generator: Generator, *, reach: Count = 3, share: Share = 1.0, head: Whole = 0, padding: Whole = 0
) -> tuple[Tensor, Keys]:
    """Tokens change places with near ones: each position gets noise below reach + 1 and the tokens are sorted anew (Lample et al. 2018).

    reach: tokens move by at most this many places.
    share: share of tokens that may move.
    head: the first tokens that stay where they are.
    padding: id of the padding.
    """
    there = _there(x, padding)
    b, t = x.shape
    places = torch.arange(t, device=x.device)
    noise = draw.uniform(x, generator, 0.0, reach + 1.0, b, t) * draw.chance(x, generator, share, b, t)
    rank = (places + noise).masked_fill(~there, float("inf"))
    if head:
        rank[:, :head] = places[:head] - t
    return x.gather(1, rank.argsort(dim=1, stable=True)), {}


def varied(
    x: Tensor,
    generator: Generator,
    *,
    span: Part01 = (0.6, 1.0),
    dropped: Share = 0.15,
    reach: Whole = 0,
    head: Whole = 0,
    padding: Whole = 0,
) -> tuple[Tensor, Keys]:
    """A span with words left out: the general views of text for an encoder that starts from nothing.

    span: the span's part of the text, uniform between the two.
    dropped: share of tokens left out.
    reach: tokens move by at most this many places; 0 keeps the order.
    head: the first tokens that always stay (1 for a [CLS]).
    padding: id of the padding.
    """
    keys: Keys = {}
    if span != (1.0, 1.0):
        x, done = crop(x, generator, share=span, head=head, padding=padding)
        keys |= done
    if dropped > 0:
        x, done = drop(x, generator, share=dropped, head=head, padding=padding)
        keys |= done
    if reach > 0:
        x, _ = swap(x, generator, reach=reach, head=head, padding=padding)
    return x, keys


# ---- DNA: ids 1 2 3 4 = A C G T, as `data.read` numbers them; any other id is another sign ------------------------------


def kmers(x: Tensor, *, k: Count = 3, letters: Count = 5, step: Count = 1, padding: Whole = 0) -> Tensor:
    """(b, t') int64 ids of the k-mers of sequences (b, t) with ids 1 … letters − 1 (A, C, G, T …); padding where a letter is missing.

    k: letters in a word.
    letters: number of ids, padding included; the words' ids are below (letters − 1)^k + 1.
    step: distance between the starts of two words.
    padding: id of the padding.
    """
    there = _there(x, padding)
    if x.shape[1] < k:
        raise DataError(f"sequences of {x.shape[1]} tokens are too short for words of {k}")
    if (letters - 1) ** k >= 1 << 63:
        raise OptionError(
            f"k = {k} is too long: words of {letters - 1} letters would have {letters - 1}^{k} ids, more than whole numbers of 64 bits"
        )
    windows = x.unfold(1, k, step).long()
    base = letters - 1
    powers = base ** torch.arange(k - 1, -1, -1, device=x.device)
    code = ((windows - 1) * powers).sum(2) + 1
    whole = (there & (x > 0) & (x < letters)).unfold(1, k, step).all(2)
    return torch.where(whole, code, padding)


def strand(x: Tensor, generator: Generator, *, share: Share = 0.5, padding: Whole = 0) -> tuple[Tensor, Keys]:
    """The reverse complement of a share of DNA sequences; ids 1 2 3 4 = A C G T, others are kept, padding stays at the end.

    share: share of sequences.
    padding: id of the padding.
    """
    there = _there(x, padding)
    n = there.sum(1, keepdim=True)
    places = torch.arange(x.shape[1], device=x.device)
    back = x.gather(1, torch.where(places < n, n - 1 - places, places))
    back = torch.where((back >= 1) & (back <= 4) & (places < n), 5 - back, back)
    turned = draw.chance(x, generator, share, len(x))
    return torch.where(turned[:, None], back, x), {"strand": turned}


def mutate(x: Tensor, generator: Generator, *, share: Share = 0.05, letters: Count = 4, padding: Whole = 0) -> tuple[Tensor, Keys]:
    """A share of the letters is replaced by letters drawn uniformly from 1 … letters.

    share: share of letters.
    letters: how many there are (4 for DNA).
    padding: id of the padding.
    """
    chosen = masking.mask(_there(x, padding), generator, share=share)
    return torch.where(chosen, draw.integers(x, generator, 1, letters + 1, *x.shape).to(x.dtype), x), {"mutated": chosen}


def dna(
    x: Tensor, generator: Generator, *, mutated: Share = 0.05, turned: Share = 0.5, k: Whole = 0, padding: Whole = 0
) -> tuple[Tensor, Keys]:
    """A few letters changed, then the other strand of a share of the molecules: the general views of DNA.

    mutated: share of letters replaced by letters drawn uniformly.
    turned: share of sequences of which the reverse complement is given.
    k: letters in a word, where the view shall be of k-mers, see `kmers`, for an encoder with 4^k + 1 ids; 0 gives letters.
    padding: id of the padding.
    """
    x, keys = mutate(x, generator, share=mutated, padding=padding)
    x, done = strand(x, generator, share=turned, padding=padding)
    return (kmers(x, k=k, padding=padding) if k else x), keys | done
