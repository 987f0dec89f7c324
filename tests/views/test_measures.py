"""Measures move the way they should, and the chooser follows them."""

import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import DataError, LabelError
from counterpoint.core.options import use
from counterpoint.core.recipe import Modality
from counterpoint.views.features import describe

G = torch.Generator


def groups(n=200, d=16, k=4):
    g = G().manual_seed(0)
    labels = torch.arange(n) % k
    return torch.randn(k, d, generator=g)[labels] * 2 + torch.randn(n, d, generator=g) * 0.5, labels


def found(scale, labels=None, **more):
    x, own = groups()
    return views.measure(x, use(views.array.noise, scale=scale), own if labels is None else labels, kind="array", **more)


def test_stronger_views_are_less_alike_less_recognisable_and_overlap_more():
    weak, medium, strong = (found(scale) for scale in (0.01, 0.5, 4.0))
    assert weak["similarity"] > medium["similarity"] > strong["similarity"]
    assert weak["recognised"] > 0.99 > strong["recognised"]
    assert weak["overlap"] < medium["overlap"] < strong["overlap"]
    assert weak["connectivity"] < strong["connectivity"] and weak["parts"] > strong["parts"]
    assert medium["label_preservation"] > 0.9 > strong["label_preservation"]
    assert medium["links_within_label"] > 0.9 and medium["label_chance"] == pytest.approx(0.25, abs=0.01)


def test_identity_views_are_the_items():
    same = views.measure(groups()[0], use(views.array.drop, share=0.0), groups()[1], kind="array")
    assert same["similarity"] == pytest.approx(1.0, abs=1e-4) and same["recognised"] == 1.0 and same["overlap"] == 0.0
    assert same["parts"] == 200 and same["label_preservation"] == pytest.approx(same["label_reference"])


def test_without_labels_nothing_is_said_of_them():
    for labels in (None, -torch.ones(200, dtype=torch.int64)):
        figures = views.measure(groups()[0], use(views.array.noise), labels, kind="array")
        assert figures["label_preservation"] is None and figures["links_within_label"] is None
        assert 0 <= figures["connectivity"] <= 1


def test_words_as_labels_and_own_features():
    names = [f"class {int(i)}" for i in groups()[1]]
    assert found(0.1, names) == found(0.1)
    assert found(0.1, features=lambda x: x[:, :1])["recognised"] < found(0.1)["recognised"]


def test_repeatable_and_bounded():
    assert found(0.5) == found(0.5)
    assert views.measure(groups()[0], use(views.array.noise), kind="array", items=50)["items"] == 50


def test_choose_takes_the_strongest_that_keeps_the_label():
    x, labels = groups()
    choice = views.choose(x, labels, modality=Modality("array", (16,)))
    kept = {row["name"]: row["kept"] for row in choice.table}
    assert kept[choice.name] >= 0.7 and choice.name in choice.why
    more = [row for row in choice.table if row["kept"] >= 0.7]
    assert choice.name == min(more, key=lambda r: r["between_views"])["name"]
    without = views.choose(x, modality=Modality("array", (16,)))
    assert "nearest to their own item" in without.why


def test_choose_falls_back_to_the_gentlest():
    x = torch.randn(60, 2, generator=G().manual_seed(0))
    choice = views.choose(x, modality=Modality("array", (2,)), recognise=1.0)
    assert choice.name == max(choice.table, key=lambda r: r["kept"])["name"]


SHAPES = {
    "image": (1, 9, 9), "volume": (1, 8, 8, 8), "video": (3, 4, 8, 8), "audio": (1, 700), "series": (2, 30), "points": (3, 20),
    "skeleton": (3, 9, 5), "table": (5,), "array": (7,),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_features_of_every_kind_are_finite_and_of_length_one(kind):
    x = torch.rand(6, *SHAPES[kind], generator=G().manual_seed(0))
    if kind in ("series", "audio", "points", "skeleton", "table"):
        x[0, ..., -1] = float("nan")
    rows = describe(x, kind)
    assert rows.shape[0] == 6 and torch.allclose(rows.norm(dim=1), torch.ones(6), atol=1e-4)


def test_features_of_text_ignore_padding_and_order():
    x = torch.tensor([[3, 4, 5, 0], [5, 4, 3, 0], [9, 8, 7, 6]])
    rows = describe(x, "text")
    assert torch.allclose(rows[0], rows[1]) and not torch.allclose(rows[0], rows[2])


def test_refusals():
    part = use(views.array.noise)
    with pytest.raises(LabelError, match="3 labels were given for 200 items"):
        views.measure(groups()[0], part, [1, 2, 3], kind="array")
    with pytest.raises(DataError, match="at least 8"):
        views.measure(groups()[0][:5], part, kind="array")
    with pytest.raises(DataError, match="kind="):
        views.measure(groups()[0], part)
    with pytest.raises(DataError, match="modality="):
        views.choose(groups()[0])
    with pytest.raises(DataError, match="features="):
        views.measure(groups()[0], part, kind="graph")
