"""What all tests share: where data lie, and seeds."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# No test asserts a time, so none has a deadline; the same examples on every machine, so that a failure can be repeated.
settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same random numbers for a test whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries draw from it)
    import torch

    torch.manual_seed(0)


@pytest.fixture
def generator() -> object:
    """A seeded torch.Generator."""
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of sets that COUNTERPOINT_DATA names; a test that needs it skips, by name, where it is not there."""
    found = os.environ.get("COUNTERPOINT_DATA", "")
    if not found or not Path(found).is_dir():
        pytest.skip("COUNTERPOINT_DATA does not name a folder of sets")
    return Path(found)


@pytest.fixture(scope="session")
def shipped(data_root: Path) -> Callable[[str], Path]:
    """`shipped("cifar10")` is the folder of that set; the test skips, by name, where it is not there."""

    def find(name: str) -> Path:
        if not (data_root / name).exists():
            pytest.skip(f"the set {name!r} is not in COUNTERPOINT_DATA")
        return data_root / name

    return find
