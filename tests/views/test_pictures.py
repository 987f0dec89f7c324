"""`views.show` draws every kind, and refuses what it cannot."""

import struct

import pytest
import torch

from counterpoint import views
from counterpoint.core.errors import DataError
from counterpoint.core.options import use

pytest.importorskip("matplotlib")

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


@pytest.mark.parametrize("kind", sorted(ITEMS))
def test_every_kind_has_a_picture(kind):
    name = "simclr" if kind == "image" else "default"
    png = views.show(ITEMS[kind], views.preset(kind, name), items=2)
    width, height = size(png)
    assert width > height * 0.8 and height > 200
    assert png._repr_png_() == bytes(png)


def test_a_graph_and_its_view():
    edges = torch.randint(0, 20, (2, 60))
    png = views.show({"x": torch.randn(20, 4), "edge_index": edges}, views.preset("graph", "default"))
    assert size(png)[0] > 200


def test_one_transform_makes_two_views_and_a_seed_repeats():
    part = use(views.series.jitter)
    first, again = (views.show(ITEMS["series"], part, kind="series", items=1, seed=3) for _ in range(2))
    assert first == again
    assert first != views.show(ITEMS["series"], part, kind="series", items=1, seed=4)


def test_words_are_written():
    said = []
    views.show(ITEMS["text"], views.preset("text", "twin"), items=1, words=lambda i: said.append(i) or f"w{i}$")
    assert said


def test_refusals():
    with pytest.raises(DataError, match="kind"):
        views.show(torch.zeros(3, 4), use(views.table.noise))
    with pytest.raises(DataError, match="at least one"):
        views.show(ITEMS["image"], views.preset("image", "simclr"), items=0)
    with pytest.raises(DataError, match="str was given"):
        views.show("photos", views.preset("image", "simclr"))
