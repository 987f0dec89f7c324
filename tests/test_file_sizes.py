"""A method is at most 150 lines, a part 250, any file 400; names are plain."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = {"data", "views", "encoders", "pairs", "losses", "terms"}
FILES = sorted(p for folder in ("counterpoint", "tests", "scripts", "examples", "benchmarks") for p in (ROOT / folder).rglob("*.py"))


def bound(path: Path) -> int:
    inside = path.relative_to(ROOT).parts
    if inside[0] == "counterpoint" and inside[1] in {"methods", "recipes"}:
        return 150
    return 250 if inside[0] == "counterpoint" and inside[1] in PARTS else 400


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_length(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= bound(path), f"{path.relative_to(ROOT)} has {lines} lines; at most {bound(path)}"


@pytest.mark.parametrize("path", [p for p in FILES if p.is_relative_to(ROOT / "counterpoint")], ids=lambda p: str(p.relative_to(ROOT)))
def test_names_and_docstring(path: Path) -> None:
    assert path.stem == path.stem.lower()
    assert path.stem.strip("_") not in {"utils", "util", "misc", "helpers", "common", "base"}
    text = path.read_text(encoding="utf-8")
    assert not text or text.lstrip().startswith(('"""', 'r"""')), f"{path.relative_to(ROOT)} does not say what it is for"


def test_no_pickle() -> None:
    """Nothing is ever unpickled: a file from elsewhere cannot run code."""
    forbidden = (
        "torch." + "load(",
        "pickle." + "load",
        "allow_pickle=" + "True",
        "joblib." + "load",
        "import " + "pickle",
        "weights_only=" + "False",
    )
    for path in FILES:
        if path.is_relative_to(ROOT / "counterpoint"):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in forbidden if word in text], path


def test_tests_mirror_the_package() -> None:
    """A folder of tests is a folder of the package."""
    for folder in (ROOT / "tests").iterdir():
        if folder.is_dir() and not folder.name.startswith((".", "_")) and any(folder.glob("test_*.py")):
            assert (ROOT / "counterpoint" / folder.name).exists() or (ROOT / "counterpoint" / f"{folder.name}.py").exists(), folder.name
