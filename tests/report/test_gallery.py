"""Groups, neighbours, map and spectrum against slow twins; the budget of pictures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from counterpoint.report import gallery as showing
from counterpoint.report.folder import Items, read
from counterpoint.report.gallery import COLOURS, LEGEND, OTHER, Gallery, colours, shrunk

Make = Callable[..., Path]


def items_of(folder: Path) -> Items:
    items = read(folder).items
    assert items is not None
    return items


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.astype(float) @ b.astype(float) / np.linalg.norm(a.astype(float)) / np.linalg.norm(b.astype(float)))


def test_neighbours_are_the_nearest_items_with_a_preview(make_run: Make) -> None:
    items = items_of(make_run(items=80, previews=40))
    found = Gallery(items).neighbours()
    assert len(found) == 10
    assert len({items.name("label", query.row) for query, _ in found[:8]}) == 8  # in turn from every label
    for query, near in found:
        others = [r for r in items.pictures if r != query.row]
        slow = sorted(others, key=lambda r: -cosine(items.vectors[query.row], items.vectors[r]))[:6]
        assert [one.row for one in near] == slow
        assert all(one.same == (one.label == query.label) for one in near)
        assert near[0].note == showing.cosine(cosine(items.vectors[query.row], items.vectors[slow[0]]))


def test_exemplars_are_nearest_to_the_centre_and_groups_sorted_by_size(make_run: Make) -> None:
    items = items_of(make_run(items=120, previews=120))
    groups, count = Gallery(items).groups()
    assert count == len(groups) == 8
    assert [g.size for g in groups] == sorted((g.size for g in groups), reverse=True)
    unit = items.vectors / np.linalg.norm(items.vectors, axis=1, keepdims=True)
    for group in groups:
        rows = [r for r in range(len(items)) if items.columns["cluster"][r] == group.code]
        centre = unit[rows].mean(0)
        assert [one.row for one in group.shown] == sorted(rows, key=lambda r: -float(unit[r] @ centre))[:8]
        names = [items.name("label", r) for r in rows]
        for name, share, _ in group.labels[:-1]:
            assert share == pytest.approx(names.count(name) / len(rows))
        assert sum(share for _, share, _ in group.labels) == pytest.approx(1)


def test_without_labels_previews_or_groups(make_run: Make) -> None:
    items = items_of(make_run(items=30, labels=False, preview="none"))
    groups, _ = Gallery(items).groups()
    assert groups[0].labels == [] and groups[0].shown[0].picture is None
    query, near = Gallery(items).neighbours()[0]
    assert query.label is None and near[0].same is None
    bare = Items(3, 0, np.arange(3), np.eye(3, dtype=np.float32))
    assert Gallery(bare).groups() == ([], 0)
    assert Gallery(bare).map()["columns"] == []
    alone = Items(1, 0, np.arange(1), np.ones((1, 4), np.float32))
    assert Gallery(alone).neighbours() == [] and Gallery(alone).spectrum() is None
    assert len(Gallery(alone).map()["x"]) == 1


def test_many_labels_give_some_of_them_in_turn(make_run: Make) -> None:
    items = items_of(make_run(items=400, names=[f"class {i}" for i in range(60)], previews=400))
    found = Gallery(items).neighbours()
    assert len({query.label for query, _ in found}) == 10


def test_map_keeps_the_aspect_and_is_json(make_run: Make) -> None:
    items = items_of(make_run(items=60, previews=20))
    shown = Gallery(items).map()
    assert items.places is not None
    x, y = np.array(shown["x"]), np.array(shown["y"])
    assert x.min() >= 0 and y.min() >= 0 and max(np.ptp(x), np.ptp(y)) == showing.MAP_SIDE
    assert np.ptp(x) / np.ptp(y) == pytest.approx(np.ptp(items.places[:, 0]) / np.ptp(items.places[:, 1]), rel=1e-3)
    assert np.corrcoef(y, items.places[:, 1])[0, 1] == pytest.approx(-1, abs=1e-3)  # the canvas counts from the top
    assert set(shown["pictures"]) == set(items.pictures)
    assert [c["name"] for c in shown["columns"]] == ["label", "cluster", "split"]
    assert sum(shown["columns"][0]["counts"]) == 60
    json.dumps(shown, allow_nan=False)


def test_pictures_are_counted_once_against_the_budget(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    items = items_of(make_run(items=60, previews=60))
    whole = Gallery(items)
    assert whole.picture(0) == whole.picture(0)
    assert whole.spent == len(items.pictures[0])
    assert str(whole.picture(0)).startswith("data:image/png;base64,iVBORw0KGgo")
    monkeypatch.setattr(showing, "PICTURE_BUDGET", 20_000)
    small = Gallery(items)
    kept = [row for row in range(60) if small.picture(row)]
    assert 0 < len(kept) < 60 and small.spent <= 20_000


def test_large_pictures_are_made_small() -> None:
    pytest.importorskip("PIL")
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), dtype=np.uint8)
    import io

    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    found = shrunk(out.getvalue())
    assert found is not None and found[0] == "webp"
    with Image.open(io.BytesIO(found[1])) as image:
        assert image.size == (96, 64)


def test_broken_pictures() -> None:
    head = b"\x89PNG\r\n\x1a\n"
    assert shrunk(b"GIF89a") is None
    assert shrunk(head + b"x" * 100) == ("png", head + b"x" * 100)  # small: the browser may say what it is
    assert shrunk(head + b"x" * 100_000) is None  # large, and cannot be made small


def test_look_follows_what_there_is_to_show(make_run: Make) -> None:
    assert Gallery(items_of(make_run("a", items=20))).look == "pictured"
    assert Gallery(items_of(make_run("b", items=20, preview="text"))).look == "list"
    assert Gallery(items_of(make_run("c", items=20, preview="none"))).look == "chips"
    items = items_of(make_run("d", items=20, previews=20))
    wide = {row: p[:16] + (96).to_bytes(4, "big") + (40).to_bytes(4, "big") + p[24:] for row, p in items.pictures.items()}
    assert Gallery(dataclasses.replace(items, pictures=wide)).look == "pictured wide"


@pytest.mark.parametrize(("value", "shown"), [(0.5, "0.50"), (-0.256, "−0.26"), (0.9981, "0.998"), (1.0, "1.000")])
def test_cosine(value: float, shown: str) -> None:
    assert showing.cosine(value) == shown


def test_spectrum_is_that_of_the_centred_unit_rows() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) * np.arange(1, 9, dtype=np.float32)
    found = Gallery(Items(50, 0, np.arange(50), vectors)).spectrum()
    assert found is not None
    unit = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    values = np.linalg.svd(unit - unit.mean(0), compute_uv=False)
    np.testing.assert_allclose(found[0], values, rtol=1e-4, atol=1e-6)
    held = np.cumsum(values**2) / (values**2).sum()
    assert found[1].startswith(f"{int((held < 0.9).sum()) + 1} directions of 8 hold 90%")


def test_equal_embeddings_have_no_spectrum() -> None:
    assert Gallery(Items(9, 0, np.arange(9), np.ones((9, 4), np.float32))).spectrum() is None
    assert Gallery(Items(9, 0, np.arange(9), np.zeros((9, 4), np.float32))).spectrum() is None


def test_colours() -> None:
    assert colours(np.array([0, 1]), 2) == list(COLOURS[:2])
    codes = np.repeat(np.arange(100), np.arange(1, 101))
    many = colours(codes, 100)
    assert many.count(OTHER) == 100 - LEGEND and OTHER not in many[-LEGEND:]  # the most frequent have their own
    assert len(set(many)) == LEGEND + 1


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("ground", ["#f6f6f4", "#14171a"])
def test_map_colours_stand_out_on_both_grounds(colour: str, ground: str) -> None:
    light, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 3
