"""Who may import whom, and how light the first import is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def python(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_run_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    if not lint.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([str(lint), "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_is_light() -> None:
    loaded = python("import sys, counterpoint; print(*sys.modules)").split()
    assert not {"torch", "scipy", "sklearn", "pyarrow", "rich", "typer"} & set(loaded)


@pytest.mark.parametrize("arguments", [["--help"], ["fit", "--help"], ["methods", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    """A proxy for "in under half a second" that does not depend on the machine: nothing heavy is imported."""
    code = """
import sys
from counterpoint.cli import main
sys.argv[0] = "counterpoint"
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *sys.modules)
"""
    printed, _, loaded = python(code, *arguments).partition("LOADED")
    assert "Usage" in printed
    assert not {"torch", "scipy", "sklearn", "pyarrow", "numpy"} & set(loaded.split())


def test_methods_is_a_function_whatever_was_imported_before() -> None:
    """`counterpoint.methods` is also the folder of the methods; importing that does not hide the function."""
    code = "import counterpoint as cp; import counterpoint.methods; print(len(cp.methods()) == len(cp.methods()) > 0)"
    assert python(code).strip() == "True"


def test_no_extra_is_needed_to_import_any_part() -> None:
    """Extras are imported inside the function that needs them: every module loads with each of them absent."""
    code = """
import importlib, pkgutil, sys
extras = {"timm", "torchvision", "PIL", "transformers", "tokenizers", "datasets", "pandas", "torch_geometric", "networkx", "soundfile",
          "nibabel", "faiss", "plotly", "matplotlib", "openTSNE", "mlxtend"}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in extras:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import counterpoint
for info in pkgutil.walk_packages(counterpoint.__path__, "counterpoint."):
    if not info.name.endswith("__main__"):
        importlib.import_module(info.name)
print("ok")
"""
    assert python(code).strip().endswith("ok")


def test_extras_that_errors_name_exist() -> None:
    """`need("…", extra="…")` names an extra of pyproject.toml."""
    import re

    text = (ROOT / "pyproject.toml").read_text()
    section = text.split("[project.optional-dependencies]")[1].split("\n[project")[0]
    extras = set(re.findall(r"^(\w+) = \[", section, flags=re.MULTILINE))
    for path in (ROOT / "counterpoint").rglob("*.py"):
        for named in re.findall(r"need\([^)]*?extra=\"(\w+)\"", path.read_text()):
            assert named in extras, f"{path.relative_to(ROOT)} names the extra {named!r}"
