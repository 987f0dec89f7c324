"""The steps inside an item (time steps, frames, words): what a model emits of them, as rows with the key "position".

A backbone that can tell its steps apart has `tokens(x) -> (tokens (b, t, d), there (b, t) bool)`, `token_width` = d, and
`pool(tokens, there) -> (b, width)`. A token head is `(width, modality, *, options) -> module (tokens (n, t, d), there (n, t), rows, now) ->
spaces`, where `rows` frames the n items of all views.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import Count, Part
from counterpoint.core.recipe import Embeddings, Modality, Progress, Rows


def encode_tokens(backbone: nn.Module, fields: Sequence[Mapping[str, Any]], modality: str) -> tuple[Tensor, Tensor]:
    """(tokens (n, t, d), there (n, t)) of all views in one pass; the views must be of one shape."""
    shapes = {tuple(given[modality].shape[1:]) for given in fields}
    if len(shapes) > 1:
        raise RequirementError(f"tokens of views of {len(shapes)} shapes {sorted(shapes)} do not lie side by side; make views of one shape")
    found: tuple[Tensor, Tensor] = backbone.tokens(torch.cat([given[modality] for given in fields]))  # type: ignore[operator]
    return found


def token_heads(backbone: nn.Module, modality: Modality, heads: Mapping[str, Part]) -> nn.ModuleDict:
    """The modules of the parts, by name. OptionError where the backbone has no tokens."""
    if not hasattr(backbone, "tokens"):
        raise OptionError(f"{type(backbone).__name__} gives one vector an item and no tokens; series.dilated and audio.conformer give them")
    return nn.ModuleDict({name: head(backbone.token_width, modality) for name, head in heads.items()})


def rows_of(tokens: Tensor, there: Tensor, rows: Rows) -> Rows:
    """Rows (tokens that are there, d), item by item, with the items' keys and "position", the step inside the item."""
    n, t = there.shape
    keys = {name: key.repeat_interleave(t, 0) for name, key in rows.keys.items()}
    keys["position"] = torch.arange(t, device=tokens.device).repeat(n)
    found = replace(rows, z=tokens.reshape(n * t, -1), keys=keys)
    return found if bool(there.all()) else found.where(there.reshape(-1))


def _of_views(tokens: Tensor, there: Tensor, rows: Rows, views: tuple[str | int, ...] | None) -> tuple[Tensor, Tensor, Rows]:
    """What belongs to the views with these roles (or at these positions), all for None."""
    if views is None:
        return tokens, there, rows
    wanted = [i for i, role in enumerate(rows.roles) if role in views or i in views]
    mask = torch.isin(rows.keys["view"], torch.tensor(wanted, device=rows.z.device))
    return tokens[mask], there[mask], rows.where(mask)


def pyramid(
    width: int, modality: Modality, *, levels: Count | None = None, views: tuple[str | int, ...] | None = None, name: str = "tokens"
) -> Pyramid:
    """Spaces "tokens/00", "tokens/01" …: the tokens, then their maxima over two, four … steps (TS2Vec's hierarchy).

    levels: how many; down to one row an item where not given.
    views: roles or positions of the views whose tokens are emitted; all where not given.
    name: of the spaces, before the slash.
    """
    return Pyramid(levels, views, name)


class Pyramid(nn.Module):
    """See `pyramid`."""

    def __init__(self, levels: int | None, views: tuple[str | int, ...] | None, name: str) -> None:
        super().__init__()
        self.levels, self.views, self.name = levels, views, name

    def forward(self, tokens: Tensor, there: Tensor, rows: Rows, now: Progress) -> Embeddings:
        found: Embeddings = {}
        tokens, there, rows = _of_views(tokens, there, rows, self.views)
        # Keys as wide as an item (a mask) would be copied to every step; a rule reads keys of one number.
        slim = replace(rows, keys={name: key for name, key in rows.keys.items() if key.ndim == 1})
        while True:
            found[f"{self.name}/{len(found):02d}"] = rows_of(tokens, there, slim)
            if tokens.shape[1] == 1 or len(found) == self.levels:
                return found
            low = tokens.masked_fill(~there[:, :, None], -torch.inf).transpose(1, 2)
            odd = tokens.shape[1] % 2
            low = functional.max_pool1d(functional.pad(low, (0, odd), value=-torch.inf), 2).transpose(1, 2)
            there = functional.pad(there, (0, odd)).view(len(there), -1, 2).any(2)
            tokens = low.masked_fill(~there[:, :, None], 0.0)


def flat(width: int, modality: Modality, *, views: tuple[str | int, ...] | None = None) -> Flat:
    """Space "flat" (n, t · d): all tokens of an item as one vector, each dimension of length one over time; absent steps are 0.

    views: roles or positions of the views whose vectors are emitted; all where not given.
    """
    return Flat(views)


class Flat(nn.Module):
    """See `flat`."""

    def __init__(self, views: tuple[str | int, ...] | None) -> None:
        super().__init__()
        self.views = views

    def forward(self, tokens: Tensor, there: Tensor, rows: Rows, now: Progress) -> Embeddings:
        tokens, there, rows = _of_views(tokens, there, rows, self.views)
        whole = functional.normalize(tokens.float() * there[:, :, None], dim=1)
        return {"flat": rows.holding(whole.flatten(1))}


def forecast(width: int, modality: Modality, *, horizon: Count = 24, hidden: Count | None = None) -> Forecast:
    """Space "forecast" (n, channels · horizon), channel by channel: a perceptron on each of the last `horizon` tokens.

    horizon: steps to predict; at most as many as there are tokens.
    hidden: width of its hidden layer; the tokens' where not given.
    """
    return Forecast(width, modality.shape[0], horizon, hidden or width)


class Forecast(nn.Module):
    """See `forecast`."""

    def __init__(self, width: int, channels: int, horizon: int, hidden: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.head = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, tokens: Tensor, there: Tensor, rows: Rows, now: Progress) -> Embeddings:
        if tokens.shape[1] < self.horizon:
            raise OptionError(f"horizon = {self.horizon} is more than the {tokens.shape[1]} tokens of a window; give longer windows")
        steps = self.head(tokens[:, -self.horizon :])
        return {"forecast": rows.holding(steps.transpose(1, 2).flatten(1))}
