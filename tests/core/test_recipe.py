"""The types that flow, and what is computed from recipes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from counterpoint.core import options
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import Part, Positive, from_plain, to_plain, use
from counterpoint.core.recipe import (
    UNKNOWN,
    Batch,
    Contrast,
    Embeddings,
    Modality,
    Objective,
    Progress,
    Recipe,
    Round,
    RowLoss,
    Rows,
    Select,
    Spec,
    Stage,
    Term,
    Update,
    View,
    match,
    pick,
    provides,
    requires,
    value_of,
)

NOW = Progress(step=5, steps=20)


def rising(now: Progress, *, end: float = 1.0) -> float:
    return end * now.share


def shuffled(dataset: Any, generator: Any, *, batch: int = 8) -> Any: ...


@provides(column=("flip",))
def views(batch: Batch, generator: Any, now: Progress, *, strength: Positive = 1.0) -> list[View]:
    return []


def encoder(spec: Spec, *, width: int = 4) -> Any: ...


@requires(column=("{key}", "flip"))
def same(anchors: Rows, candidates: Rows, tables: Mapping[str, Any], *, key: str | tuple[str, ...] = "item") -> Any:
    return anchors.keys["item"][:, None] == candidates.keys["item"][None]


def mean_loss(scores: Any, pairs: Any, *, temperature: float | Part = 1.0) -> RowLoss:
    assert isinstance(temperature, float)  # a moving one arrives as the number that it is now
    values = (scores.dense * scores.scale).mean(1) / temperature
    return RowLoss(values, torch.ones(len(values), dtype=torch.bool), chance=0.5)


@requires(table=("edges",), modality=("image",))
def smooth(out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss:
    return RowLoss(out["z"].z.sum(1), torch.ones(len(out["z"]), dtype=torch.bool))


@provides(column=("cluster", "{extra}"))
def cluster(run: Any, *, extra: str | None = None) -> None: ...


def recipe(**loss: Any) -> Recipe:
    return Recipe(use(shuffled), use(views), use(encoder), {"contrast": Contrast(use(same), use(mean_loss, **loss))})


def rows(n: int, space: int = 0, shared: bool = False, **keys: Tensor) -> Rows:
    z = torch.arange(n * 2, dtype=torch.float32).reshape(n, 2) + space
    return Rows(z, {"item": torch.arange(n), **keys}, shared)


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_trusted", {"counterpoint", __name__.split(".")[0]})


# ---- progress, batches, views, rows --------------------------------------------------------------------------------------


def test_progress_goes_from_zero_to_one() -> None:
    assert [Progress(step=s, steps=4).share for s in (0, 1, 4, 9)] == [0, 0.25, 1, 1]
    assert Progress(step=0, steps=0).share == 0


def test_a_value_is_a_number_or_moves() -> None:
    assert value_of(0.3, NOW) == 0.3
    assert value_of(2, NOW) == 2.0
    assert value_of(use(rising, end=8.0), NOW) == 2.0


def test_a_batch_counts_and_moves() -> None:
    batch = Batch({"x": torch.zeros(3, 2), "graph": "stays"}, {"item": torch.arange(3)}, {"edges": 1})
    moved = batch.to("meta")
    assert len(batch) == 3
    assert moved.fields["x"].device.type == moved.keys["item"].device.type == "meta"
    assert moved.fields["graph"] == "stays"
    assert moved.tables == {"edges": 1}


def test_part_of_a_view() -> None:
    view = View("global", {"x": torch.arange(8.0).reshape(4, 2)}, {"item": torch.arange(4), "box": torch.ones(4, 4)})
    cut = view.part(1, 3)
    assert len(view) == 4
    assert (cut.name, len(cut)) == ("global", 2)
    assert cut.fields["x"].tolist() == [[2, 3], [4, 5]]
    assert cut.keys["box"].shape == (2, 4)


def test_rows_by_mask_and_by_position() -> None:
    r = rows(4)
    assert r.where(torch.tensor([True, False, True, False])).keys["item"].tolist() == [0, 2]
    assert r.where(torch.tensor([3, 0])).z.tolist() == [[6, 7], [0, 1]]


def test_rows_below_each_other() -> None:
    first = Rows(torch.zeros(2, 3), {"item": torch.tensor([4, 5]), "label": torch.tensor([1, 2])}, shared=False, roles=("global", "global"))
    second = Rows(torch.ones(1, 3), {"item": torch.tensor([9]), "time": torch.tensor([0.5])}, shared=True)
    both = Rows.cat([first, second])
    assert both.z.shape == (3, 3)
    assert both.keys["item"].tolist() == [4, 5, 9]
    assert both.keys["label"].tolist() == [1, 2, UNKNOWN]
    assert both.keys["time"].isnan().tolist() == [True, True, False]
    assert both.roles == ("global", "global")
    assert not both.shared
    assert Rows.cat([second, second]).shared
    assert Rows.cat([first]) is first  # the very same: a loss sees that anchors are the candidates


def test_keys_of_several_columns_are_filled_too() -> None:
    both = Rows.cat([rows(2, box=torch.ones(2, 4)), rows(1)])
    assert both.keys["box"].shape == (3, 4)
    assert both.keys["box"][2].isnan().all()


def test_detached_rows_send_no_gradient() -> None:
    z = torch.ones(2, 2, requires_grad=True)
    assert not Rows(z, {"item": torch.arange(2)}).detach().z.requires_grad


# ---- row losses, selection -----------------------------------------------------------------------------------------------


def test_the_mean_is_over_counted_rows() -> None:
    assert RowLoss(torch.tensor([2.0, 0.0, 4.0]), torch.tensor([True, False, True])).mean() == 3


def test_without_counted_rows_the_mean_is_zero_with_a_graph() -> None:
    z = torch.ones(3, requires_grad=True)
    loss = RowLoss(z * 0, torch.zeros(3, dtype=torch.bool)).mean()
    loss.backward()
    assert loss == 0
    assert z.grad is not None


@pytest.fixture
def out() -> Embeddings:
    keys = {"item": torch.tensor([0, 1, 0, 1, 0, 1]), "view": torch.tensor([0, 0, 1, 1, 2, 2]), "label": torch.tensor([3, 4, 3, 4, 3, 4])}
    z = Rows(torch.arange(12.0).reshape(6, 2), keys, roles=("global", "global", "local"))
    return {"z": z, "queue": rows(3, shared=True)}


@pytest.mark.parametrize(
    ("select", "positions"),
    [
        (Select("z"), [0, 1, 2, 3, 4, 5]),
        (Select("z", views=("global",)), [0, 1, 2, 3]),
        (Select("z", views=("local",)), [4, 5]),
        (Select("z", views=(1,)), [2, 3]),
        (Select("z", views=(0, "local")), [0, 1, 4, 5]),
        (Select("z", where={"label": 4}), [1, 3, 5]),
        (Select("z", views=("global",), where={"label": 3, "item": 0}), [0, 2]),
    ],
)
def test_select(out: Embeddings, select: Select, positions: list[int]) -> None:
    assert torch.equal(select(out).z, out["z"].z[positions])


def test_everything_selected_is_the_same_object(out: Embeddings) -> None:
    assert Select("z")(out) is out["z"]
    assert pick(out, "z") is out["z"]


def test_pick_several(out: Embeddings) -> None:
    picked = pick(out, (Select("z", views=("local",)), "queue"))
    assert len(picked) == 5
    assert picked.keys["label"].tolist() == [3, 4, -1, -1, -1]


def test_an_unknown_space_or_key_is_named(out: Embeddings) -> None:
    with pytest.raises(RequirementError, match="the model emits no space 'quue'; did you mean 'queue'"):
        pick(out, "quue")
    with pytest.raises(RequirementError, match="the rows of 'z' have no key 'lable'; did you mean 'label'"):
        Select("z", where={"lable": 1})(out)


# ---- terms and contrasts ---------------------------------------------------------------------------------------------------


def dense(anchors: Tensor, candidates: Tensor) -> Any:
    from counterpoint.core import similarity

    return similarity.learned(anchors @ candidates.T)


def test_terms_and_contrasts_are_objectives() -> None:
    assert isinstance(Term(use(smooth)), Objective)
    assert isinstance(Contrast(use(same), use(mean_loss)), Objective)


def test_a_term_computes(out: Embeddings) -> None:
    assert Term(use(smooth))(out, {}, NOW).values.tolist() == out["z"].z.sum(1).tolist()


def test_a_contrast_joins_rows_pairs_and_loss(out: Embeddings) -> None:
    contrast = Contrast(use(same), use(mean_loss), anchors="z", candidates=("z", "queue"), similarity=use(dense))
    everything = torch.cat([out["z"].z, out["queue"].z])
    assert torch.allclose(contrast(out, {}, NOW).values, (out["z"].z @ everything.T).mean(1))


def test_scale_is_the_exponential_of_a_learned_logarithm(out: Embeddings) -> None:
    out = {**out, "scale": Rows(torch.tensor([[math.log(10.0)]]), {"item": torch.tensor([-1])}, shared=True)}
    plain = Contrast(use(same), use(mean_loss), similarity=use(dense))(out, {}, NOW).values
    scaled = Contrast(use(same), use(mean_loss), similarity=use(dense), scale="scale")(out, {}, NOW).values
    assert torch.allclose(scaled, 10 * plain, rtol=1e-5)


def test_a_moving_option_of_a_loss_gets_its_number(out: Embeddings) -> None:
    contrast = Contrast(use(same), use(mean_loss, temperature=use(rising, end=8.0)), similarity=use(dense))
    fixed = Contrast(use(same), use(mean_loss, temperature=2.0), similarity=use(dense))
    assert torch.equal(contrast(out, {}, NOW).values, fixed(out, {}, NOW).values)


def test_zipped_spaces_are_joined(out: Embeddings) -> None:
    spaces = {"a/0": rows(2), "a/1": rows(2, 1), "b/0": rows(2, 5), "b/1": rows(2, 7)}
    contrast = Contrast(use(same), use(mean_loss), anchors="a/*", candidates="b/*", similarity=use(dense))
    joined = contrast(spaces, {}, NOW)
    single = [Contrast(use(same), use(mean_loss), f"a/{i}", f"b/{i}", similarity=use(dense))(spaces, {}, NOW) for i in (0, 1)]
    assert joined.values.tolist() == [*single[0].values.tolist(), *single[1].values.tolist()]
    assert joined.chance == 0.5
    del spaces["b/1"]
    with pytest.raises(RequirementError, match="names 2 spaces"):
        contrast(spaces, {}, NOW)


# ---- recipes ---------------------------------------------------------------------------------------------------------------


def test_at_changes_one_path() -> None:
    changed = recipe().at("objective.contrast.loss.temperature", 0.5)
    assert changed.get("objective.contrast.loss.temperature") == 0.5
    assert recipe().diff(changed) == {"objective.contrast.loss.temperature"}
    assert recipe().diff(recipe()) == set()


def test_at_adds_a_term() -> None:
    changed = recipe().at("objective.smooth", Term(use(smooth), weight=0.1))
    assert recipe().diff(changed) == {"objective.smooth"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("objective.contrast.loss.temprature", 1.0, "objective.contrast.loss.temprature: .*did you mean 'temperature'"),
        ("views.strength", 0, "views.strength: .*float > 0"),
        ("objectiv", 1, "objectiv: there is no 'objectiv'; did you mean 'objective'"),
        ("objective.contrast.weight", "x", "objective.contrast.weight: .*float | part"),
    ],
)
def test_at_refuses_with_the_whole_path(path: str, value: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        recipe().at(path, value)


def test_parts_come_with_their_paths() -> None:
    found = dict(recipe(temperature=use(rising)).parts())
    assert set(found) == {
        "data",
        "views",
        "encoder",
        "objective.contrast.pairs",
        "objective.contrast.loss",
        "objective.contrast.loss.temperature",
    }
    assert found["objective.contrast.loss.temperature"] == use(rising)


def test_requirements_less_what_is_provided() -> None:
    base = recipe()
    assert base.requires() == {"column": {}, "table": {}, "modality": {}}  # "flip" comes from the views, "item" is always there
    labelled = base.at("objective.contrast.pairs.key", "cluster")
    assert labelled.requires()["column"] == {"cluster": "objective.contrast.pairs"}
    several = base.at("objective.contrast.pairs.key", ("label", "patient"))
    assert set(several.requires()["column"]) == {"label", "patient"}
    smoothed = base.at("objective.smooth", Term(use(smooth)))
    assert smoothed.requires() == {
        "column": {},
        "table": {"edges": "objective.smooth.compute"},
        "modality": {"image": "objective.smooth.compute"},
    }


def test_a_round_provides_columns() -> None:
    labelled = recipe().at("objective.contrast.pairs.key", ("cluster", "fine"))
    assert set(labelled.at("rounds", (Round(use(cluster)),)).requires()["column"]) == {"fine"}
    assert labelled.at("rounds", (Round(use(cluster, extra="fine")),)).requires()["column"] == {}


def test_a_recipe_survives_yaml() -> None:
    full = Recipe(
        use(shuffled, batch=4),
        use(views),
        use(encoder, width=8),
        {
            "contrast": Contrast(
                use(same, key=("a", "b")), use(mean_loss, temperature=use(rising)), candidates=("z", Select("q", views=(0, "x")))
            ),
            "smooth": Term(use(smooth), weight=use(rising)),
        },
        updates=(Update(train=("backbone",), frozen={"prototypes": use(rising)}), Update(terms=("smooth",), sign=-1)),
        rounds=(Round(use(cluster), at=10),),
        stages=(Stage("first", 0.3, {"objective.contrast.loss": use(mean_loss)}, ("projector",)), Stage("second", 0.7)),
    )
    back = from_plain(yaml.safe_load(yaml.safe_dump(to_plain(full), sort_keys=False)))
    assert back == full
    assert full.diff(back) == set()


@pytest.mark.parametrize(
    ("name", "globs", "hit"),
    [
        ("encoder", ("*",), True),
        ("encoder.block", ("encoder",), True),
        ("encoders", ("encoder",), False),
        ("teacher", ("encoder", "pro*"), False),
        ("projector", ("encoder", "pro*"), True),
        ("encoder", (), False),
    ],
)
def test_match(name: str, globs: tuple[str, ...], hit: bool) -> None:
    assert match(name, globs) is hit


# ---- specifications --------------------------------------------------------------------------------------------------------


def test_kind_and_only() -> None:
    one = Spec(10, {"x": Modality("table", (4,))})
    two = Spec(10, {"image": Modality("image", (3, 8, 8)), "text": Modality("text", (9,))})
    assert (one.kind, two.kind) == ("table", "paired")
    assert one.only.shape == (4,)
    with pytest.raises(RequirementError, match="works on one modality and the data have 2: image, text"):
        _ = two.only
