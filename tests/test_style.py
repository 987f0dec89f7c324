"""Style, format and types, as `make check` has them, so that continuous integration sees them too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip(command[0])
    return subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("command", [("ruff", "check", "."), ("ruff", "format", "--check", ".")], ids=["check", "format"])
def test_ruff(command: tuple[str, ...]) -> None:
    done = tool(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_types() -> None:
    done = tool("mypy")
    assert done.returncode == 0, done.stdout + done.stderr
