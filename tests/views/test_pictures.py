"""`views.show` draws every kind, and refuses what it cannot."""

import struct

import numpy as np
import pytest
import torch

from counterpoint import data, views
from counterpoint.core.errors import DataError, OptionError
from counterpoint.core.options import use
from counterpoint.core.recipe import Graph
from counterpoint.views import pictures

matplotlib = pytest.importorskip("matplotlib.figure", reason="pictures are drawn by matplotlib") and pytest.importorskip("matplotlib")

ITEMS = {
    "image": torch.rand(3, 3, 12, 12),
    "volume": torch.randn(3, 1, 8, 8, 8),
    "video": torch.rand(3, 3, 4, 8, 8),
    "audio": torch.randn(3, 1, 800) * 0.1,
    "series": torch.randn(3, 2, 30),
    "table": torch.randn(3, 6),
    "array": torch.randn(3, 9),
    "text": torch.randint(1, 20, (3, 12)),
    "points": torch.randn(3, 3, 40),
    "skeleton": torch.randn(3, 3, 10, 12),
}


def size(png):
    assert bytes(png[:8]) == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", png[16:24])


@pytest.fixture
def drawn(monkeypatch):
    """The figure of the last picture, which a PNG no longer says."""
    made, figure = [], pictures.figure
    monkeypatch.setattr(pictures, "figure", lambda columns: made.append(figure(columns)) or made[-1])
    return made


def panels(figure):
    """The panels of a figure, row by row."""
    grid = figure.axes[0].get_gridspec()
    assert len(figure.axes) == grid.nrows * grid.ncols
    return [figure.axes[row * grid.ncols : (row + 1) * grid.ncols] for row in range(grid.nrows)]


def content(axis):
    """What a panel shows, as values that can be compared."""
    shown = [*axis.get_children(), *(c for inset in axis.child_axes for c in inset.get_children())]
    found = [tuple(np.asarray(i.get_array()).ravel().round(4)) for i in shown if isinstance(i, matplotlib.image.AxesImage)]
    found += [tuple(np.nan_to_num(line.get_xydata()).ravel().round(4)) for line in shown if isinstance(line, matplotlib.lines.Line2D)]
    found += [tuple(np.asarray(p.get_offsets()).ravel().round(4)) for p in shown if isinstance(p, matplotlib.collections.PathCollection)]
    found += [round(p.get_height(), 4) for p in axis.patches if isinstance(p, matplotlib.patches.Rectangle)]
    return found + [t.get_text() for t in axis.texts]


@pytest.mark.parametrize("kind", sorted(ITEMS))
def test_every_kind_shows_each_item_and_each_view(kind, drawn):
    x = ITEMS[kind]
    png = views.show(x, views.preset(kind), items=2, seed=1)
    width, height = size(png)
    assert width > 350 and height > 100
    assert png._repr_png_() == bytes(png)
    rows = panels(drawn[0])
    assert [len(row) for row in rows] == [3, 3] and [a.get_title() for a in rows[0]] == ["item", "view 1", "view 2"]
    said = [[content(axis) for axis in row] for row in rows]
    assert all(said[0]) and said[0][0] != said[1][0], "items differ, so do their panels"
    assert said[0][1] != said[0][0] and said[0][2] != said[0][1], "views differ from the item and from each other"
    other = torch.randint(1, 20, x.shape) if kind == "text" else torch.rand(x.shape)
    views.show(other, views.preset(kind), items=2, seed=1)
    assert content(panels(drawn[1])[0][0]) != said[0][0], "other data, another picture"


def test_a_picture_shows_what_it_says(drawn):
    part = use(views.image.turn, flip=0.0)
    views.show(ITEMS["image"], part, kind="image", items=3)
    for row, item in zip(panels(drawn[0]), ITEMS["image"], strict=True):
        turned = [np.asarray(axis.images[0].get_array()) for axis in row]
        assert np.allclose(turned[0], item.permute(1, 2, 0))
        assert all(any(np.allclose(view, np.rot90(turned[0], k)) for k in range(4)) for view in turned[1:])
    views.show(ITEMS["series"], use(views.series.scaling, spread=0.5), kind="series", items=1)
    row = panels(drawn[1])[0]
    assert len({axis.get_ylim() for axis in row}) == 1, "louder is drawn larger"
    views.show(ITEMS["table"] * torch.tensor([1, 1, 1, 1, 1, float("nan")]), views.preset("table"), items=1)
    assert "missing" in drawn[2].get_supxlabel()


