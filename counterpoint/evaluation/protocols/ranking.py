"""Whether held-out choices of users stand high among all products they are not known to have chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count
from counterpoint.evaluation.ranking import ranking as measure
from counterpoint.evaluation.subject import Subject


def ranking(subject: Subject, *, k: Count = 20, held_out: str = "held_out") -> dict[str, float]:
    """{"recall", "ndcg", "hits"} at k of the scores e_u · e_p, and "popular_recall", "popular_ndcg" of the same list for everybody.

    Averaged over users; training choices are left out of the lists. "few_recall" is the recall of the half of the users with the fewest
    training choices. The reference "raw" ranks by the leading singular vectors of the choices (plain SVD).

    k: length of a list.
    held_out: the table of the choices to be found, (2, e) of nodes.
    """
    tables = subject.whole.tables
    for name in ("edges", "users", held_out):
        if name not in tables:
            raise RequirementError(f"ranking reads the table {name!r} and the data have {', '.join(tables) or 'none'}")
    users = int(tables["users"])
    products = len(subject.whole.parts) - users
    edges, wanted = tables["edges"], tables[held_out]
    shift = torch.tensor([[0], [users]])
    known, wanted = edges[:, edges[0] < users] - shift, wanted - shift
    z = torch.as_tensor(np.asarray(subject.embed(subject.whole))).float()
    one, other = z[:users], z[users:]
    options: dict[str, Any] = {"users": users, "products": products, "k": k}

    def by_product(ids: Tensor) -> Tensor:
        return one[ids] @ other.T

    popularity = torch.bincount(known[1], minlength=products).double()
    found = measure(by_product, known, wanted, **options)
    popular = measure(lambda ids: popularity.repeat(len(ids), 1), known, wanted, **options)
    chosen = torch.bincount(known[0], minlength=users)
    few = chosen <= chosen[wanted[0].unique()].median()
    rare = wanted[:, few[wanted[0]]]
    found["few_recall"] = measure(by_product, known, rare, **options)["recall"]
    return {**found, "popular_recall": popular["recall"], "popular_ndcg": popular["ndcg"]}
