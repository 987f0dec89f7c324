"""The benchmark of a GPU runs, on a processor, with a tiny network and few items; what it finds there says nothing."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from counterpoint import checks

FILE = Path(__file__).parents[2] / "benchmarks" / "training_gpu.py"
SETTINGS = {"batch": 16, "accelerator": "cpu", "precision": "32-true"}


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("training_gpu", FILE)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_shares_of_the_speed_on_fixed_tensors(benchmark):
    found = benchmark.shares(checks.example("image"), "small", 4, 1, compiled=False, **SETTINGS)
    assert list(found) == ["fixed", "counterpoint", "in order", "logged"]
    assert all(line["items_per_second"] > 0 and line["share"] > 0 for line in found.values())
    assert found["fixed"]["share"] == 1


def test_a_run_to_the_end(benchmark):
    given = checks.example("image")
    train, test = given.subset(given.ids[:32]), given.subset(given.ids[32:])
    found = json.loads(json.dumps(benchmark.cifar(train, test, "small", 2, **SETTINGS)))
    assert 0 <= found["knn"] <= 1
    assert [line["epoch"] for line in found["curve"]][-2:] == [1, 2]
    assert found["settings"]["lr"] == pytest.approx(0.06 * 16 / 128)
    assert found["recipe"]["encoder"]["backbone"]["channels"] == [8, 16]
    assert {"verdict", "protocol", "seconds", "lightly"} <= found.keys()


def test_the_network_is_resnet18_with_a_small_stem(benchmark):
    pytest.importorskip("torchvision")
    given = checks.example("image")
    trunk = benchmark.recipe_of(given, "resnet18").encoder(given.spec).backbone.model
    assert trunk.conv1.kernel_size == (3, 3) and trunk.conv1.stride == (1, 1)
    assert isinstance(trunk.maxpool, torch.nn.Identity)


def test_without_a_gpu_it_says_so(benchmark, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    monkeypatch.setattr(sys, "argv", [str(FILE)])
    with pytest.raises(SystemExit, match="no GPU"):
        benchmark.main()