def test_many_views_small_ones_named_and_few_items(drawn):
    views.show(ITEMS["image"], views.preset("image", "multi_crop"), items=9)
    rows = panels(drawn[0])
    assert [a.get_title() for a in rows[0]] == ["item", "view 1", "view 2", *(f"view {k}, small" for k in (3, 4, 5, 6))] and len(rows) == 3
    assert rows[0][1].images[0].get_array().shape[:2] == (12, 12) and rows[0][6].images[0].get_array().shape[:2] == (8, 8)


EDGES = torch.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 0], [1, 2, 3, 0, 5, 6, 7, 4, 2]])
NODES = {"x": torch.rand(8, 3), "edge_index": torch.cat([EDGES, EDGES.flip(0)], 1)}


@pytest.mark.parametrize("form", ["mapping", "numpy", "graph"])
def test_a_graph_and_its_views(form, drawn):
    forms = {"mapping": NODES, "numpy": {k: v.numpy() for k, v in NODES.items()}, "graph": Graph(NODES, torch.arange(8))}
    views.show(forms[form], use(views.graph.drop_edges, share=0.5), items=2)
    rows = panels(drawn[0])
    assert [len(row) for row in rows] == [3, 3] and "dotted" in drawn[0].get_supxlabel()
    styles = [[line.get_linestyle() for line in axis.child_axes[0].lines] for axis in rows[0]]
    assert ":" not in styles[0] and ":" in styles[1] + styles[2], "links that were left out are dotted"
    views.show(forms[form], use(views.graph.add_edges, share=0.9), items=1)
    assert any(line.get_color() == "tab:red" for axis in panels(drawn[1])[0][1:] for line in axis.child_axes[0].lines)


def test_small_graphs_are_rows(drawn):
    views.show({**NODES, "batch": torch.tensor([0] * 4 + [1] * 4)}, views.preset("graph"), items=5)
    assert len(panels(drawn[0])) == 2 and "a small graph" in drawn[0].get_supxlabel()
    places = panels(drawn[0])[0][0].child_axes[0].collections[0].get_offsets()
    assert len(places) == 4, "the nodes of one graph"


def test_columns_of_several_kinds_lie_beside_each_other():
    columns = [views.Column("image", "image", ITEMS["image"]), views.Column("text", "text", ITEMS["text"], words=lambda i: f"w{i}")]
    figure = pictures.figure(columns)
    assert [a.get_title() for a in panels(figure)[0]] == ["image", "text"]
    assert panels(figure)[0][1].texts[0].get_text().startswith(f"w{int(ITEMS['text'][0, 0])} ")
    assert size(views.picture(columns))[0] > 300


def test_one_transform_makes_two_views_and_a_seed_repeats():
    part = use(views.series.jitter)
    first, again = (views.show(ITEMS["series"], part, kind="series", items=1, seed=3) for _ in range(2))
    assert first == again
    assert first != views.show(ITEMS["series"], part, kind="series", items=1, seed=4)


def test_a_set_knows_its_words(monkeypatch):
    seen = []
    monkeypatch.setattr(pictures, "picture", lambda columns: seen.extend(columns))
    views.show(data.read(["a cat sat", "dogs run"] * 6), views.preset("text", "twin"), items=2)
    assert all(column.words is not None for column in seen)
    ids = seen[0].x[0]
    assert "cat" in [seen[0].words(int(i)) for i in ids]


def test_words_are_written():
    said = []
    views.show(ITEMS["text"], views.preset("text", "twin"), items=1, words=lambda i: said.append(i) or f"w{i}$")
    assert said
    png = views.show(ITEMS["text"], views.preset("text", "twin"), items=1, words=lambda i: "猫\U0001f600")
    assert size(png), "signs that no font has make no noise"


def test_refusals():
    with pytest.raises(DataError, match="kind"):
        views.show(torch.zeros(3, 4), use(views.table.noise))
    for wrong in ("simclr", None):
        with pytest.raises(OptionError, match="give views"):
            views.show(ITEMS["image"], wrong)
    with pytest.raises(OptionError, match="words"):
        views.show(ITEMS["text"], views.preset("text"), words=3)
    with pytest.raises(DataError, match="str was given"):
        views.show("photos", views.preset("image", "simclr"))
    for wrong in (None, 2.5, True, -1, 0):
        with pytest.raises(OptionError, match=r"items = .* >= 1"):
            views.show(ITEMS["image"], views.preset("image"), items=wrong)
    with pytest.raises(DataError, match="an empty batch"):
        views.show(ITEMS["image"][:0], views.preset("image"))
