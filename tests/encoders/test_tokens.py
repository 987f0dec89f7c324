from __future__ import annotations

import pytest
import torch

from counterpoint import encoders
from counterpoint.core.errors import OptionError, RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Modality, Progress, Rows, Spec, View
from counterpoint.core.registry import example_spec
from counterpoint.encoders import series, tokens

NOW = Progress()
SERIES = Modality("series", (2, 11), {"ragged": True})


def rows(n: int, views: int = 1) -> Rows:
    keys = {"item": torch.arange(n).repeat(views), "view": torch.arange(views).repeat_interleave(n), "wide": torch.zeros(n * views, 5)}
    return Rows(torch.zeros(n * views, 0), keys, False, ("global", "local")[:views])


def test_a_series_is_the_pool_of_its_tokens_and_padding_gives_none() -> None:
    model = series.dilated(SERIES, width=8, channels=8, stride=2)
    x = torch.randn(3, 2, 11)
    x[1, :, 5:] = float("nan")
    z, there = model.tokens(x)
    assert z.shape == (3, 6, 4) and there.sum(1).tolist() == [6, 3, 6]
    torch.testing.assert_close(model(x), model.pool(z, there))
    found = tokens.rows_of(z, there, rows(3))
    assert found.keys["item"].tolist() == [0] * 6 + [1] * 3 + [2] * 6
    assert found.keys["position"].tolist() == [*range(6), *range(3), *range(6)]


def test_the_pyramid_is_the_maximum_over_two_steps_until_one_is_left() -> None:
    z = torch.randn(2, 5, 3)
    there = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    out = tokens.pyramid(3, SERIES)(z, there, rows(2), NOW)
    assert [len(out[name]) for name in sorted(out)] == [8, 3 + 2, 2 + 1, 2]
    first = [z[0, :2].amax(0), z[0, 2:4].amax(0), z[0, 4], z[1, :2].amax(0), z[1, 2]]
    torch.testing.assert_close(out["tokens/01"].z, torch.stack(first))
    torch.testing.assert_close(out["tokens/03"].z, torch.stack([z[0].amax(0), z[1, :3].amax(0)]))
    assert "wide" not in out["tokens/00"].keys
    assert len(tokens.pyramid(3, SERIES, levels=2)(z, there, rows(2), NOW)) == 2


def test_a_head_emits_the_views_it_names() -> None:
    z, there = torch.randn(6, 4, 3), torch.ones(6, 4, dtype=torch.bool)
    out = tokens.flat(3, SERIES, views=("local",))(z, there, rows(3, 2), NOW)["flat"]
    assert out.keys["view"].tolist() == [1, 1, 1]
    torch.testing.assert_close(out.z, torch.nn.functional.normalize(z[3:], dim=1).flatten(1))


def test_a_forecast_is_made_of_the_last_tokens() -> None:
    head = tokens.forecast(3, SERIES, horizon=2)
    z, there = torch.randn(4, 5, 3, requires_grad=True), torch.ones(4, 5, dtype=torch.bool)
    out = head(z, there, rows(4), NOW)["forecast"].z
    assert out.shape == (4, 2 * 2)
    torch.testing.assert_close(out.view(4, 2, 2)[:, :, 1], head.head(z[:, -1]))  # channel by channel
    out.sum().backward()
    assert bool((z.grad[:, :3] == 0).all()) and bool((z.grad[:, 3:] != 0).any())
    with pytest.raises(OptionError, match="horizon = 9 is more than the 5 tokens"):
        tokens.forecast(3, SERIES, horizon=9)(z, there, rows(4), NOW)


def test_what_has_no_tokens_is_refused() -> None:
    with pytest.raises(OptionError, match="no tokens"):
        encoders.network(example_spec("table"), tokens={"flat": use(tokens.flat)})
    spec = Spec(8, {"x": Modality("series", (1, 8))})
    model = encoders.network(spec, tokens={"flat": use(tokens.flat)})
    views = [View("a", {"x": torch.randn(2, 1, t)}, {"item": torch.arange(2)}) for t in (8, 6)]
    with pytest.raises(RequirementError, match="of one shape"):
        model(views, NOW)
