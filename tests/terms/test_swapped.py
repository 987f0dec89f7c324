"""terms.swapped against the formulas of the paper, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from counterpoint import terms
from counterpoint.core.errors import OptionError, RequirementError
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
        q = _codes(torch.cat([before, views[a]]) @ c.T, epsilon, iterations)[len(before) :]
        for v in range(3):
            if v != a:
                total -= (q * torch.log_softmax(views[v] @ c.T / t, 1).double()).sum(1).mean() / 4
    return float(total)


def test_equals_the_formulas():
    out = _out()
    assert terms.swapped(out, {}, NOW).mean().item() == pytest.approx(_slow(out), rel=1e-5)
    mixed = {**out, "z": out["z"].where(torch.randperm(18))}
    assert terms.swapped(mixed, {}, NOW).mean().item() == pytest.approx(_slow(out), rel=1e-5)


def test_the_queue_joins_when_it_is_full_and_due():
    out = _out(stored=7)
    assert terms.swapped(out, {}, NOW, queue="queue").mean().item() == pytest.approx(_slow(out, queue=out["queue"].z), rel=1e-5)
    assert terms.swapped(out, {}, NOW, queue="queue", queue_from=0.9).mean().item() == pytest.approx(_slow(out), rel=1e-5)
    out["queue"].keys["item"][3] = -1
    assert terms.swapped(out, {}, NOW, queue="queue").mean().item() == pytest.approx(_slow(out), rel=1e-5)


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
