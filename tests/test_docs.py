"""What the documentation says is so: its code runs, its commands parse, its tables are fresh, and it builds without a warning."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in FENCE.findall(page.read_text(encoding="utf-8")) if kind == language]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of, and `fit` held to a moment."""
    rng = np.random.default_rng(0)
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(12):
            image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(tmp_path / "photos" / name / f"{number}.png")
    rows = [f"{rng.normal():.3f},{rng.normal():.3f},{rng.choice(['red', 'blue'])},{kind}" for kind in ("rose", "iris") for _ in range(20)]
    (tmp_path / "flowers.csv").write_text("\n".join(["length,width,colour,species", *rows]))
    np.savez(tmp_path / "series.npz", x=rng.normal(size=(32, 2, 24)).astype(np.float32), y=np.arange(32) % 2)
    said = [f'{{"body": "the {word} is {how} number {n}"}}' for word in ("battery", "screen") for how in ("good", "bad") for n in range(8)]
    (tmp_path / "reviews.jsonl").write_text("\n".join(said))
    (tmp_path / "new_reviews.jsonl").write_text("\n".join(said[:6]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    import counterpoint as cp

    real = cp.fit

    def quick(*given: Any, **more: Any) -> Any:
        return real(*given, **{**more, "epochs": 1, "batch": 8})

    monkeypatch.setattr(cp, "fit", quick, raising=False)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: str(p.relative_to(ROOT)))
def test_code_on_the_page_runs(page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python on a page, in its order. Method files are written to a file and built, as a reader would."""
    from counterpoint.core import options, registry

    monkeypatch.syspath_prepend(desk)
    monkeypatch.setattr(registry, "_outside", {})
    monkeypatch.setattr(options, "_trusted", set(options._trusted))
    names: dict[str, Any] = {"__name__": "page"}
    for number, body in enumerate(blocks(page, "python")):
        if "@method" in body and "import" not in body:
            compile(body, f"{page.name}[{number}]", "exec")  # an excerpt
        elif "@method" in body:
            (desk / f"page_{number}.py").write_text(body)
            slug = re.findall(r"^def (\w+)", body, flags=re.MULTILINE)[-1]
            assert registry.get(f"page_{number}.{slug}").card()["slug"] == slug
        else:
            exec(compile(body, f"{page.name}[{number}]", "exec"), names)


def test_commands_on_the_pages_parse() -> None:
    """Each line of a shell block that calls the command has a verb and options that exist."""
    from typer.main import get_command

    from counterpoint.cli.commands import app

    root = get_command(app)
    spoken = [line for page in PAGES for body in blocks(page, "sh") for line in body.splitlines() if line.startswith("counterpoint ")]
    spoken += [code for page in PAGES for code in re.findall(r"`(counterpoint [a-z][^`]*)`", page.read_text(encoding="utf-8"))]
    assert len(spoken) > 10
    for line in spoken:
        command: Any = root
        context = root.make_context("counterpoint", [], resilient_parsing=True)
        words = shlex.split(line, comments=True)[1:]
        while words and hasattr(command, "commands"):
            assert words[0] in command.commands, f"{line}: there is no {words[0]!r}"
            command = command.commands[words.pop(0)]
        if not words or "…" in line:
            continue  # the verb alone, or shortened
        command.make_context(line, words, parent=context)


def test_what_is_made_from_code_and_results_is_fresh() -> None:
    for path, text in load("docs").fresh().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run: python scripts/docs.py write"


def test_pictures_on_the_pages_exist() -> None:
    for page in PAGES:
        for address in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / address).is_file(), f"{page.name}: {address}"


def test_every_option_has_a_sentence() -> None:
    """What the reference shows of each option is more than its name."""
    import importlib

    from counterpoint.core import options

    docs = load("docs")
    silent = []
    for part in docs.PARTS:
        for name, make in docs.functions(importlib.import_module(f"counterpoint.{part}"), set()):
            silent += [f"{name}: {option}" for option, _, _, sentence in options.describe(make) if not sentence]
    assert not silent


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    from counterpoint.core import registry

    for slug in registry.slugs():
        assert (tmp_path / "methods" / f"{slug}.html").is_file()


def test_names_on_the_pages_exist() -> None:
    """`losses.info_nce`, `core.values`, `core/flow.py` … are there under that name."""
    import importlib

    roots = "views|losses|pairs|terms|encoders|data|core|evaluation|clustering|checks|index|training|run"
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        text = re.sub(r"<!-- methods: made.*?<!-- end of methods -->", "", text, flags=re.DOTALL)  # paths in recipes
        for name in re.findall(rf"`((?:{roots})(?:\.[a-zA-Z_]\w*)+)`", text):
            if name.endswith((".json", ".parquet", ".html", ".png")):
                continue  # a file of a run folder
            package, *pieces = name.split(".")
            found: Any = importlib.import_module(f"counterpoint.{package}")
            for piece in pieces:
                if inspect.ismodule(found) and not hasattr(found, piece):
                    assert importlib.util.find_spec(f"{found.__name__}.{piece}"), f"{page.relative_to(ROOT)}: {name}"
                    found = importlib.import_module(f"{found.__name__}.{piece}")
                else:
                    found = getattr(found, piece)
        for path in re.findall(r"`((?:counterpoint/|core/|data/|training/|scripts/|docs/)[\w/.-]+\.(?:py|md|png))`", text):
            assert (ROOT / path).exists() or (ROOT / "counterpoint" / path).exists(), f"{page.relative_to(ROOT)}: {path}"
