"""Measures move the way they should, and the chooser follows them."""

import numpy as np
import pytest
import torch

from counterpoint import data, views
from counterpoint.core.errors import DataError, LabelError, OptionError
from counterpoint.core.options import use
from counterpoint.core.recipe import Graph, Modality
from counterpoint.views.features import describe
from counterpoint.views.measures import described

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
    weight = torch.nn.Parameter(torch.eye(16))
    assert found(0.1, features=lambda x: x @ weight) == found(0.1, features=lambda x: x), "an encoder may learn elsewhere"
    assert found(0.1, features=lambda x: x[:, :1])["recognised"] < found(0.1)["recognised"]


def test_repeatable_and_bounded():
    assert found(0.5) == found(0.5)
    assert views.measure(groups()[0], use(views.array.noise), kind="array", items=50)["items"] == 50


def test_choose_takes_the_strongest_that_keeps_the_label():
    x, labels = groups()
    choice = views.choose(x, labels, modality=Modality("array", (16,)))
    kept = {row["name"]: row["kept"] for row in choice.table}
    assert all(row["least_label_preservation"] <= row["label_preservation"] for row in choice.table)
    assert kept[choice.name] >= 0.7 and choice.name in choice.why
    more = [row for row in choice.table if row["kept"] >= 0.7]
    assert choice.name == min(more, key=lambda r: r["between_views"])["name"]
    without = views.choose(x, modality=Modality("array", (16,)))
    assert "nearer to their own item than to any of 100 others" in without.why


def test_choose_falls_back_to_the_gentlest():
    x = torch.randn(60, 5, generator=G().manual_seed(0))
    choice = views.choose(x, modality=Modality("array", (5,)), recognise=1.0)
    best = max(choice.table, key=lambda r: r["kept"])
    assert best["kept"] < 1.0 and choice.name == best["name"]
    assert "none reach the 100%" in choice.why and "differ most" not in choice.why, "nothing is said that is not so"


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


def test_recognised_is_what_drawing_a_hundred_others_gives():
    x, _ = groups(n=260)
    made = views.measure(x, use(views.array.noise, scale=1.5), kind="array", features=lambda rows: rows)
    assert 0.05 < made["recognised"] < 0.95

    seen = []
    views.measure(x, use(views.array.noise, scale=1.5), kind="array", features=lambda rows: seen.append(rows) or rows)
    original, *others = (torch.nn.functional.normalize(rows.double(), dim=1) for rows in [seen[-1], *seen[:-1]])
    assert len(others) == 2
    lot, hits = G().manual_seed(3), []
    for view in others:
        scores = view @ original.T
        for i in range(260):
            rest = torch.cat([torch.arange(i), torch.arange(i + 1, 260)])
            drawn = torch.stack([rest[torch.randperm(259, generator=lot)[:100]] for _ in range(20)])
            hits.append((scores[i, drawn].amax(1) < scores[i, i]).double().mean())
    assert made["recognised"] == pytest.approx(float(torch.stack(hits).mean()), abs=0.02)


def test_recognition_does_not_depend_on_how_many_items_there_are():
    part = use(views.array.noise, scale=1.0)
    x, _ = groups(n=1000)
    few, many = (views.measure(x[:n], part, kind="array", items=n)["recognised"] for n in (120, 1000))
    assert few == pytest.approx(many, abs=0.1)


def test_the_order_of_the_items_says_nothing():
    x, labels = groups(n=300)
    order = labels.argsort()
    part = use(views.array.drop, share=0.0)
    mixed, sorted_ = (views.measure(rows, part, kind="array", features=lambda r: r)["between_views"] for rows in (x, x[order]))
    assert mixed == pytest.approx(sorted_, abs=1e-4)
    other = use(views.array.noise, scale=2.0)
    mixed, sorted_ = (views.measure(rows, other, kind="array", features=lambda r: r)["similarity"] for rows in (x, x[order]))
    assert mixed == pytest.approx(sorted_, abs=0.03)


def test_a_view_that_is_the_item_does_not_hide_one_that_is_not():
    """SCARF's first view is the row itself; the label-free choice asks the other one."""
    x = torch.randn(400, 8, generator=G().manual_seed(0))
    made = views.measure(x, views.preset("table", "scarf"), kind="table")
    assert made["recognised"] > 0.5 > 0.42 > made["least_recognised"]
    assert views.choose(x, modality=Modality("table", (8,))).name != "scarf"


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
def test_labels_that_say_nothing_are_not_kept(share):
    x, _ = groups(n=600)
    labels = (torch.rand(600, generator=G().manual_seed(5)) > share).long()
    assert "label" not in views.choose(x, labels, modality=Modality("array", (16,))).why


