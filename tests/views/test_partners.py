"""views.partners: one partner class per item, the same in all its views."""

from __future__ import annotations

import pytest
import torch

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Batch, Progress, View
from counterpoint.views.partners import partnered


def _plain(batch, generator, now):
    return [View("global", batch.fields, dict(batch.keys)) for _ in range(2)]


LABELS = torch.tensor([0, 3, 3, 7, -1, 0, 7, 7])
BATCH = Batch({"x": torch.zeros(8, 2)}, {"item": torch.arange(8), "label": LABELS})


def _chosen(choice, seed=0, batch=BATCH):
    views = partnered(batch, torch.Generator().manual_seed(seed), Progress(), views=use(_plain), choice=choice)
    assert torch.equal(views[0].keys["partner"], views[1].keys["partner"])
    return views[0].keys["partner"]


def test_arbitrary_partners_are_the_classes_of_the_batch_shuffled():
    chosen = _chosen("arbitrary")
    assert chosen[4] == -1 and sorted(chosen.tolist()) == sorted(LABELS.tolist())
    assert torch.equal(chosen, _chosen("arbitrary")) and not torch.equal(chosen, _chosen("arbitrary", seed=1))


def test_distinct_partners_are_another_class_that_is_there():
    seen = set()
    for seed in range(20):
        chosen = _chosen("distinct", seed)
        known = LABELS >= 0
        assert (chosen[known] != LABELS[known]).all() and set(chosen[known].tolist()) <= {0, 3, 7} and chosen[4] == -1
        seen.add(int(chosen[0]))
    assert seen == {3, 7}
    single = Batch({"x": torch.zeros(2, 2)}, {"item": torch.arange(2), "label": torch.tensor([1, 1])})
    assert _chosen("distinct", batch=single).tolist() == [1, 1]
    assert torch.equal(_chosen("identical"), LABELS)


def test_labels_are_needed():
    with pytest.raises(RequirementError, match="needs the key 'label'"):
        _chosen("identical", batch=Batch({"x": torch.zeros(2, 2)}, {"item": torch.arange(2)}))
