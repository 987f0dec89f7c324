"""Copies against the first one, and the loss by a loop."""

from __future__ import annotations

import pytest
import torch

from counterpoint.core import registry
from counterpoint.core.errors import OptionError
from counterpoint.core.recipe import Progress, Rows

SPEC = registry.example_spec("text")


def test_the_objective_is_the_sum_over_further_copies() -> None:
    recipe = registry.get("whitenedcse")(SPEC, copies=4)
    assert list(recipe.objective) == ["copy_1", "copy_2", "copy_3"] and recipe.get("views.globals") == 4
    z = torch.randn(4 * 5, 6)
    keys = {"item": torch.arange(5).repeat(4), "view": torch.arange(4).repeat_interleave(5)}
    rows = Rows(z, keys, False, ("global",) * 4)
    copies = torch.nn.functional.normalize(z.double(), dim=1).view(4, 5, 6)
    for m in (1, 2, 3):
        found = recipe.objective[f"copy_{m}"]({"whitened": rows}, {}, Progress())
        twin = torch.nn.functional.cross_entropy(copies[0] @ copies[m].T / 0.05, torch.arange(5), reduction="none")
        assert torch.allclose(found.values.double(), twin, rtol=1e-4, atol=1e-5) and bool(found.counted.all())


def test_copies_of_text_differ_by_dropout_only() -> None:
    recipe = registry.get("whitenedcse")(SPEC)
    assert recipe.get("views.global_transform").make.__name__ == "twin"
    assert registry.get("whitenedcse")(registry.example_spec("image")).get("views.global_transform").make.__name__ != "twin"
    with pytest.raises(OptionError, match="copies"):
        registry.get("whitenedcse")(SPEC, copies=1)
