"""Whether the choice that was left out of the end of a sequence stands high among all that the user has not chosen yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.ranking import ranking
from counterpoint.evaluation.subject import Subject


def next_item(subject: Subject, *, k: Count = 20, answer: str = "answer", modality: str = "x", batch: Count = 512) -> dict[str, float]:
    """{"hits", "ndcg"} at k under full ranking, and "popular_hits", "popular_ndcg" of the most frequent choices for everybody.

    The model scores all choices by `scores(rows) -> (b, V)`. What a sequence holds already is left out of its list, and ids that no
    sequence holds from all of them. Sequences whose answer is unknown (−1) do not count.

    k: length of a list.
    answer: the column with the id of the choice to be found.
    modality: the field of the sequences, (b, t) ids with 0 = padding.
    batch: sequences read at a time.
    """
    scores: Any = getattr(subject.needed_model("next_item"), "scores", None)
    if scores is None:
        raise RequirementError(f"next_item needs a model that scores choices, scores(rows), and {subject.name} has none")
    given = subject.whole
    if answer not in given.columns:
        raise RequirementError(f"next_item reads the column {answer!r} and the data have {', '.join(given.columns) or 'none'}")
    known = _choices(given, modality, batch)
    z = torch.as_tensor(np.asarray(subject.embed(given)))
    with torch.no_grad():
        device = next(subject.needed_model("next_item").parameters()).device
        products = int(scores(z[:1].to(device)).shape[1])
    wanted = given.columns[answer]
    users = torch.nonzero((wanted >= 0) & (wanted < products)).flatten()
    if not len(users):
        raise RequirementError(f"no sequence has a known {answer!r}; there is nothing to find")
    there = torch.bincount(known[1], minlength=products) > 0
    held_out = torch.stack([users, wanted[users]])

    def by_model(ids: Tensor) -> Tensor:
        with torch.no_grad():
            return scores(z[ids].to(device)).cpu().masked_fill(~there, -torch.inf)  # type: ignore[no-any-return]

    often = torch.bincount(known[1], minlength=products).double().masked_fill(~there, -torch.inf)
    options: dict[str, Any] = {"users": given.items, "products": products, "k": k}
    found = ranking(by_model, known, held_out, **options)
    popular = ranking(lambda ids: often.repeat(len(ids), 1), known, held_out, **options)
    return {"hits": found["hits"], "ndcg": found["ndcg"], "popular_hits": popular["hits"], "popular_ndcg": popular["ndcg"]}


def _choices(given: Any, modality: str, batch: int) -> Tensor:
    """(2, e): the place of a sequence in the set, and an id that it holds, once each."""
    found = []
    for number, ids in enumerate(given.ids.split(batch)):
        x = given.batch(ids).fields[modality]
        rows, places = torch.nonzero(x, as_tuple=True)
        found.append(torch.stack([rows + number * batch, x[rows, places].long()]))
    return torch.cat(found, 1).unique(dim=1)
