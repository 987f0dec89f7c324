"""A transition of low rank from paired observations."""

from __future__ import annotations

import pytest
import torch

from counterpoint.core import registry
from counterpoint.core.errors import RequirementError
from counterpoint.core.recipe import Progress, Rows, Spec, View

SPEC = registry.example_spec("paired")


def test_every_other_next_observation_is_a_chance_pair_also_an_equal_one() -> None:
    recipe = registry.get("contrastive_ucb")(SPEC)
    keys = {"item": torch.arange(5)}
    now, following = (Rows(torch.rand(5, 3) + 0.1, {**keys, "view": torch.full((5,), v)}, roles=tuple(SPEC.modalities)) for v in (0, 1))
    with torch.no_grad():
        following.z[3] = following.z[1]
    found = recipe.objective["ratio"]({"image": now, "series": following}, {}, Progress())
    g = now.z.double() @ following.z.double().T
    for i in range(5):
        others = [j for j in range(5) if j != i]
        twin = torch.log1p(1 / g[i, i]) + torch.log1p(g[i, others]).mean()
        assert found.values[i].item() == pytest.approx(twin.item(), rel=1e-5)


def test_rows_are_never_negative() -> None:
    recipe = registry.get("contrastive_ucb")(SPEC, rank=7)
    model = recipe.encoder(SPEC)
    given = {name: torch.randn(4, *m.shape) for name, m in SPEC.modalities.items()}
    out = model([View(n, {n: x}, {"item": torch.arange(4)}) for n, x in given.items()], Progress())
    assert out["image"].z.shape == (4, 7) and bool((out["image"].z >= 0).all())


def test_three_modalities_are_refused() -> None:
    more = Spec(9, {**SPEC.modalities, "third": SPEC.modalities["series"]})
    with pytest.raises(RequirementError, match="third"):
        registry.get("contrastive_ucb")(more)
