"""Which precision is chosen where."""

from __future__ import annotations

import pytest
import torch

from counterpoint.training import devices
from counterpoint.training.settings import Settings


@pytest.mark.parametrize("real", [True, False])
def test_a_gpu_that_only_imitates_bfloat16_computes_in_float32(real, monkeypatch):
    """Older ones accept the type and are slower with it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: real or including_emulation)
    assert devices._bfloat16_pays(Settings(accelerator="cuda"), {"array"}) is real


@pytest.mark.parametrize(
    ("kinds", "wanted"), [({"image"}, True), ({"image", "audio"}, True), ({"volume"}, False), ({"image", "text"}, False)]
)
def test_a_processor_that_has_it_uses_it_for_pictures_and_sound(kinds, wanted, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert devices._bfloat16_pays(Settings(accelerator="cpu"), kinds) is wanted
