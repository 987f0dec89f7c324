"""VoCo: overlaps that sum to one, the objective by a loop, gradients, refusals; and whether position can be told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from counterpoint import checks, data, terms
from counterpoint.core import registry
from counterpoint.core.errors import DataError, RequirementError
from counterpoint.core.recipe import Batch, Progress, Rows
from counterpoint.evaluation import protocols
from counterpoint.evaluation.subject import Subject
from counterpoint.views import grid as grids

NOW = Progress()


def numbered(b=3, shape=(4, 6, 8)):
    x = torch.arange(b * math.prod(shape)).reshape(b, 1, *shape).float()
    return Batch({"x": x}, {"item": torch.arange(b)}), x


def test_cells_tile_the_volume_in_their_order():
    batch, x = numbered()
    views = grids.grid_and_crops(batch, torch.Generator().manual_seed(0), NOW, grid=(2, 3, 2), crops=1)
    cells = [v for v in views if v.name == "base"]
    assert len(cells) == 12 and [int(v.keys["cell"][0]) for v in cells] == list(range(12))
    assert torch.equal(cells[0].fields["x"], x[:, :, :2, :2, :4]) and torch.equal(cells[11].fields["x"], x[:, :, 2:, 4:, 4:])
    assert sorted(torch.cat([v.fields["x"].flatten() for v in cells]).tolist()) == x.flatten().tolist()


def test_overlap_is_the_share_of_voxels():
    batch, _ = numbered(b=20)
    views = grids.grid_and_crops(batch, torch.Generator().manual_seed(1), NOW, grid=(2, 3, 2), crops=3)
    cells = torch.stack([v.fields["x"].flatten(1) for v in views if v.name == "base"], 1)
    for view in (v for v in views if v.name == "crop"):
        y = view.keys["overlap"]
        assert torch.allclose(y.sum(1), torch.ones(20)) and bool(((y > 0).sum(1) <= 8).all())
        piece = view.fields["x"].flatten(1)
        for i in range(20):
            held = torch.stack([torch.isin(piece[i], cell).float().mean() for cell in cells[i]])
            assert torch.allclose(held, y[i])


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (3, 1, 2, 8, 8)])
def test_what_cannot_be_cut_is_refused(shape):
    batch = Batch({"x": torch.zeros(shape)}, {"item": torch.arange(3)})
    with pytest.raises(DataError, match="grid"):
        grids.grid_and_crops(batch, torch.Generator(), NOW)


def spaces(b=4, cells=3, crops=2, d=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    n = b * (cells + crops)
    y = torch.rand(n, cells, generator=g)
    y = y * (y > 0.4)
    keys = {"item": torch.arange(b).repeat(cells + crops), "view": torch.arange(cells + crops).repeat_interleave(b), "overlap": y}
    roles = ("base",) * cells + ("crop",) * crops
    made = {}
    for name in ("z", "teacher"):
        made[name] = Rows(torch.randn(n, d, generator=g, dtype=torch.float64, requires_grad=name == "z"), keys, False, roles)
    return made


@pytest.mark.parametrize("hard", [False, True])
def test_placed_is_the_published_sum(hard):
    out, leak = spaces(), 0.0
    got = terms.placed(out, {}, NOW, hard=hard, leak=leak)
    unit = {k: (r.z.detach() / r.z.detach().norm(dim=1, keepdim=True)).view(5, 4, 5) for k, r in out.items()}
    y = out["z"].keys["overlap"].view(5, 4, 3)[3:]
    for item in range(4):
        top = bottom = empty = squares = 0.0
        for i in range(2):
            best = int(y[i, item].argmax())
            for j in range(3):
                one = unit["z"][3 + i, item] @ unit["teacher"][j, item]
                two = unit["teacher"][3 + i, item] @ unit["z"][j, item]
                s = (max(float(one), 0) + max(float(two), 0)) / 2
                t = float(j == best) if hard else float(y[i, item, j])
                top -= t * math.log(max(1 - abs(t - s), 1e-6))
                bottom += t
                empty += t == 0
                squares += (t == 0) * s**2
        expected = top / max(bottom, 1e-6) + squares / max(empty, 1)
        assert got.values[item].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    got.values.sum().backward()
    assert bool((out["z"].z.grad != 0).any()) and out["teacher"].z.grad is None


def test_crops_equal_to_their_overlap_cost_nothing():
    """Cells at right angles, a crop whose cosines are its shares: only a share of one cell has length one, so shares 0 and 1."""
    e = torch.eye(3)
    keys = {"item": torch.zeros(4, dtype=torch.int64), "view": torch.arange(4), "overlap": torch.eye(3)[[0, 0, 0, 1]]}
    rows = Rows(torch.cat([e, e[1:2]]), keys, False, ("base", "base", "base", "crop"))
    assert terms.placed({"z": rows, "teacher": rows}, {}, NOW).values.item() == pytest.approx(0, abs=1e-5)
    assert terms.cells_apart({"z": rows}, {}, NOW).values.item() == 0


def test_cells_apart_moves_the_first_of_each_pair_only():
    out = spaces(b=1, cells=2, crops=1)
    terms.cells_apart(out, {}, NOW, leak=1.0).values.sum().backward()
    grad = out["z"].z.grad
    assert bool((grad[0] != 0).any()) and bool((grad[1:] == 0).all())


def test_a_leak_lets_negative_cosines_of_positives_learn():
    keys = {"item": torch.zeros(2, dtype=torch.int64), "view": torch.arange(2), "overlap": torch.ones(2, 1)}
    z = torch.tensor([[1.0, 0.0], [-1.0, 0.1]], requires_grad=True)
    rows = Rows(z, keys, False, ("base", "crop"))
    for leak, learns in ((0.0, False), (0.1, True)):
        z.grad = None
        terms.placed({"z": rows, "teacher": rows.detach()}, {}, NOW, leak=leak).values.sum().backward()
        assert bool((z.grad != 0).any()) is learns


def test_shares_of_another_grid_are_refused():
    out = spaces()
    wrong = Rows(out["z"].z, {**out["z"].keys, "overlap": torch.ones(20, 4)}, False, out["z"].roles)
    with pytest.raises(RequirementError, match="3 of them"):
        terms.placed({**out, "z": wrong}, {}, NOW)


def test_a_run_repeats_itself_on_volumes():
    given = checks.example("volume")

    def weights():
        with checks.training(registry.get("voco"), "volume", given, epochs=1) as run:
            run.fit()
            return torch.cat([p.detach().flatten() for p in run.model.parameters()])

    assert torch.equal(weights(), weights())


def test_position_is_told_from_raw_pieces_of_an_uneven_volume():
    """Brightness grows along the width: a linear probe must tell the half that a piece lies in."""
    x = np.broadcast_to(np.linspace(0, 1, 8), (30, 4, 4, 8)) + np.random.default_rng(0).normal(0, 0.01, (30, 4, 4, 8))
    given = data.read(x.astype(np.float32), kind="volume")
    train, test = given.subset(given.ids[:20]), given.subset(given.ids[20:])
    raw = protocols.measure("position", Subject(lambda d: d.flat(), train, test, given, 0, None, "raw"), {"grid": (1, 1, 2)})
    assert raw["cell"] > 0.9 and raw["place"] > 0.9 and raw["chance"] < 0.8
    with pytest.raises(RequirementError, match="pca cannot"):
        protocols.measure("position", Subject(lambda d: d.flat(), train, test, given, 0, None, "pca"), {})
