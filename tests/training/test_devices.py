"""Which precision is chosen where."""

from __future__ import annotations

import os
import subprocess
import sys

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


FAULTS = """
import resource, sys, torch
from counterpoint.training.devices import _allocator, kept_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        pieces = [torch.ones(3_000_000) for _ in range(4)]  # 12 MB each
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if _allocator() is None:
    print("none")
    sys.exit()
with kept_memory(torch.device("cpu")):
    faults()
    kept = faults()
after = faults()  # the first of its pieces come from the system again: it was given back
print(kept, after)
"""


def test_memory_is_kept_from_step_to_step_and_given_back_at_the_end():
    """In a process of its own, for an allocator's bounds stay. 20 times 4 × 12 MB would be 240,000 pages of 4 KiB."""
    small = {**os.environ, "THP_MEM_ALLOC_ENABLE": "0"}  # pages of one size, to be counted
    done = subprocess.run([sys.executable, "-c", FAULTS], env=small, capture_output=True, text=True)
    if done.stdout.strip() == "none":
        pytest.skip("another allocator than glibc's")
    kept, after = map(int, done.stdout.split())
    assert kept < 1000
    assert 8_000 < after < 30_000


def test_nothing_is_asked_of_the_allocator_for_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "_allocator", lambda: pytest.fail("it was asked"))
    with devices.kept_memory(torch.device("cuda")):
        pass
