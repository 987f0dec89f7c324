"""`compile` changes the speed and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from counterpoint import checks
from counterpoint.core import registry
from counterpoint.core.errors import OptionError
from counterpoint.training.loop import Training
from counterpoint.training.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("c++") is None and shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")


@pytest.mark.filterwarnings("ignore")  # of the compiler, on what it falls back to
def test_a_compiled_run_learns_what_a_plain_one_learns(tmp_path: Path) -> None:
    given = checks.example("array")
    found = []
    for compiled in (False, True):
        torch._dynamo.reset()
        settings = Settings(epochs=1, batch=16, compile=compiled, accelerator="cpu", precision="32-true", log_every=1)
        run = Training(registry.get("simclr")(given.spec), given, settings, tmp_path / str(compiled))
        assert any(part._compiled_call_impl is not None for part in run.model.children()) == compiled
        lines: list[float] = []
        run.fit(lambda run, line, lines=lines: lines.append(line["loss"]))
        assert set(run.model.state_dict()) == set(registry.get("simclr")(given.spec).encoder(given.spec).state_dict())
        found.append(lines)
    assert len(found[0]) == 3
    assert found[0] == pytest.approx(found[1], rel=0.02), "dropout draws other numbers, all else is the same"


def test_a_machine_without_a_compiler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nonexistent/compiler")
    given = checks.example("array")
    with pytest.raises(OptionError, match="/nonexistent/compiler is not there"):
        Training(registry.get("simclr")(given.spec), given, Settings(accelerator="cpu", compile=True), tmp_path)
