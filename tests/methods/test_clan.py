"""CLAN: corrupted rows as negatives, the loss over active pairs, and anomalies that look like the corruption."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import checks, data, losses, pairs, views
from counterpoint.core import registry, similarity
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.recipe import Progress, Rows
from counterpoint.evaluation.protocols import measure
from counterpoint.evaluation.subject import Subject
from counterpoint.training.step import train_step

NOW = Progress()
ROLES = ("normal", "corrupted")


def rows(n: int = 5, d: int = 4, dtype: torch.dtype = torch.float64) -> Rows:
    keys = {"item": torch.arange(n).repeat(2), "view": torch.arange(2).repeat_interleave(n)}
    return Rows(torch.randn(2 * n, d, dtype=dtype, generator=torch.Generator().manual_seed(3)), keys, False, ROLES)


def pairs_of(whole: Rows) -> tuple[Rows, object]:
    anchors = whole.where(whole.keys["view"] == 0)
    return anchors, pairs.roles(anchors, whole, {}, positive=("normal",), negative=("corrupted",))


def test_all_normal_rows_are_positives_and_all_corrupted_ones_negatives() -> None:
    whole = rows()
    _, found = pairs_of(whole)
    positive, negative = (relation.dense(found.shape) for relation in (found.positives, found.negatives))
    assert torch.equal(positive > 0, torch.cat([~torch.eye(5, dtype=torch.bool), torch.zeros(5, 5, dtype=torch.bool)], 1))
    assert torch.equal(negative > 0, torch.cat([torch.zeros(5, 5, dtype=torch.bool), torch.ones(5, 5, dtype=torch.bool)], 1))
    own = pairs.roles(whole, whole, {}, positive=("corrupted",), negative=(), key="item")
    assert own.positives.dense(own.shape)[:5].nonzero().tolist() == [[i, i + 5] for i in range(5)]
    with pytest.raises(OptionError, match="no view has the role 'corupted'"):
        pairs.roles(whole, whole, {}, positive=("normal",), negative=("corupted",))
    with pytest.raises(OptionError, match="can only be one of them"):
        pairs.roles(whole, whole, {}, positive=("normal",), negative=("normal",))


@pytest.mark.parametrize("active", [True, False])
@pytest.mark.parametrize(("margin", "balance"), [(0.5, 0.5), (0.8, 0.3)])
def test_the_loss_is_the_formula_over_active_pairs_and_so_is_its_gradient(active: bool, margin: float, balance: float) -> None:
    whole = rows()
    whole.z.requires_grad_()
    anchors, found = pairs_of(whole)
    result = losses.active_margin(similarity.cosine(anchors.z, whole.z), found, margin=margin, balance=balance, active=active)
    (gradient,) = torch.autograd.grad(result.mean(), whole.z)
    u = torch.nn.functional.normalize(whole.z, dim=1)
    near = [(1 - u[i] @ u[j]) / 2 for i in range(5) for j in range(5) if i != j]
    far = [torch.relu(margin - (1 - u[i] @ u[j + 5]) / 2) for i in range(5) for j in range(5)]
    counts = [sum(bool(x > 1e-6) for x in each) if active else len(each) for each in (near, far)]
    expected = balance * sum(near) / counts[0] + (1 - balance) * sum(far) / counts[1]
    assert counts[1] < 25 or not active
    torch.testing.assert_close(result.mean(), expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, whole.z)[0])


def test_resting_pairs_cost_nothing_and_unbounded_scores_are_refused() -> None:
    one = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    whole = Rows(one, {"item": torch.arange(2).repeat(2), "view": torch.arange(2).repeat_interleave(2)}, False, ROLES)
    anchors, found = pairs_of(whole)
    assert float(losses.active_margin(similarity.cosine(anchors.z, whole.z), found).mean()) == 0
    with pytest.raises(OptionError, match="needs cosine scores"):
        losses.active_margin(similarity.dot(anchors.z, whole.z), found)


def test_every_row_is_corrupted_somewhere_numbers_uniformly_and_categories_by_other_rows() -> None:
    x = torch.cat([torch.zeros(400, 3), torch.arange(400)[:, None] % 2 + 5.0], 1)
    view, keys = views.table.uniform(x, torch.Generator().manual_seed(0), share=0.2, spread=1.7, numeric=3)
    assert int(keys["replaced"].min()) == 1 and abs(float(keys["replaced"].float().mean()) - 0.8 - 0.8**4) < 0.1
    changed = view[:, :3][view[:, :3] != 0]
    assert float(changed.abs().max()) < 1.7 and abs(float(changed.std()) - 1) < 0.1
    assert set(view[:, 3].tolist()) == {5.0, 6.0} and bool((view[:, 3] != x[:, 3]).any())
    never, _ = views.table.uniform(x, torch.Generator().manual_seed(0), share=0.0, numeric=3)
    assert bool(((never != x).sum(1) <= 1).all())


def test_normal_rows_learn_without_the_batch_and_the_embedding_is_the_projection() -> None:
    with checks.training(registry.get("clan"), "table") as run:
        assert not [m for m in run.model.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        train_step(run, next(run._batches(0, 0)))
        assert run.model.embed(run.data.batch(run.data.ids[:3]))["embedding"].z.shape == (3, 64)


def test_a_broken_dependence_is_found_that_the_distance_to_the_mean_does_not_show() -> None:
    """Anomalies keep every column's law and lose what ties the columns together."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 8)) + 0.1 * rng.normal(size=(500, 8))
    broken = np.stack([rng.permutation(column) for column in normal[:150].T], 1)
    x, label = np.concatenate([normal, broken]), np.repeat([0, 1], [500, 150])
    split = np.repeat([0, 1], [350, 300]).astype(np.int8)
    given = data.read(x, label=label, kind="table", holdout=lambda labels, groups: split)
    train, test = (given.subset(given.ids[given.split == part]) for part in (0, 1))
    with checks.training(registry.get("clan"), "table", train, epochs=80, batch=175, lr=3e-3) as run:
        run.fit()

        def embed(items: data.Dataset) -> np.ndarray:
            return run.model.embed(items.batch(items.ids))["embedding"].z.numpy()

        found = measure("anomalies", Subject(embed, train, test, given, 0, run.model), {})
    raw = measure("anomalies", Subject(lambda items: items.flat(), train, test, given, 0, None, "raw"), {})
    assert found["auroc"] > 0.85 > raw["auroc"] + 0.1, (found, raw)
    with pytest.raises(RequirementError, match="another class in the test"):
        measure("anomalies", Subject(lambda items: items.flat(), train, train, given, 0), {})
