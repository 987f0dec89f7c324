"""A temperature for each anchor, from a key: DESIGN's road for class-wise temperatures (paper 006)."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import losses, pairs
from counterpoint.core import registry
from counterpoint.core.errors import DataError, RequirementError
from counterpoint.core.options import from_plain, to_plain, use
from counterpoint.core.recipe import Contrast, Progress, Recipe, Round, Rows, provides

NOW = Progress()


@provides(column=("heat",))
def heated(run):
    """A round that would write the column."""


def _rows(heat):
    keys = {"item": torch.arange(5).repeat(2), "view": torch.arange(2).repeat_interleave(5)}
    keys |= {"label": torch.tensor([0, 0, 1, 1, 2]).repeat(2)}
    z = torch.randn(10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    return Rows(z, {**keys, "heat": torch.tensor(heat).repeat(2)}, False, ("global", "global"))


@pytest.mark.parametrize("make", [losses.info_nce, losses.supervised])
def test_every_anchor_has_its_own(make):
    """Beside the loss's: the scores of anchor i are over t · τ_i; unknown counts 1."""
    heat = [0.3, 0.3, 2.0, 2.0, float("nan")]
    rows = _rows(heat)
    contrast = Contrast(use(pairs.same, key="label"), use(make, temperature=0.5), temperature="heat")
    found = contrast({"z": rows}, {}, NOW)
    unit, labels = functional.normalize(rows.z), rows.keys["label"]
    tau = torch.tensor([0.3, 0.3, 2.0, 2.0, 1.0], dtype=torch.float64).repeat(2) * 0.5
    hand = []
    for i in range(10):
        e = [torch.exp(unit[i] @ unit[j] / tau[i]) for j in range(10)]
        near = [j for j in range(10) if j != i and labels[j] == labels[i]]
        total = sum(e[j] for j in range(10) if j != i)
        if make is losses.info_nce:
            hand.append(-torch.log(sum(e[j] for j in near) / total))
        else:
            hand.append(-sum(torch.log(e[j] / total) for j in near) / len(near))
    assert torch.allclose(found.values, torch.stack(hand), rtol=1e-6)
    one, two = (torch.autograd.grad(v.mean(), rows.z)[0] for v in (found, torch.stack(hand)))
    assert torch.allclose(one, two, rtol=1e-5, atol=1e-8)


def test_a_part_of_the_anchors_takes_its_part_of_the_key():
    """Rows of other processes, views that are selected: temperatures come with their rows."""
    rows = _rows([0.3, 0.5, 2.0, 1.0, 0.7])
    contrast = Contrast(use(pairs.same), use(losses.info_nce), temperature="heat")
    whole = contrast({"z": rows}, {}, NOW).values
    mine = torch.arange(10) % 3 == 0
    rows.keys["own"] = mine
    assert torch.allclose(contrast({"z": rows}, {}, NOW).values, whole[mine])


def test_what_is_no_temperature_is_refused():
    contrast = Contrast(use(pairs.same), use(losses.info_nce), temperature="heat")
    with pytest.raises(DataError, match=r"temperature = 'heat': 2 of 10 anchors have one that is not above 0"):
        contrast({"z": _rows([0.3, 0.0, 2.0, 1.0, 0.7])}, {}, NOW)
    rows = _rows([1.0] * 5)
    with pytest.raises(RequirementError, match="the anchors have no key 'heet'; did you mean 'heat'"):
        Contrast(use(pairs.same), use(losses.info_nce), temperature="heet")({"z": rows}, {}, NOW)


def test_the_column_is_required_unless_a_round_writes_it():
    recipe: Recipe = registry.get("simclr")(registry.example_spec("array")).at("objective.contrast.temperature", "heat")
    assert recipe.requires()["column"] == {"heat": "objective.contrast.temperature"}
    assert recipe.at("rounds", (Round(use(heated)),)).requires()["column"] == {}
    assert from_plain(to_plain(recipe)) == recipe
    assert recipe.diff(registry.get("simclr")(registry.example_spec("array"))) == {"objective.contrast.temperature"}
