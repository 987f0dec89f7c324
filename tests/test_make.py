"""The two commands, as far as they can be looked at without installing everything again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"COUNTERPOINT_DATA", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}}
    return subprocess.run(["make", *arguments], capture_output=True, text=True, cwd=cwd, env={**kept, **environment})


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, flags=re.MULTILINE)
    assert phony is not None
    said = make("help").stdout
    for target in phony.group(1).split():
        assert f"make {target} " in said, f"make {target} has no sentence"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the Makefile and nothing installed, beside shared/data."""
    (tmp_path / "clone").mkdir()
    (tmp_path / "shared" / "data").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / "clone")
    return tmp_path / "clone"


def test_a_clean_clone_makes_its_environment_first(clone: Path) -> None:
    for target, extra in (("test", "dev"), ("demo", "demo")):
        plan = make("-n", target, cwd=clone).stdout
        assert plan.index("-m venv .venv") < plan.index(f"'.[{extra}]'")
    assert "counterpoint demo" in make("-n", "demo", cwd=clone).stdout


def test_what_is_installed_is_not_installed_again(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").touch()
    (clone / ".venv" / ".installed-dev").touch()
    assert "pip install" not in make("-n", "test", cwd=clone).stdout
    os.utime(clone / "pyproject.toml", (2**31, 2**31))
    assert "pip install" in make("-n", "test", cwd=clone).stdout


def test_data_beside_the_clone_are_found(clone: Path) -> None:
    ask = ["--eval", "ask: ; @echo found=$${COUNTERPOINT_DATA:-}", "ask"]
    assert make(*ask, cwd=clone).stdout.strip() == f"found={clone.parent / 'shared' / 'data'}"
    assert make(*ask, cwd=clone, COUNTERPOINT_DATA="/elsewhere").stdout.strip() == "found=/elsewhere"
    shutil.rmtree(clone.parent / "shared")
    assert make(*ask, cwd=clone).stdout.strip() == "found="


def test_a_python_that_is_missing_or_old_is_named(clone: Path) -> None:
    gone = make("test", "PYTHON=no-such-python", cwd=clone)
    assert gone.returncode == 2
    assert "no-such-python is not there" in gone.stderr
    old = clone / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1\n[ "$1" = -c ] && exit 1\nexit 0\n')
    old.chmod(0o755)
    refused = make("test", f"PYTHON={old}", cwd=clone)
    assert refused.returncode == 2
    assert "Python 3.8.1 is too old" in refused.stderr
    assert not (clone / ".venv").exists()


def test_continuous_integration_runs_make_test() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()
