"""Gates of class pairs, heads with a network of pairs, towers with a teacher."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from counterpoint import encoders
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import use
from counterpoint.core.recipe import Modality, Progress, Rows, Spec, View

SPEC = Spec(32, {"x": Modality("array", (6,))}, {"label": (4, 1.0)})
NOW = Progress()


def _views(n=5, **keys):
    base = {"item": torch.arange(n), **keys}
    return [View("global", {"x": torch.randn(n, 6)}, base) for _ in range(2)]


def test_a_gate_weights_both_sides_of_a_product():
    torch.manual_seed(0)
    gate = encoders.latent.gate(SPEC, 8, 7, temperature=0.1)
    label, partner = torch.tensor([0, 1, 2, 3, -1]), torch.tensor([1, 1, 0, 2, 0])
    rows = Rows(torch.randn(5, 7), {"item": torch.arange(5), "label": label, "partner": partner})
    out = gate({"z": rows}, NOW)
    g = gate.gates(label, partner)
    assert ((g > 0) & (g <= 1)).all() and torch.equal(g[4], torch.ones(7))
    assert torch.allclose(gate.gates(partner, label)[:4], g[:4])  # a pair of classes has no order
    unit = functional.normalize(rows.z)
    assert torch.allclose(out["unit"].z, unit)
    product = out["gated"].z @ out["unit"].z.T
    assert torch.allclose(product[0, 2], ((unit[0] * g[0]) * (unit[2] * g[0])).sum(), atol=1e-6)
    assert out["scale"].shared and out["scale"].z.exp().item() == pytest.approx(10.0)
    assert torch.equal(encoders.latent.gate(SPEC, 8, 7, opened=True).gates(label, partner), torch.ones(5, 7))
    own = gate({"z": Rows(rows.z, {"item": torch.arange(5), "label": label})}, NOW)
    assert torch.allclose(own["gated"].z[0], unit[0] * gate.gates(label, label)[0].square())


def test_a_gate_needs_its_classes():
    with pytest.raises(RequirementError, match="needs the column 'kind'"):
        encoders.latent.gate(SPEC, 8, 7, key="kind")
    gate = encoders.latent.gate(SPEC, 8, 7)
    with pytest.raises(RequirementError, match="knows 4 classes"):
        gate.gates(torch.tensor([4]), torch.tensor([0]))


def test_latent_spaces_join_the_others_and_their_parts_learn():
    torch.manual_seed(0)
    model = encoders.network(SPEC, backbone=use(encoders.array.mlp), latent=use(encoders.latent.heads, count=2, width=5, heat=3))
    out = model(_views(), NOW)
    assert out["head/1"].z.shape == (10, 5) and out["heat/0"].z.shape == (10, 6) and out["heat_out/1"].z.shape == (1, 4)
    assert out["head/0"].roles == ("global", "global") and "view" in out["head/0"].keys
    (sum(out[name].z.sum() for name in out if name.startswith(("head", "heat")))).backward()
    assert all(p.grad is not None for p in model.latent.parameters())
    assert any(isinstance(p, torch.nn.Parameter) and out["heat_out/0"].z is p for p in model.latent.parameters())


def test_detached_temperatures_leave_the_heads_alone():
    torch.manual_seed(0)
    for detach in (False, True):
        heads = encoders.latent.heads(SPEC, 4, 4, count=1, detach=detach)
        h = torch.randn(3, 4, requires_grad=True)
        heads({"h": Rows(h, {"item": torch.arange(3)})}, NOW)["heat/0"].z.sum().backward()
        assert (h.grad is None) == detach


def test_towers_with_a_teacher():
    torch.manual_seed(0)
    spec = Spec(32, {"a": Modality("array", (6,)), "b": Modality("array", (4,))})
    model = encoders.towers(spec, teacher=use(encoders.teacher.ema, momentum=0.5))
    item = torch.arange(5)
    views = [View("a", {"a": torch.randn(5, 6)}, {"item": item}), View("b", {"b": torch.randn(5, 4)}, {"item": item})]
    model.eval()
    out = model(views, NOW)
    assert torch.allclose(out["teacher/a"].z, out["a"].z, atol=1e-6) and not out["teacher/a"].z.requires_grad
    assert torch.equal(out["teacher/b"].keys["item"], item) and torch.equal(out["teacher/b"].keys["view"], out["b"].keys["view"])
    with torch.no_grad():
        for p in model.towers.parameters():
            p += 1.0
    before = model.teachers["a"].backbone.state_dict()
    before = {k: v.clone() for k, v in before.items()}
    model.teachers["a"].after_update(out, NOW)
    after, goal = model.teachers["a"].backbone.state_dict(), model.towers["a"].backbone.state_dict()
    name = next(k for k, v in before.items() if v.is_floating_point() and "running" not in k)
    assert torch.allclose(after[name], (before[name] + goal[name]) / 2)
    plain = encoders.towers(spec)
    assert not any("teacher" in k for k in plain.state_dict()) and "teacher/a" not in plain(views, NOW)
