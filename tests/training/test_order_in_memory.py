"""Weights of pictures lie channels last; gradients and what an optimiser keeps must lie as they do, since a fused step does not look."""

from __future__ import annotations

import pytest
import torch

from counterpoint import checks
from counterpoint.core import registry
from counterpoint.encoders import image
from counterpoint.training import distributed, state
from counterpoint.training.loop import OPTIMIZERS

WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
SPEC = registry.example_spec("image")


def gradient(step):
    return torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(step)).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("make", [image.small_cnn, image.resnet], ids=["small_cnn", "resnet"])
def test_weights_lie_channels_last_and_so_do_their_gradients(make):
    net = make(SPEC.only)
    net(torch.rand(2, *SPEC.only.shape)).sum().backward()
    kernels = [p for p in net.parameters() if p.ndim == 4]
    assert len(kernels) > 3 and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert all(p.grad.stride() == p.stride() for p in net.parameters())


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_step_after_a_checkpoint_is_that_without_it(name, tmp_path):
    found = []
    for broken in (False, True):
        weight = torch.nn.Parameter(WEIGHT.clone())
        optimizer = OPTIMIZERS[name]([weight], lr=0.1)
        for step in range(3):
            if broken and step == 1:
                state.save(tmp_path / "checkpoint", {"optimizer": optimizer.state_dict()}, 1)
                optimizer = OPTIMIZERS[name]([weight], lr=0.1)
                optimizer.load_state_dict(state.load(tmp_path / "checkpoint")["optimizer"])
                state.lay_out(optimizer)
            weight.grad = gradient(step)
            optimizer.step()
        found.append(weight.detach())
    assert torch.equal(*found)


def test_gradients_of_several_processes_lie_as_their_weights(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda *_: None)
    weight, bias = torch.nn.Parameter(WEIGHT.clone()), torch.nn.Parameter(torch.zeros(4))
    weight.grad, bias.grad = gradient(0), torch.ones(4)
    distributed.sum_gradients([weight, bias])
    assert torch.equal(weight.grad, gradient(0)) and weight.grad.stride() == weight.stride()
    assert torch.equal(bias.grad, torch.ones(4))


def test_a_run_on_pictures_goes_on_as_if_it_had_not_stopped():
    checks.keeps_its_state(registry.get("byol"), "image")
