"""Which pairs does this rule make? A small batch's matrix, drawn, and its pairs, listed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import DataError, OutputError, need
from counterpoint.core.options import Count, Part
from counterpoint.core.recipe import Rows
from counterpoint.core.similarity import Pairs


def show(
    rule: Part | Pairs,
    anchors: Rows | None = None,
    candidates: Rows | None = None,
    tables: Mapping[str, Any] | None = None,
    *,
    keys: tuple[str, ...] = ("item", "view"),
    limit: Count = 32,
    picture: str | Path | None = None,
) -> str:
    """The matrix of positives and negatives as text, and under it every anchor with its positives. Print it.

    +  positive of weight 1     1 to 9  positive of about so many tenths     *  positive of more than 1
    -  negative of weight 1     =  negative of another weight                .  ignored

    rule: a rule, which then needs rows, or pairs.   anchors, candidates: rows; the candidates are the anchors where not given.
    keys: keys that name a row.
    limit: at most this many rows and columns are shown.
    picture: where to write the matrix as a PNG as well (needs matplotlib).
    """
    if isinstance(rule, Pairs):
        pairs = rule
    elif anchors is None:
        raise DataError("pairs.show: a rule needs rows to be shown on; give anchors, or pairs in place of the rule")
    else:
        pairs = rule(anchors, anchors if candidates is None else candidates, tables or {})
    n, m = (min(size, limit) for size in pairs.shape)
    rows, columns = torch.arange(n)[:, None], torch.arange(m)[None, :]
    positive, negative = (relation.at(rows, columns) for relation in (pairs.positives, pairs.negatives))
    left = _names(anchors, n, keys)
    right = _names(anchors if candidates is None else candidates, m, keys)
    if picture is not None:
        _draw(positive, negative, left, right, Path(picture))
    return "\n".join([*_matrix(positive, negative, left, right, pairs.shape), "", *_list(positive, negative, left, right)])


def _names(rows: Rows | None, count: int, keys: Sequence[str]) -> list[str]:
    if rows is None:
        return [str(i) for i in range(count)]
    known = [key for key in keys if key in rows.keys]
    words = [[f"{key} {_word(value)}" for value in rows.keys[key][:count]] for key in known]
    return [", ".join(parts) for parts in zip(*words, strict=True)] if words else [str(i) for i in range(count)]


def _word(value: Tensor) -> str:
    number: Any = value.tolist()
    return str(number) if isinstance(number, list) else "?" if number == -1 or number != number else f"{number:g}"


def _matrix(positive: Tensor, negative: Tensor, left: list[str], right: list[str], shape: tuple[int, int]) -> list[str]:
    wide = max([len(name) for name in left], default=0)
    digits = len(str(max(len(right) - 1, 0)))
    head = [" " * (wide + 2) + " ".join(f"{j:>{digits}}"[k] for j in range(len(right))) for k in range(digits)]
    body = [
        f"{left[i]:<{wide}}  " + " ".join(_letter(float(p), float(n)) for p, n in zip(positive[i], negative[i], strict=True))
        for i in range(len(left))
    ]
    cut = [] if (len(left), len(right)) == shape else [f"(the first {len(left)} of {shape[0]} rows and {len(right)} of {shape[1]} columns)"]
    return [*head, *body, *cut]


def _letter(positive: float, negative: float) -> str:
    if positive > 0:
        return "+" if positive == 1 else "*" if positive > 1 else str(min(max(round(positive * 10), 1), 9))
    return "." if negative == 0 else "-" if negative == 1 else "="


def _list(positive: Tensor, negative: Tensor, left: list[str], right: list[str]) -> list[str]:
    lines = []
    for i, name in enumerate(left):
        chosen = [
            f"{j} ({right[j]})" + ("" if positive[i, j] == 1 else f" x {float(positive[i, j]):.3g}")
            for j in positive[i].nonzero()[:, 0].tolist()
        ]
        away = int((negative[i] > 0).sum())
        ignored = len(right) - away - len(chosen)
        lines.append(f"{i} ({name}): positive {'; '.join(chosen) or 'none, does not count'}; {away} negative, {ignored} ignored")
    return lines


def _draw(positive: Tensor, negative: Tensor, left: list[str], right: list[str], path: Path) -> None:
    """Positives dark, negatives light, ignored pairs white."""
    figures = need("matplotlib.figure", "report")
    figure = figures.Figure(figsize=(1.5 + 0.28 * len(right), 1.2 + 0.28 * len(left)), dpi=120, layout="constrained")
    axes = figure.subplots()
    shade = torch.where(positive > 0, 0.5 + 0.5 * positive / positive.max().clamp(min=1e-9), 0.2 * (negative > 0).float())
    axes.imshow(shade.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.set_yticks(range(len(left)), left, fontsize=7)
    axes.set_xticks(range(len(right)), right, fontsize=7, rotation=90)
    axes.set_title("dark: positive, light: negative, white: ignored", fontsize=8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        figure.savefig(temporary, format="png")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror}); give a path in a folder that exists") from None
