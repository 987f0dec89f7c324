"""A contrast whose soft positives are debiased class predictions of the batch, on a class-balanced choice of rows (BaCon, paper 118)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from counterpoint.core import similarity as similarities
from counterpoint.core.options import NotNegative, Part, Positive, use
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Rows, provides, requires, value_of
from counterpoint.terms.alignment import align
from counterpoint.terms.classes import labels_of, prior_of


@requires(column=("{label}",))
@provides(column=("q",))
def debiased(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    pairs: Part,
    loss: Part,
    space: str = "z",
    logits: str = "logits",
    label: str = "label",
    prior: str = "prior",
    temperature: Positive = 0.1,
    adjustment: NotNegative = 0.5,
    balance: NotNegative = 0.5,
    labelled_balance: NotNegative = 0.0,
    similarity: Part = use(similarities.cosine),  # noqa: B008  (a part is a frozen value)
) -> RowLoss:
    """loss(scores, pairs) over the rows that are kept, with the key "q" (k, K): their debiased soft labels, without gradient.

    q_i = mean over the views of softmax(l_i / t − α log n), n the prior of the classes (logit adjustment).
    Kept are items with a label and, of those without that are predicted as class c, the surest Binomial(count_c, r_c), with
    r_c = (min n / n_c)^β; for classes that have a label in the batch the exponent is β'.

    pairs: the rule over the kept rows, such as pairs.product(key="q").
    loss: losses.supervised, …; its options may move over the run.
    space: rows that are contrasted.
    logits: rows with the logits, of the same views.
    label: key of the labels.
    prior: table with the share of each class; even until a round has written it.
    temperature: t > 0.
    adjustment: α.
    balance: β; 0 keeps all rows.
    labelled_balance: β'; 0 keeps all rows of these classes.
    similarity: of the rows.
    """
    rows, scored = out[space], out[logits]
    left, right = align(rows, scored, ("item", "view"))
    rows, scored = rows.where(left), scored.where(right)
    count = scored.z.shape[1]
    y = labels_of(scored, label)
    share = prior_of(tables, prior, count).to(scored.z) if prior in tables else scored.z.new_full((count,), 1 / count)
    _, item = scored.keys["item"].unique(return_inverse=True)
    size = torch.bincount(item)
    soft = (scored.z.detach().float() / temperature - adjustment * share.log()).softmax(1)
    q = soft.new_zeros(len(size), count).index_add(0, item, soft) / size[:, None]
    known = torch.zeros_like(size, dtype=torch.bool).index_fill(0, item[y >= 0], True)
    there = torch.zeros(count, dtype=torch.bool, device=soft.device).index_fill(0, y[y >= 0], True)
    power = torch.where(there, labelled_balance, balance)
    kept = known | _surest(q.masked_fill(known[:, None], 0.0), (share.min() / share).pow(power))
    mask = kept[item]
    chosen = rows.where(mask)
    chosen = replace(chosen, keys={**chosen.keys, "q": q[item][mask]})
    moving = {name: value_of(value, now) for name, value in loss.options.items() if isinstance(value, Part)}
    result: RowLoss = loss(similarity(chosen.z, chosen.z), _paired(pairs, chosen, tables), **moving)
    return result


def _paired(pairs: Part, rows: Rows, tables: Mapping[str, Any]) -> Any:
    return pairs(rows, rows, tables)


def _surest(q: Tensor, rate: Tensor) -> Tensor:
    """(b,) bool: of the items predicted as class c, as many as a draw of Binomial(count_c, rate_c) says, the surest first."""
    confidence, found = q.max(1)
    found = torch.where(confidence > 0, found, q.shape[1])  # rows of zeros take no part
    number = torch.bincount(found, minlength=q.shape[1] + 1)
    wanted = torch.binomial(number[:-1].float(), rate.clamp(0, 1).float())
    wanted = torch.cat([wanted, wanted.new_zeros(1)])
    order = confidence.argsort(descending=True, stable=True)
    order = order[found[order].argsort(stable=True)]
    place = torch.empty_like(found)
    place[order] = torch.arange(len(q), device=q.device) - (number.cumsum(0) - number)[found[order]]
    return place < wanted[found]
