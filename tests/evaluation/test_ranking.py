"""Ranking against a loop over users; the protocol leaves out what was known and reports the list that is the same for everybody."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from counterpoint import data
from counterpoint.core.errors import DataError, RequirementError
from counterpoint.evaluation import protocols
from counterpoint.evaluation.ranking import ranking
from counterpoint.evaluation.subject import Subject

RNG = np.random.default_rng(0)


def choices(users: int = 12, products: int = 15) -> tuple[np.ndarray, np.ndarray]:
    chosen = RNG.random((users, products))
    known, kept = np.argwhere(chosen < 0.25), np.argwhere((chosen >= 0.25) & (chosen < 0.4))
    return np.concatenate([known, [[users - 1, products - 1]]]), kept[(kept != [users - 1, products - 1]).any(1)]


@pytest.mark.parametrize("k", [1, 4, 40])
def test_recall_and_ndcg_equal_a_loop_over_users(k: int) -> None:
    known, kept = choices()
    scores = RNG.normal(size=(12, 15))
    found = ranking(lambda u: torch.from_numpy(scores)[u], torch.tensor(known.T), torch.tensor(kept.T), users=12, products=15, k=k)
    recall, ndcg, hits = [], [], []
    for user in np.unique(kept[:, 0]):
        wanted, seen = set(kept[kept[:, 0] == user, 1]), set(known[known[:, 0] == user, 1])
        order = [p for p in np.argsort(-scores[user], kind="stable") if p not in seen][:k]
        gains = [1 / math.log2(r + 2) for r, p in enumerate(order) if p in wanted]
        recall.append(sum(p in wanted for p in order) / len(wanted))
        ndcg.append(sum(gains) / sum(1 / math.log2(r + 2) for r in range(min(k, 15, len(wanted)))))
        hits.append(bool(gains))
    assert found["recall"] == pytest.approx(np.mean(recall))
    assert found["ndcg"] == pytest.approx(np.mean(ndcg))
    assert found["hits"] == pytest.approx(np.mean(hits))


def test_known_choices_are_never_in_a_list_and_a_perfect_list_scores_one() -> None:
    known, kept = torch.tensor([[0, 0, 1], [0, 1, 2]]), torch.tensor([[0, 1], [2, 0]])
    scores = torch.tensor([[9.0, 8.0, 1.0], [1.0, 0.0, 9.0]])
    assert ranking(lambda u: scores[u], known, kept, users=2, products=3, k=1) == {"recall": 1.0, "ndcg": 1.0, "hits": 1.0}


def test_what_cannot_be_ranked_is_refused() -> None:
    pairs = torch.tensor([[0], [1]])
    with pytest.raises(DataError, match="at least one"):
        ranking(lambda u: u, pairs, pairs[:, :0], users=1, products=2)
    with pytest.raises(DataError, match="not among"):
        ranking(lambda u: u, pairs, torch.tensor([[0], [5]]), users=1, products=2)


def test_the_protocol_scores_users_against_products() -> None:
    known, kept = choices()
    given = data.read({"interactions": known, "held_out": kept})
    z = RNG.normal(size=(27, 4)).astype(np.float32)
    subject = Subject(lambda d: z, given, given, given, 0)
    found = protocols.measure("ranking", subject, {"k": 3})
    wanted = ranking(
        lambda u: torch.from_numpy(z[:12] @ z[12:].T)[u], torch.tensor(known.T), torch.tensor(kept.T), users=12, products=15, k=3
    )
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    counts = torch.bincount(torch.tensor(np.unique(known, axis=0)[:, 1]), minlength=15).double()
    popular = ranking(lambda u: counts.repeat(len(u), 1), torch.tensor(known.T), torch.tensor(kept.T), users=12, products=15, k=3)
    assert found["popular_recall"] == pytest.approx(popular["recall"])
    with pytest.raises(RequirementError, match="table"):
        protocols.measure("ranking", replace(subject, whole=data.read(np.arange(6.0).reshape(3, 2))), {})
