"""pairs.same against a loop over the definition."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from counterpoint import pairs
from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Rows
from tests.pairs.rows import matrices, rows, views_of

NAN = float("nan")


def _letters(pairs_):
    """One letter per pair: + positive, - negative, . ignored."""
    positive, negative = matrices(pairs_)
    return ["".join("+" if p else "-" if n else "." for p, n in zip(*both, strict=True)) for both in zip(positive, negative, strict=True)]


def test_two_views_of_each_item():
    z = views_of([7, 3, 5])
    assert _letters(pairs.same(z, z, {})) == [".--+--", "-.--+-", "--.--+", "+--.--", "-+--.-", "--+--."]


def test_the_order_of_rows_means_nothing():
    z = views_of([7, 3, 5], label=[0, 1, 0])
    order = torch.randperm(6)
    mixed = z.where(order)
    for key in ("item", "label"):
        plain, moved = matrices(pairs.same(z, z, {}, key=key)), matrices(pairs.same(mixed, mixed, {}, key=key))
        for a, b in zip(plain, moved, strict=True):
            assert torch.equal(a[order][:, order], b)


def test_an_item_drawn_twice_is_no_negative():
    z = views_of([7, 7, 5])
    positive, negative = matrices(pairs.same(z, z, {}))
    same = z.keys["item"][:, None] == z.keys["item"]
    assert not (negative.bool() & same).any()
    assert (positive.bool() == same & (z.keys["view"][:, None] != z.keys["view"])).all()


@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.integers(-1, 6), min_size=1, max_size=8), views=st.integers(1, 3), seed=st.integers(0, 99))
def test_the_plain_form_of_two_views_is_the_same_pairs(items, views, seed):
    z = views_of(items, views)
    z = z.where(torch.randperm(len(z), generator=torch.Generator().manual_seed(seed)))
    again = Rows(z.z, dict(z.keys), roles=z.roles)  # not the same rows object: the general form
    for a, b in zip(matrices(pairs.same(z, z, {})), matrices(pairs.same(z, again, {})), strict=True):
        assert torch.equal(a, b)
    plain = views == 2 and len(set(items)) == len(items) and -1 not in items
    assert (pairs.same(z, z, {}).positive.form == "index") == plain


def test_own_rows_as_anchors_give_the_rows_of_the_whole():
    """With several processes the anchors are a part of the candidates: the same pairs, row for row."""
    z = views_of([7, 3, 5, 4], label=[0, 1, 0, -1])
    mine = torch.tensor([0, 1, 0, 1, 0, 1, 1, 0], dtype=torch.bool)
    for key in ("item", "label"):
        for whole, part in zip(matrices(pairs.same(z, z, {}, key=key)), matrices(pairs.same(z.where(mine), z, {}, key=key)), strict=True):
            assert torch.equal(whole[mine], part)


def test_labels_with_unknown_ones():
    z = views_of([1, 2, 3, 4], label=[0, 0, -1, -1])
    assert _letters(pairs.same(z, z, {}, key="label"))[:4] == [".+--++--", "+.--++--", "--.---+-", "---.---+"]
    assert _letters(pairs.same(z, z, {}, key="label", own=False))[:4] == [".+--++--", "+.--++--", "--.---.-", "---.---."]
    assert _letters(pairs.same(z, z, {}, key="label", unknown="ignored"))[:4] == [".+..++..", "+...++..", "......+.", ".......+"]


def test_a_teacher_row_of_the_same_view_is_nobody_s_positive():
    z = views_of([1, 2])
    teacher = Rows(z.z.clone(), z.keys, False, z.roles)
    assert _letters(pairs.same(z, teacher, {})) == [".-+-", "-.-+", "+-.-", "-+-."]
    assert _letters(pairs.same(z, teacher, {}, same_view=False)) == ["..+-", "..-+", "+-..", "-+.."]


def test_modalities_whose_views_are_counted_apart():
    image, text = rows(item=[1, 2], view=[0, 0], roles=("image",)), rows(item=[2, 1], view=[0, 0], roles=("text",))
    assert _letters(pairs.same(image, text, {})) == ["-+", "+-"]
    image, text = rows(item=[1, 2]), rows(item=[2, 1])
    assert _letters(pairs.same(image, text, {})) == ["-+", "+-"]


def test_older_copies_in_a_queue():
    z = views_of([1, 2])
    queue = rows(bank=True, item=[2, 9, -1])
    both = Rows.cat([z, queue])
    assert _letters(pairs.same(z, both, {}))[:2] == [".-+----", "-.-+.--"]
    assert _letters(pairs.same(z, both, {}, old="positive"))[1] == "-.-++--"
    assert _letters(pairs.same(z, both, {}, old="negative"))[1] == "-.-+---"
    assert _letters(pairs.same(z, queue, {})) == ["---", ".--", "---", ".--"]


def test_labels_in_a_queue():
    z = views_of([1, 2], label=[0, 1])
    both = Rows.cat([z, rows(bank=True, item=[2, 8, 9], label=[1, 1, -1])])
    assert _letters(pairs.same(z, both, {}, key="label"))[1] == "-.-+.+-"


def test_several_keys_block_and_exclude():
    z = rows(item=[1, 1, 2, 2], view=[0, 1, 0, 1], time=[5, 6, 5, 6], device=[0, 0, 1, -1], label=[3, 3, 3, 4])
    assert _letters(pairs.same(z, z, {}, key=("time", "device"), own=False)) == ["..--", "..--", "--..", "--.."]
    assert _letters(pairs.same(z, z, {}, key="time", own=False, block="item")) == ["....", "....", "....", "...."]
    assert _letters(pairs.same(z, z, {}, key="time", own=False, exclude="label")) == ["..+-", "...+", "+...", "-+.."]
    assert _letters(pairs.same(z, z, {}, block="device")) == [".+..", "+...", "....", "...."]


def test_another_key_on_the_other_side():
    a, c = rows(item=[1, 2, 3], partner=[5, 6, -1]), rows(item=[1, 2, 3], label=[6, 5, 5])
    assert _letters(pairs.same(a, c, {}, key="partner", other="label", own=False)) == [".++", "+.-", "--."]


def test_real_valued_and_multi_label_keys():
    z = rows(item=[1, 2, 3], view=[0, 0, 0], time=[0.5, 0.5, NAN])
    assert _letters(pairs.same(z, z, {}, key="time")) == [".+-", "+.-", "--."]
    z = rows(item=[1, 2, 3, 4], view=[0, 0, 0, 0], tags=[[1, 2], [2, 3], [4, -1], [-1, -1]])
    assert _letters(pairs.same(z, z, {}, key="tags")) == [".+--", "+.--", "--.-", "---."]


def test_missing_keys_are_named():
    z = views_of([1, 2])
    with pytest.raises(RequirementError, match="no key 'lable'; did you mean 'label'"):
        pairs.same(rows(item=[1], label=[0]), z, {}, key="lable")
    with pytest.raises(RequirementError, match="candidates have no key 'label'"):
        pairs.same(rows(item=[1], label=[0]), z, {}, key="label")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 2), st.integers(0, 1)), min_size=1, max_size=9),
    st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 2), st.integers(0, 1), st.booleans()), min_size=1, max_size=9),
)
def test_the_definition(left, right):
    """Every pair, by its definition, for any keys."""
    fixed = [(i, y, v, s) for i, y, v, s in right]
    a = rows(item=[x[0] for x in left], label=[x[1] for x in left], view=[x[2] for x in left])
    c = rows(item=[x[0] for x in fixed], label=[x[1] for x in fixed], view=[x[2] for x in fixed], shared=[int(x[3]) for x in fixed])
    positive, negative = matrices(pairs.same(a, c, {}, key="label"))
    for i, (item, label, view) in enumerate(left):
        for j, (item2, label2, view2, shared) in enumerate(fixed):
            same_item = item == item2 != -1
            ignored = same_item and (view == view2 or shared)
            match = (label == label2 != -1) or (same_item and label == label2)
            assert bool(positive[i, j]) == (match and not ignored), (i, j)
            assert bool(negative[i, j]) == (not match and not ignored), (i, j)


def test_negatives_of_the_own_view_or_of_the_queue_only():
    z = views_of([1, 2, 3])
    assert _letters(pairs.same(z, z, {}, negatives="own_view"))[0] == ".--+.."
    both = Rows.cat([z, rows(bank=True, item=[2, 9, -1])])
    assert _letters(pairs.same(z, both, {}, negatives="shared"))[:2] == ["...+..---", "....+..--"]
    assert _letters(pairs.same(z, z, {}, negatives="shared"))[0] == "...+.."


def test_the_row_itself_as_its_positive():
    z = views_of([1, 2])
    assert _letters(pairs.itself(z, z, {})) == ["+-.-", "-+-.", ".-+-", "-.-+"]
    bare = rows(item=[1, 2])
    assert _letters(pairs.itself(bare, bare, {})) == ["+-", "-+"]


def test_tokens_meet_by_position():
    """Steps of two views of two items: the step of the same position is positive, in the own item alone or in all."""
    keys = {"item": [1, 1, 2, 2] * 2, "view": [0] * 4 + [1] * 4, "position": [0, 1, 0, 1, 0, 1, 1, -1]}
    z = rows(**keys)
    everywhere = _letters(pairs.same(z, z, {}, key="position", own=False))
    assert everywhere[0] == "..+-+.--" and everywhere[1] == "..-+.++-"
    assert everywhere[7] == "--..--.."  # its own position is not known: nobody's positive, and its item's rows are ignored
    inside = _letters(pairs.same(z, z, {}, key="position", block="item", own=False))
    assert inside[0] == "....+..." and inside[3] == "......+."
    for i, row in enumerate(_letters(pairs.same(z, z, {}, key=("item", "position"), own=False))):
        for j, letter in enumerate(row):
            alike = all(keys[k][i] == keys[k][j] for k in ("item", "position")) and keys["position"][i] != -1
            assert (letter == "+") == (alike and i != j), (i, j)


def test_a_full_queue_has_the_plain_form():
    """Ignoring what is not known costs nothing where all is known."""
    z = views_of([1, 2])
    for items, plain in (([5, 6, 7], True), ([5, -1, 7], False)):
        both = Rows.cat([z, rows(bank=True, item=items)])
        found = pairs.same(z, both, {}, unknown="ignored")
        assert (found.candidate.form == "all" and not found.candidate.inside) == plain
        assert _letters(found)[0] == (".-+----" if plain else ".-+--.-")
