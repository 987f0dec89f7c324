"""Pairs of rows whose arrangement is known are those that a look at the keys gives."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from counterpoint import pairs
from counterpoint.core.arrangement import arrangement, below_each_other, mark_distinct
from counterpoint.core.recipe import Rows, Select, View
from counterpoint.encoders.stacking import frame

ROLES = ("global", "global", "local")


def rows_of(items, positions=None, width=3):
    views = [View(role, {"x": items}, {"item": items, "label": items % 2}) for role in ROLES]
    made = frame(views, positions)
    return replace(made, z=torch.randn(len(made), width))


def known(count=4):
    items = torch.randperm(20)[:count]
    mark_distinct(items)
    return items


OPTIONS = [{}, {"same_view": False}, {"negatives": "own_view"}, {"negatives": "shared"}, {"own": False}, {"unknown": "ignored"}]


@pytest.mark.parametrize("positions", [None, [0, 1], [1], [2, 0]])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_same_items(positions, options):
    items = known()
    anchors = rows_of(items)
    for candidates in (anchors, rows_of(items, positions), replace(anchors, z=anchors.z + 1)):
        got = pairs.same(anchors, candidates, {}, **options)
        bare = [replace(rows, keys={k: v.clone() for k, v in rows.keys.items()}) for rows in (anchors, candidates)]
        assert arrangement(anchors) is not None and arrangement(bare[0]) is None
        wanted = pairs.same(bare[0], bare[0] if candidates is anchors else bare[1], {}, **options)
        assert got.shape == wanted.shape
        for one, two in ((got.positive, wanted.positive), (got.candidate, wanted.candidate)):
            assert torch.equal(one.dense(got.shape), two.dense(got.shape))


def test_two_batches_share_their_pairs():
    first, second, longer = (rows_of(known(count)) for count in (4, 4, 5))
    assert pairs.same(first, first, {}) is pairs.same(second, second, {})
    assert pairs.same(longer, longer, {}) is not pairs.same(first, first, {})


def test_what_is_not_known_is_looked_at():
    items = torch.tensor([3, 5, 3, 1])  # an item twice: not marked
    assert arrangement(rows_of(items)) is None
    rows = rows_of(known())
    assert arrangement(rows).positions == (0, 1, 2)
    other = rows_of(known())
    for changed in (
        rows.where(torch.arange(8)),
        replace(rows, keys={**rows.keys, "item": rows.keys["item"].clone()}),
        replace(rows, keys={**rows.keys, "position": rows.keys["view"]}),
        replace(rows, keys={**rows.keys, "view": rows.keys["view"].clone()}),
        replace(rows, shared=True),
        Rows(rows.z[:8], {"item": rows.keys["item"][:8]}),
        Rows.cat([rows, other]),
    ):
        assert arrangement(changed) is None
    views = [View("global", {"x": x}, {"item": x}) for x in (known(), known())]
    assert arrangement(frame(views)) is None, "views of different items"
    swapped = replace(rows, keys={**rows.keys, "item": other.keys["item"]})
    assert arrangement(swapped).items is arrangement(other).items, "the keys of other rows tell of those"


@pytest.mark.parametrize("vectors", [True, False])
def test_rows_of_two_batches_are_looked_at(vectors):
    one, two = (rows_of(items) if vectors else frame([View(r, {}, {"item": items}) for r in ROLES]) for items in (known(), known()))
    found = pairs.same(one, two, {}).positive.dense((12, 12))
    assert torch.equal(found > 0, (one.keys["item"][:, None] == two.keys["item"]) & (one.keys["view"][:, None] != two.keys["view"]))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda rows: pickle.loads(pickle.dumps(rows))], ids=["copy", "pickle"])
def test_copies_of_rows_are_rows(copied):
    rows = rows_of(known())
    other = copied(rows)
    assert set(other.keys) == {"item", "view", "label"} and torch.equal(other.keys["view"], rows.keys["view"])
    given, wanted = (pairs.same(r, r, {}).positive.dense((12, 12)) for r in (other, rows))
    assert torch.equal(given, wanted)


def test_rows_made_while_a_model_is_traced_leave_nothing_behind():
    with FakeTensorMode():
        frame([View("global", {}, {"item": torch.arange(17)})] * 2)
    rows = frame([View("global", {}, {"item": torch.arange(17)})] * 2)
    assert type(rows.keys["view"]) is torch.Tensor and rows.keys["view"].sum() == 17


@pytest.mark.parametrize("views", [("global",), ("local",), (0, 2), (1, 2), ("global", "local"), ("absent",)], ids=str)
def test_views_are_picked_by_slices_as_by_a_look(views):
    rows = rows_of(known())
    bare = replace(rows, keys={k: v.clone() for k, v in rows.keys.items()})
    one, two = Select("z", views)({"z": rows}), Select("z", views)({"z": bare})
    assert torch.equal(one.z, two.z) and one.roles == two.roles
    assert all(torch.equal(one.keys[k], two.keys[k]) for k in two.keys)
    assert arrangement(one).positions == tuple(two.keys["view"].unique().tolist())
    assert pairs.same(one, rows, {}).shape == (len(two), 12)


def test_tensors_below_each_other_are_not_copied():
    whole = torch.rand(7, 3, 2)
    seen = below_each_other([whole[:2], whole[2:3], whole[3:]])
    assert torch.equal(seen, whole) and seen.data_ptr() == whole.data_ptr()
    alone = below_each_other([whole[2:5]])
    assert torch.equal(alone, whole[2:5]) and alone.data_ptr() == whole[2:].data_ptr()


@pytest.mark.parametrize(
    "each",
    [
        lambda x: [x[4:], x[:4]],  # the other way round
        lambda x: [x[:3], x[4:]],  # a gap
        lambda x: [x[:3], x[2:]],  # an overlap
        lambda x: [x[:3], x[3:].clone()],
        lambda x: [x[:3], x[3:].double()],
        lambda x: [x[:3].transpose(1, 2), x[3:].transpose(1, 2)],
        lambda x: [x.requires_grad_()[:3], x[3:]],
    ],
)
def test_all_others_are(each):
    x = torch.rand(7, 2, 2)
    parts = each(x)
    made = below_each_other(parts)
    assert torch.equal(made, torch.cat(parts)) and made.data_ptr() != parts[0].data_ptr()
    assert made.requires_grad is x.requires_grad


def test_keys_of_views_are_joined_when_they_are_asked_for():
    items = torch.tensor([4, 2])
    views = [
        View("global", {}, {"item": items, "crop": torch.rand(2, 4)}),
        View("local", {}, {"item": items, "angle": torch.rand(2), "turn": torch.tensor([1, 0])}),
    ]
    made = frame(views)
    plain = Rows.cat([Rows(torch.empty(2, 0), {**v.keys, "view": torch.full((2,), i)}) for i, v in enumerate(views)])
    assert set(made.keys) == set(plain.keys) and len(made.keys) == 5 and "crop" in made.keys and "label" not in made.keys
    assert made.keys.get("label") is None
    assert not {"crop", "angle", "turn"} & made.keys._made.keys()
    for name, key in plain.keys.items():
        assert torch.equal(made.keys[name].nan_to_num(-5), key.nan_to_num(-5)) and made.keys[name].dtype == key.dtype
        assert made.keys[name] is made.keys[name]
    assert made.keys["crop"][2:].isnan().all() and made.keys["turn"].tolist() == [-1, -1, 1, 0]
