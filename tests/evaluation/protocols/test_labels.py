"""The protocol of classes: the figures of the score table, of one arm, on the items a subject was not trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from counterpoint import data, evaluation
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.evaluation import protocols
from counterpoint.evaluation.subject import Subject


def subject(held_out: bool = True, **columns: object) -> Subject:
    rng = np.random.default_rng(0)
    label = np.arange(90) % 3
    whole = data.read((rng.normal(size=(90, 5)) + label[:, None]).astype(np.float32), kind="array").with_columns(
        {"label": label, **columns}
    )
    train, test = whole.subset(torch.arange(60)), whole.subset(torch.arange(60, 90))
    return Subject(lambda given: given.flat(), train if held_out else whole, test if held_out else whole, whole, 0)


def test_the_figures_are_those_of_the_score_table() -> None:
    given = subject()
    found = protocols.measure("labels", given, {"k": 5})
    side = np.repeat([0, 1], [60, 30])
    wanted = evaluation.table({"arm": given.whole.flat()}, given.whole.columns["label"].numpy(), side, k=5, seed=0)["scores"]["arm"]
    assert found == wanted
    assert {"knn", "linear", "acc", "nmi"} <= set(found)


def test_without_a_held_out_part_nothing_is_trained_on() -> None:
    found = protocols.measure("labels", subject(held_out=False), {})
    assert "knn" not in found
    assert "nmi" in found


def test_another_column_may_hold_the_classes() -> None:
    found = protocols.measure("labels", subject(side=np.arange(90) % 2), {"label": "side"})
    assert found["knn"] < 0.8, "these classes are of no meaning"
    with pytest.raises(RequirementError, match="reads the column 'colour' and the data have"):
        protocols.measure("labels", subject(), {"label": "colour"})


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(OptionError, match=r"no protocol 'lables'; did you mean 'labels'"):
        protocols.get("lables")
    with pytest.raises(OptionError, match="k"):
        protocols.measure("labels", subject(), {"k": 0})
    with pytest.raises(RequirementError, match="walking needs a model and trained has none"):
        subject().needed_model("walking")


@pytest.mark.parametrize("name", protocols.names())
def test_each_protocol_is_the_function_of_its_module(name: str) -> None:
    made = protocols.get(name)
    assert made.__name__ == name
    assert made.__doc__
