"""Pooled records, hard batches, two stages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from counterpoint import checks, data, encoders
from counterpoint.clustering import classes_near
from counterpoint.core import registry
from counterpoint.core.errors import LabelError, OptionError, RequirementError
from counterpoint.core.recipe import Batch, Progress, View

SPEC = registry.example_spec("paired", {"label": (4, 1.0)})


def _views(count: int) -> list[View]:
    return [View(n, {n: torch.rand(count, *m.shape)}, {"item": torch.arange(count)}) for n, m in SPEC.modalities.items()]


def test_pooled_rows_are_the_weighted_mean_of_unit_rows() -> None:
    model = encoders.towers(SPEC, pool={"image": 0.7, "series": 0.3})
    out = model(_views(5), Progress())
    one, two = (normalize(out[n].z, dim=1) for n in ("image", "series"))
    assert torch.allclose(out["pooled"].z, normalize(0.7 * one + 0.3 * two, dim=1), atol=1e-6)
    assert torch.equal(out["pooled"].keys["item"], torch.arange(5))
    assert "pooled" not in encoders.towers(SPEC)(_views(2), Progress())


def test_what_is_missing_is_not_pooled() -> None:
    model = encoders.towers(SPEC, pool={"image": 1.0, "series": 0.0}).eval()
    fields = {n: torch.rand(3, *m.shape) for n, m in SPEC.modalities.items()}
    whole, image, series = (model.embed(Batch(f, {"item": torch.arange(3)})) for f in (fields, *({n: x} for n, x in fields.items())))
    assert torch.allclose(whole["embedding"].z, image["embedding"].z, atol=1e-6)
    assert torch.allclose(series["embedding"].z, series["series"].z, atol=1e-6)  # its weight is 0, and there is nothing else
    with pytest.raises(OptionError, match="sound"):
        encoders.towers(SPEC, pool={"sound": 1.0})
    with pytest.raises(RequirementError, match="as many views"):
        model([*_views(3), _views(3)[0]], Progress())


def test_near_classes_are_those_of_the_nearest_rows() -> None:
    angle = torch.tensor([0.0, 0.1, 1.0, 1.1, 2.5, 2.6])
    z, labels = torch.stack([angle.cos(), angle.sin()], 1), torch.tensor([0, 0, 1, 1, 2, 2])
    assert classes_near(z, labels, k=2).tolist() == [[0, 1], [0, 1], [1, 0], [1, 0], [2, 1], [2, 1]]
    assert classes_near(z, labels, k=5)[0].tolist() == [0, 1, 2, -1, -1]
    with pytest.raises(LabelError, match="class >= 0"):
        classes_near(z, labels - 1)


def test_batches_are_groups_of_near_classes() -> None:
    labels = torch.arange(40) % 8
    near = torch.stack([labels, (labels + 1) % 8], 1)
    given = data.read(torch.rand(40, 3).numpy(), kind="array").with_columns({"label": labels})
    given = replace(given, tables={"near_classes": near})
    drawn = list(data.near_classes(given, torch.Generator().manual_seed(0), batch=6, each=3))
    assert len(drawn) == 6
    for ids in drawn:
        classes, counts = labels[ids].unique(return_counts=True)
        assert len(classes) == 2 and counts.tolist() == [3, 3] and int(classes.diff()) in (1, 7) and len(ids.unique()) == 6
    again = list(data.near_classes(given, torch.Generator().manual_seed(0), batch=6, each=3))
    assert all(torch.equal(a, b) for a, b in zip(drawn, again, strict=True))
    large = next(data.near_classes(given, torch.Generator().manual_seed(0), batch=36, each=9))
    assert len(large) == len(large.unique()) and len(large) <= 36  # a class of five gives its five


def test_without_a_table_nothing_can_be_drawn() -> None:
    given = data.read(torch.rand(10, 3).numpy(), kind="array").with_columns({"label": torch.arange(10) % 2})
    with pytest.raises(RequirementError, match="near_classes"):
        next(data.near_classes(given, torch.Generator(), batch=4))


def test_first_pairs_then_entities_in_hard_batches() -> None:
    with checks.training(registry.get("clippings"), "paired", epochs=4, batch=18) as run:
        seen: list[tuple[str, set[str], int]] = []
        run.fit(lambda training, line: seen.append((training.now.stage, set(line["terms"]), line["step"])))
        assert {stage: terms for stage, terms, _ in seen} == {"pairs": {"image_to_series", "series_to_image"}, "entities": {"entity"}}
        table = run.tables["near_classes"]
        assert table.shape == (48, 3) and torch.equal(table[:, 0], run.data.columns["label"])
        sizes = [len(batch) for batch in run._batches(0, 0)]
        assert len(sizes) == 2 and max(sizes) <= 18


def test_the_options_say_which_stages_there_are() -> None:
    found = registry.get("clippings")
    assert [s.name for s in found(SPEC).stages] == ["pairs", "entities"]
    assert [s.name for s in found(SPEC, supervised=0.0).stages] == ["pairs"]
    assert [s.name for s in found(SPEC, supervised=1.0).stages] == ["entities"]
    assert "data" not in found(SPEC, hard=False).stages[1].changes
    assert found(SPEC, weight=0.2).get("encoder.pool") == {"image": 0.2, "series": 0.8}