def test_unknown_labels_in_any_form():
    x, own = groups()
    expected = views.measure(x, use(views.array.noise), torch.where(torch.arange(200) % 2 == 0, own, -1), kind="array")
    known = [int(label) if i % 2 == 0 else None for i, label in enumerate(own)]
    for unknown in (None, float("nan"), "", -1, -1.0):
        given = [f"class {label}" if label is not None else unknown for label in known]
        assert views.measure(x, use(views.array.noise), given, kind="array") == expected
        assert views.measure(x, use(views.array.noise), np.array(given, dtype=object), kind="array") == expected
    for given in (
        np.array([np.nan if label is None else label for label in known]),
        torch.tensor([-1.0 if k is None else k for k in known]),
    ):
        assert views.measure(x, use(views.array.noise), given, kind="array") == expected
    large = torch.where(torch.arange(200) % 2 == 0, own * 10**15, -1)
    assert views.measure(x, use(views.array.noise), large, kind="array") == expected


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
    with pytest.raises(DataError, match="edge_index"):
        views.measure(groups()[0], part, kind="graph")
    for given, kind, words in (
        (torch.rand(20, 3, 8, 8), "series", "shape .20, 3, 8, 8. .*channels, time"),
        (torch.rand(20, 9), "image", "channels, height, width"),
        (NODES, "table", "a graph was given with table views"),
        (["a", "b"] * 10, "text", "counterpoint.data.read"),
        ("photos", None, "a str was given"),
        (None, "array", "None was given"),
    ):
        with pytest.raises(DataError, match=words):
            views.measure(given, part, kind=kind)
    with pytest.raises(DataError, match=r"array.*with image views"):
        views.measure(torch.rand(20, 3, 8, 8), views.preset("image"), kind="array")
    with pytest.raises(DataError, match="views are for table and the data are array"):
        views.measure(data.read(groups()[0].numpy(), kind="array"), views.preset("table"))
    for wrong in (0, -1, 2.5, True):
        for name in ("neighbours", "items"):
            with pytest.raises(OptionError, match=name):
                views.measure(groups()[0], part, kind="array", **{name: wrong})
    for wrong in ("simclr", None, 3):
        with pytest.raises(OptionError, match="give views"):
            views.measure(groups()[0], wrong, kind="array")
    for wrong in ("a", 1.5, None):
        with pytest.raises(OptionError, match="seed"):
            views.measure(groups()[0], part, kind="array", seed=wrong)
    for wrong in ("a", lambda x: x[:3], lambda x: x[:, None], lambda x: x * float("nan"), lambda x: 1):
        with pytest.raises(DataError, match="features"):
            views.measure(groups()[0], part, kind="array", features=wrong)
    with pytest.raises(LabelError, match="shape"):
        views.measure(groups()[0], part, [[1], [1, 2]] * 100, kind="array")
    with pytest.raises(LabelError, match="shape"):
        views.measure(groups()[0], part, np.zeros((200, 2)), kind="array")


RING = torch.arange(40)
NODES = {"x": torch.randn(40, 6, generator=G().manual_seed(0)), "edge_index": torch.cat([torch.stack([RING, (RING + 1) % 40]),
         torch.stack([(RING + 1) % 40, RING])], 1)}  # fmt: skip
SMALL = {**NODES, "batch": RING // 4}
EVERY = [(kind, name) for kind, named in views.presets().items() for name in named]


def items_of(kind, n=24):
    g = G().manual_seed(0)
    if kind in ("graph", "interactions"):
        return NODES
    if kind == "text":
        return torch.randint(1, 20, (n, 12), generator=g)
    return torch.rand(n, *{**SHAPES, "image": (3, 16, 16)}[kind], generator=g)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_preset_of_every_kind_is_measured(kind, name):
    x = torch.rand(24, 1, 20, 30) if name.startswith("spectrogram") else items_of(kind)
    figures = views.measure(x, views.preset(kind, name), torch.arange(len(x["x"] if kind in ("graph", "interactions") else x)) % 2)
    shares = [v for k, v in figures.items() if k not in ("items", "parts", "similarity", "between_views")]
    assert figures["items"] >= 24 and all(0 <= v <= 1 for v in shares if v is not None), figures
    assert figures["label_preservation"] is not None and figures["similarity"] <= 1 + 1e-4


def test_arrays_and_graphs_in_every_form_give_the_same_figures():
    preset = views.preset("graph")
    want = views.measure(NODES, preset)
    other = {"x": NODES["x"].numpy(), "edge_index": NODES["edge_index"].numpy()}
    assert want == views.measure(other, preset) == views.measure(Graph(NODES, RING), preset) and want["items"] == 40
    assert views.measure(Graph(NODES, RING[:20]), preset)["items"] == 20
    small = views.measure(SMALL, preset, torch.arange(10) % 2)
    assert small["items"] == 10, "small graphs are the items"
    x = groups()[0]
    assert views.measure(x.numpy(), views.preset("array")) == views.measure(x, views.preset("array"))


def test_a_small_graph_is_the_mean_of_its_nodes():
    found = described(Graph(SMALL, RING), "graph")
    each = describe(Graph(NODES, RING), "graph")
    assert torch.allclose(found, torch.stack([each[k == RING // 4].mean(0) for k in range(10)]), atol=1e-6)


def test_choose_tries_what_fits_and_nothing_else():
    x = torch.randint(1, 300, (40, 12), generator=G().manual_seed(0))
    tried = [row["name"] for row in views.choose(x, modality=Modality("text", (12,), {"vocabulary": 300, "tokenizer": "words"})).table]
    assert tried[:3] == ["weak", "default", "strong"] and "dna" not in tried and "swap" not in tried
    pictures = [r["name"] for r in views.choose(torch.rand(24, 3, 16, 16), modality=Modality("image", (3, 16, 16))).table]
    assert "byol" in pictures and "multi_crop" not in pictures and "turn" not in pictures
