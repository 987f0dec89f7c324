"""Views of table rows, (b, columns) float32: first `numeric` standardised columns, then categorical codes; NaN = missing.

What is fit for both sorts of column is replacing a value by that of another row; noise and means are for numbers only.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import NotNegative, Positive, Share, Whole
from counterpoint.views import draw, masking, mixing

Keys = dict[str, Tensor]


def _numbers(x: Tensor, numeric: int | None) -> int:
    if x.dim() != 2:
        raise DataError(f"a table of shape {tuple(x.shape)} was given; a batch is (rows, columns)")
    return x.shape[1] if numeric is None else min(numeric, x.shape[1])


def corrupt(
    x: Tensor,
    generator: Generator,
    *,
    share: Share = 0.3,
    noise: NotNegative = 0.0,
    hide: Share = 0.0,
    numeric: Whole | None = None,
) -> tuple[Tensor, Keys]:
    """A share of each row's values is replaced by the same column's value of random rows (SCARF, Bahri et al. 2022); then noise, hiding.

    A replaced value comes from the batch's own marginal, so that it is always a legal value, category or missing mark.

    share: share of values replaced.
    noise: standard deviation of normal noise on the numeric columns, in the column's own.
    hide: share of values made missing (NaN).
    numeric: how many leading columns are numbers; all where none.
    """
    width = _numbers(x, numeric)
    chosen = masking.mask(torch.ones_like(x, dtype=torch.bool), generator, share=share)
    view = mixing.resample(x.float(), generator, chosen)
    keys = {"corrupted": chosen}
    if noise > 0 and width:
        view[:, :width] += noise * draw.normal(x, generator, len(x), width)
    if hide > 0:
        keys["hidden"] = masking.mask(torch.ones_like(x, dtype=torch.bool), generator, share=hide)
        view = view.masked_fill(keys["hidden"], float("nan"))
    return view, keys


def uniform(
    x: Tensor, generator: Generator, *, share: Share = 0.1, spread: Positive = 1.7, numeric: Whole | None = None
) -> tuple[Tensor, Keys]:
    """Each value is replaced with the probability `share`, one of every row at least: what no row of the data looks like (CLAN).

    Numbers become uniform draws between −spread and spread, categories those of random rows of the batch.

    share: probability of a value to be replaced.
    spread: in the columns' own deviations; 1.7 has about their variance.
    numeric: how many leading columns are numbers; all where none.
    """
    width = _numbers(x, numeric)
    chosen = draw.chance(x, generator, share, *x.shape)
    chosen[torch.arange(len(x), device=x.device), draw.integers(x, generator, 0, x.shape[1], len(x))] |= ~chosen.any(1)
    other = draw.uniform(x, generator, -spread, spread, len(x), width)
    view = mixing.resample(x.float(), generator, chosen) if width < x.shape[1] else x.float().clone()
    view[:, :width] = torch.where(chosen[:, :width], other, x[:, :width].float())
    return view, {"replaced": chosen.sum(1)}


def hide(x: Tensor, generator: Generator, *, share: Share = 0.3) -> tuple[Tensor, Keys]:
    """A share of each row's values made missing (NaN), the mark that the encoder knows.

    share: share of values.
    """
    _numbers(x, None)
    gone = masking.mask(~x.isnan(), generator, share=share)
    return x.float().masked_fill(gone, float("nan")), {"hidden": gone}


def noise(
    x: Tensor, generator: Generator, *, scale: Positive = 0.1, quantile: bool = False, numeric: Whole | None = None
) -> tuple[Tensor, Keys]:
    """Noise on the numeric columns.

    scale: standard deviation in the column's own; with `quantile`, in shares of the rows (0.1 = a tenth of the ranks).
    quantile: move each value to that of a row with a near rank in the batch, mirrored at both ends, so that columns keep their law.
    numeric: how many leading columns are numbers; all where none.
    """
    width = _numbers(x, numeric)
    view, steps = x.float().clone(), draw.normal(x, generator, len(x), width) * scale
    if quantile:
        numbers = view[:, :width]
        known = (~numbers.isnan()).sum(0, keepdim=True).clamp(min=1)
        ordered, place = numbers.sort(0)  # NaN is last
        rank = place.argsort(0)
        target = (rank + 0.5 + steps * known).double() % (2.0 * known)
        target = torch.minimum(target, 2.0 * known - target)  # mirrored at both ends, or the extremes would be drawn too often
        moved = ordered.gather(0, target.long().minimum(known - 1))
        view[:, :width] = torch.where(numbers.isnan(), numbers, moved)
    else:
        view[:, :width] += steps
    return view, {}


def mixup(
    x: Tensor, generator: Generator, *, alpha: Positive = 1.0, least: Share = 0.5, numeric: Whole | None = None
) -> tuple[Tensor, Keys]:
    """Numbers: a weighted mean with another row. Categories: the other row's with the probability of its weight.

    alpha: the share of the row itself ~ Beta(alpha, alpha).
    least: the row keeps at least this share.
    numeric: how many leading columns are numbers; all where none.
    """
    width = _numbers(x, numeric)
    mixed, keys = mixing.mixup(x, generator, alpha=alpha, least=least)
    own = draw.uniform(x, generator, 0.0, 1.0, len(x), x.shape[1] - width) < keys["share"][:, None]
    codes = torch.where(own, x[:, width:].float(), x[keys["partner"], width:].float())
    return torch.cat([mixed[:, :width], codes], 1), keys
