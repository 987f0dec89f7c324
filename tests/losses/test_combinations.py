"""Losses under the pair rules of a paper: Hydra's gates, soft targets, proxies. Values and gradients by loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from counterpoint import losses, pairs
from counterpoint.core import registry, similarity
from counterpoint.core.recipe import Progress, Rows
from counterpoint.encoders.latent import Gate
from counterpoint.losses import easy

NOW = Progress()
TYPES = [(torch.float64, 1e-9), (torch.float32, 1e-5)]


def _draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _same(mine, theirs, tensors, others, tolerance):
    """Equal values, and equal gradients to tensors of two precisions."""
    assert mine.item() == pytest.approx(theirs.item(), rel=tolerance)
    found, expected = torch.autograd.grad(mine, tensors), torch.autograd.grad(theirs, others)
    for one, two in zip(found, expected, strict=True):
        assert torch.allclose(one.double(), two.double(), rtol=10 * tolerance, atol=10 * tolerance * float(two.abs().max()) + 1e-12)


# ---- Hydra (paper 034)


def _gated(gate, z, labels, partner):
    keys = {"item": torch.arange(6).repeat(2), "view": torch.arange(2).repeat_interleave(6), "label": labels, "partner": partner}
    return gate({"z": Rows(z, keys, False, ("global", "global"))}, NOW)


def test_hydra_reaches_rows_gate_and_scale():
    """L_i = mean over {y_j = y'_i} of −log(e^{s_ip} / (e^{s_ip} + Σ over y_j not in {y_i, y'_i} of e^{s_ij})), s = a ⟨z_i g², z_j⟩."""
    labels, partner = torch.tensor([0, 1, 2, 3, 0, 1]).repeat(2), torch.tensor([1, 2, 2, 0, 3, 0]).repeat(2)
    contrast = registry.get("hydra")(registry.example_spec("image", {"label": (10, 1.0)})).objective["contrast"]
    torch.manual_seed(0)
    gate = Gate(4, 5, "label", "partner", 3, 6, 0.2, False)
    z = _draw(12, 5).float().requires_grad_()
    found = contrast(_gated(gate, z, labels, partner), {}, NOW).mean()
    unit = functional.normalize(z)
    embedded = (gate.classes.weight[labels] + gate.classes.weight[partner]) / 2
    opening = torch.sigmoid(gate.mlp(embedded))
    s = (unit * opening**2) @ unit.T * gate.scale.exp()
    rows = []
    for i in range(12):
        far = sum(s[i, j].exp() for j in range(12) if labels[j] not in (labels[i], partner[i]))
        near = [j for j in range(12) if labels[j] == partner[i] and j != i]
        rows.append(sum(-torch.log(s[i, p].exp() / (s[i, p].exp() + far)) for p in near) / len(near))
    leaves = [z, *gate.parameters()]
    assert gate.scale in set(leaves)
    _same(found, sum(rows) / 12, leaves, leaves, 1e-5)
    for one in torch.autograd.grad(contrast(_gated(gate, z, labels, partner), {}, NOW).mean(), leaves):
        assert one.abs().sum() > 0


# ---- soft targets (Dialog2Flow, paper 005)


@pytest.mark.parametrize("top", [None, 2])
def test_soft_targets_are_a_cross_entropy(top):
    """Σ_j over the others of −softmax_j(cos(l_i, l_j) / τ) log softmax_j(s_ij / t)."""
    labels, vectors = torch.tensor([0, 1, 2, 0, 1, 3, 3]), _draw(4, 3, seed=1)
    alike = functional.normalize(vectors) @ functional.normalize(vectors).T
    keys = {"item": torch.arange(7), "view": torch.zeros(7, dtype=torch.int64), "label": labels}
    wide = _draw(7, 4).requires_grad_()
    unit = functional.normalize(wide)
    log = (unit @ unit.T / 0.2).fill_diagonal_(-torch.inf).log_softmax(1)
    total = 0.0
    for i in range(7):
        chosen = alike[labels[i]].topk(top).indices.tolist() if top else range(4)
        mass = {j: math.exp(alike[labels[i], labels[j]] / 0.35) for j in range(7) if j != i and int(labels[j]) in chosen}
        total = total - sum(m / sum(mass.values()) * log[i, j] for j, m in mass.items()) / 7
    for dtype, tolerance in TYPES:
        z = wide.detach().to(dtype).requires_grad_()
        rows = Rows(z, keys)
        rule = pairs.soft(rows, rows, {"label_vectors": vectors}, temperature=0.35, top=top)
        found = losses.supervised(similarity.cosine(z, z), rule, temperature=0.2).mean()
        total_again = total + 0.0
        gradient = torch.autograd.grad(total_again, wide, retain_graph=True)[0]
        assert found.item() == pytest.approx(total.item(), rel=max(tolerance, 1e-6))  # the rule's weights are float32
        assert torch.allclose(torch.autograd.grad(found, z)[0].double(), gradient, atol=1e-5)


# ---- proxies (paper 103)


@pytest.mark.parametrize("limit", [-1.0, 1e9])
@pytest.mark.parametrize("counted", [True, False])
def test_proxies_are_a_softmax_over_the_classes_of_the_batch(counted, limit, monkeypatch):
    """−log( e^{s_iy / t} / Σ_{c in the batch} n_c e^{s_ic / t} ); an absent class gets no gradient, nor does a row without label."""
    monkeypatch.setattr(easy, "LIMIT", limit)
    labels = torch.tensor([0, 0, 3, 1, 3, 3, -1])
    wide = [_draw(7, 4).requires_grad_(), _draw(5, 4, seed=1).requires_grad_()]
    s = functional.normalize(wide[0]) @ functional.normalize(wide[1]).T / 0.3
    number = {c: int((labels == c).sum()) if counted else 1 for c in (0, 1, 3)}
    hand = 0.0
    for i in range(6):
        total = sum(n * s[i, c].exp() for c, n in number.items())
        hand = hand - torch.log(s[i, labels[i]].exp() / total) / 6
    expected = torch.autograd.grad(hand, wide)
    for dtype, tolerance in TYPES:
        z, c = (x.detach().to(dtype).requires_grad_() for x in wide)
        anchors, proxies = Rows(z, {"item": torch.arange(7), "label": labels}), Rows(c, {"label": torch.arange(5)}, True)
        found = losses.supervised(similarity.cosine(z, c), pairs.proxies(anchors, proxies, {}, counted=counted), temperature=0.3)
        tolerance = max(tolerance, 1e-8)  # the rule's weights are float32
        assert found.mean().item() == pytest.approx(hand.item(), rel=tolerance) and found.counted.tolist() == [True] * 6 + [False]
        got = torch.autograd.grad(found.mean(), (z, c))
        for one, two in zip(got, expected, strict=True):
            assert torch.allclose(one.double(), two, rtol=10 * tolerance, atol=tolerance)
        assert got[1][[2, 4]].abs().max() == 0 and got[1][[0, 1, 3]].abs().sum(1).min() > 0 and got[0][6].abs().max() == 0
