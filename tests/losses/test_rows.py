"""What losses work out of pairs that stand for many batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from counterpoint import losses, pairs
from counterpoint.core.arrangement import mark_distinct
from counterpoint.core.options import use
from counterpoint.core.recipe import Contrast, Progress, View
from counterpoint.core.similarity import Pairs, Relation, cosine
from counterpoint.encoders.stacking import frame
from counterpoint.losses.rows import once, weights


def rows_of(count, grad=True, views=2):
    items = torch.randperm(50)[:count]
    mark_distinct(items)
    made = frame([View("global", {}, {"item": items})] * views)
    return made.holding(torch.randn(len(made), 4, requires_grad=grad))


def test_only_pairs_that_last_keep_what_follows_from_them():
    plain = Pairs(Relation.index(torch.tensor([1, 0])), Relation.all(), (2, 2))
    asked = []
    for given in (plain, plain, plain.lasting()):
        once(given, "name", lambda: asked.append(1))
    assert len(asked) == 3
    lasting = plain.lasting()
    assert [once(lasting, name, lambda: asked.append(1)) for name in ("one", "one", "two")] == [None] * 3 and len(asked) == 5
    assert once(plain.lasting(), "one", lambda: 7) == 7, "each has its own place"


def test_pairs_made_of_lasting_ones_know_nothing_of_them():
    lasting = Pairs(Relation.index(torch.tensor([1, 0])), Relation.all().without(Relation.itself()), (2, 2)).lasting()
    scores = cosine(torch.randn(2, 3), torch.randn(2, 3))
    assert weights(scores, lasting)[0].tolist() == [1, 1] and lasting.known
    none = replace(lasting, positive=Relation.none())
    assert none.known is None and weights(scores, none)[0].tolist() == [0, 0]
    assert lasting.transposed().known is None


def test_weights_and_chance_are_those_of_pairs_that_are_looked_at():
    for count in (5, 3, 5):
        rows = rows_of(count)
        bare = replace(rows, keys={name: key.clone() for name, key in rows.keys.items()})
        term = Contrast(use(pairs.same), use(losses.info_nce))
        one, two = (term({"z": z}, {}, Progress()) for z in (rows, bare))
        assert torch.equal(one.values, two.values) and torch.equal(one.counted, two.counted) and one.chance == two.chance
        for dtype in (torch.float32, torch.float64):
            scores = cosine(rows.z.to(dtype), rows.z.to(dtype))
            assert all(w.dtype in (dtype, torch.bool) for w in weights(scores, pairs.same(rows, rows, {})))


def test_what_a_loss_gives_out_is_its_own():
    term = Contrast(use(pairs.same), use(losses.info_nce))
    term({"z": rows_of(9)}, {}, Progress()).counted[:4] = False
    assert term({"z": rows_of(9)}, {}, Progress()).counted.all()


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("loss", [losses.info_nce, losses.cacr, losses.cosine_regression, losses.supervised], ids=lambda x: x.__name__)
def test_training_after_inference(loss, views):
    term = Contrast(use(pairs.same), use(loss))
    count = 20 + 2 * views + len(loss.__name__)  # pairs that no other test has asked for
    with torch.inference_mode():
        seen = term({"z": rows_of(count, False, views)}, {}, Progress())
    rows = rows_of(count, True, views)
    found = term({"z": rows}, {}, Progress())
    found.mean().backward()
    assert torch.isfinite(rows.z.grad).all() and found.chance == seen.chance
