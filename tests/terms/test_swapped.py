"""terms.swapped against the formulas of the paper, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from counterpoint import terms
from counterpoint.core.errors import DataError, OptionError, RequirementError
from counterpoint.core.recipe import Progress, Rows

NOW = Progress(step=5, steps=10)
ROLES = ("global", "global", "local")


def _out(b=6, d=4, k=5, stored=0, requires_grad=False):
    g = torch.Generator().manual_seed(0)
    z = torch.randn(3 * b, d, generator=g, requires_grad=requires_grad)
    keys = {"item": torch.arange(b).repeat(3), "view": torch.arange(3).repeat_interleave(b)}
    out = {"z": Rows(z, keys, False, ROLES), "prototypes": Rows(torch.randn(k, d, generator=g, requires_grad=requires_grad), {}, True)}
    if stored:
        out["queue"] = Rows(torch.randn(stored, d, generator=g), {"item": torch.arange(100, 100 + stored)}, True, ROLES)
    return out


def _codes(scores, epsilon, iterations):
    """The published order: over all, then columns to 1/k, then rows to 1/b."""
    q = torch.exp(scores / epsilon).double().T
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(1, keepdim=True) / q.shape[0]
        q = q / q.sum(0, keepdim=True) / q.shape[1]
    return (q * q.shape[1]).T


def _slow(out, t=0.1, epsilon=0.05, iterations=3, queue=None):
    z, c = functional.normalize(out["z"].z), functional.normalize(out["prototypes"].z)
    views = z.view(3, -1, z.shape[1])
    total = 0.0
    for a in (0, 1):
        before = torch.zeros(0, z.shape[1]) if queue is None else functional.normalize(queue)
        q = _codes(torch.cat([before, views[a]]).detach() @ c.detach().T, epsilon, iterations)[len(before) :]
        for v in range(3):
            if v != a:
                total -= (q * torch.log_softmax(views[v] @ c.T / t, 1).double()).sum(1).mean() / 4
    return total


def test_the_gradient_is_that_of_the_formulas():
    """To the embeddings and to the prototypes, through the predictions alone."""
    for queue in (None, "queue"):
        out = _out(stored=7, requires_grad=True)
        leaves = out["z"].z, out["prototypes"].z
        found = terms.swapped(out, {}, NOW, queue=queue).mean()
        expected = _slow(out, queue=None if queue is None else out["queue"].z)
        for one, two in zip(*(torch.autograd.grad(v, leaves) for v in (found, expected)), strict=True):
            assert torch.allclose(one, two.to(one.dtype), rtol=1e-4, atol=1e-6)


def test_autocast_changes_nothing_and_half_precision_little():
    out = _out()
    plain = terms.swapped(out, {}, NOW).mean().item()
    half = {name: Rows(rows.z.bfloat16(), rows.keys, rows.shared, rows.roles) for name, rows in out.items()}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert terms.swapped(out, {}, NOW).mean().item() == pytest.approx(plain, rel=1e-6)
        assert terms.swapped(half, {}, NOW).mean().item() == pytest.approx(plain, rel=1e-2)


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e18])
def test_extremes_give_no_nan(factor):
    out = {name: Rows((rows.z * factor).requires_grad_(), rows.keys, rows.shared, rows.roles) for name, rows in _out().items()}
    value = terms.swapped(out, {}, NOW).mean()
    assert torch.isfinite(value)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(value, [out["z"].z, out["prototypes"].z]))


def test_a_row_of_nan_is_seen():
    out = _out()
    out["z"].z[2] = torch.nan
    with pytest.raises(DataError, match="scores are NaN"):
        terms.swapped(out, {}, NOW)


@pytest.mark.parametrize("queue", [None, "queue"])
def test_lightly_agrees(queue):
    peer = pytest.importorskip("lightly.loss", reason="lightly is not installed")
    out = _out(stored=7, requires_grad=True)
    leaves = out["z"].z, out["prototypes"].z
    centres = functional.normalize(out["prototypes"].z)
    views = [functional.normalize(view) @ centres.T for view in out["z"].z.view(3, -1, 4)]
    stored = None if queue is None else [(functional.normalize(out["queue"].z) @ centres.T).detach()] * 2
    theirs = peer.SwaVLoss()(views[:2], views[2:], stored)[0]
    mine = terms.swapped(out, {}, NOW, queue=queue).mean()
    assert mine.item() == pytest.approx(theirs.item(), rel=1e-4)
    for one, two in zip(*(torch.autograd.grad(v, leaves) for v in (mine, theirs)), strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-5)


def test_equals_the_formulas():
    out = _out()
    assert terms.swapped(out, {}, NOW).mean().item() == pytest.approx(_slow(out).item(), rel=1e-5)
    mixed = {**out, "z": out["z"].where(torch.randperm(18))}
    assert terms.swapped(mixed, {}, NOW).mean().item() == pytest.approx(_slow(out).item(), rel=1e-5)


def test_the_queue_joins_when_it_is_full_and_due():
    out = _out(stored=7)
    assert terms.swapped(out, {}, NOW, queue="queue").mean().item() == pytest.approx(_slow(out, queue=out["queue"].z).item(), rel=1e-5)
    assert terms.swapped(out, {}, NOW, queue="queue", queue_from=0.9).mean().item() == pytest.approx(_slow(out).item(), rel=1e-5)
    out["queue"].keys["item"][3] = -1
    assert terms.swapped(out, {}, NOW, queue="queue").mean().item() == pytest.approx(_slow(out).item(), rel=1e-5)


def test_chance_is_the_logarithm_of_the_number_of_prototypes():
    out = _out()
    out["prototypes"] = Rows(torch.zeros(5, 4), {}, True)
    result = terms.swapped(out, {}, NOW)
    assert result.chance == pytest.approx(math.log(5)) == pytest.approx(result.mean().item())


def test_no_gradient_through_the_codes():
    """With one view's scores replaced by a constant in the prediction, the codes alone would have to carry its gradient."""
    out = _out(requires_grad=True)
    terms.swapped(out, {}, NOW, assign=("global",)).mean().backward()
    assert out["z"].z.grad.abs().sum() > 0 and out["prototypes"].z.grad.abs().sum() > 0
    z = out["z"].z.detach().clone().requires_grad_()
    two = {"z": Rows(z, out["z"].keys, False, ("giver", "taker", "other")), "prototypes": out["prototypes"]}
    terms.swapped(two, {}, NOW, assign=("giver",)).mean().backward()
    assert z.grad[:6].abs().max() == 0  # the only giver predicts nothing
    assert z.grad[6:].abs().sum(1).min() > 0


def test_wrong_roles_are_refused():
    with pytest.raises(OptionError, match="no view of space 'z' has such a role"):
        terms.swapped(_out(), {}, NOW, assign=("big",))
    out = _out()
    with pytest.raises(RequirementError, match="two views"):
        terms.swapped({**out, "z": Rows(out["z"].z[:6], {k: v[:6] for k, v in out["z"].keys.items()}, False, ("global",))}, {}, NOW)
