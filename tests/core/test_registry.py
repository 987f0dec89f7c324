"""Methods are found in their files, described from them, and never listed by hand."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from counterpoint.core import options, registry
from counterpoint.core.errors import MethodError, OptionError
from counterpoint.core.recipe import Claim, Recipe

PARTS = """
from counterpoint.core.recipe import requires

def shuffled(dataset, generator, *, batch: int = 8): ...
def views(batch, generator, now): ...
def encoder(spec): ...
@requires(column=("{key}",))
def same(anchors, candidates, tables, *, key: str = "item"): ...
def loss(scores, pairs, *, temperature: float = 0.1): ...
"""
BASE = '''
"""Base: the one that others start from.

Someone, "Something", 2020.
"""
from counterpoint.core.options import use
from counterpoint.core.recipe import Contrast, Recipe
from counterpoint.core.registry import method
from house_parts import encoder, loss, same, shuffled, views

@method()
def base(spec, *, temperature: float = 0.1) -> Recipe:
    """temperature: of the softmax."""
    return Recipe(use(shuffled), use(views), use(encoder), {"contrast": Contrast(use(same), use(loss, temperature=temperature))})
'''
LABELLED = '''
"""Labelled: positives by label."""
from counterpoint.core.recipe import Claim
from counterpoint.core.registry import get, method

@method(paper=7, baseline="base", kinds=("image", "series"))
def labelled(spec, *, label: str = "label"):
    return get("base")(spec).at("objective.contrast.pairs.key", label)

CLAIM = Claim(data="somewhere", metric="knn", paper="better")
'''
PAIRED = '''
"""Paired: two kinds at once."""
from counterpoint.core.registry import get, method

@method(kinds="paired")
def paired(spec):
    return get("base").build(spec)
'''


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small package of methods in place of ours: recipes.base, methods.general.labelled, methods.mixed.paired."""
    files = {
        "house_parts.py": PARTS,
        "house_recipes/__init__.py": "",
        "house_recipes/base.py": BASE,
        "house_recipes/_private.py": "raise RuntimeError('never imported')",
        "house_methods/__init__.py": "",
        "house_methods/general/__init__.py": "",
        "house_methods/general/labelled.py": LABELLED,
        "house_methods/mixed/__init__.py": "",
        "house_methods/mixed/paired.py": PAIRED,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_PACKAGES", ("house_recipes", "house_methods"))
    monkeypatch.setattr(registry, "_outside", {})
    monkeypatch.setattr(registry, "entry_points", lambda group: [])
    monkeypatch.setattr(options, "_trusted", {"counterpoint"})
    registry._files.cache_clear()
    yield tmp_path
    registry._files.cache_clear()
    for name in [n for n in sys.modules if n.startswith("house_")]:
        del sys.modules[name]


def test_methods_are_found_by_file_name_without_importing(house: Path) -> None:
    (house / "house_methods/general/broken.py").write_text("raise RuntimeError('imported')")
    assert registry.slugs() == ["base", "broken", "labelled", "paired"]
    assert "house_methods.general.broken" not in sys.modules


def test_get_imports_one_file(house: Path) -> None:
    found = registry.get("labelled")
    assert found.slug == "labelled"
    assert found.paper == 7
    assert found.title == "Labelled: positives by label."
    assert isinstance(found.claim, Claim)
    assert registry.get("base").claim is None
    assert "house_methods.mixed.paired" not in sys.modules


@pytest.mark.parametrize("name", ["sup_con", "sup-con", " sup_con ", "sup con"])
def test_names_may_be_written_with_dashes(house: Path, name: str) -> None:
    (house / "house_recipes/sup_con.py").write_text(BASE.strip().replace("def base", "def sup_con"))
    registry._files.cache_clear()
    assert registry.get(name).slug == "sup_con"


@pytest.mark.parametrize(
    ("slug", "message"),
    [
        ("labeled", "there is no method 'labeled'; did you mean 'labelled'?"),
        ("nothing_alike", "there are: base, labelled, paired"),
        ("", "there is no method ''"),
        ("house_parts.loss", "is not a method"),
        ("no_such_package.file.function", "there is no method"),
        ("math.pi", "is not a method"),
        ("../../etc", "there is no method"),
    ],
)
def test_an_unknown_method_is_refused_in_one_line(house: Path, slug: str, message: str) -> None:
    with pytest.raises(MethodError) as caught:
        registry.get(slug)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_without_its_method_is_named(house: Path) -> None:
    (house / "house_recipes/other.py").write_text(BASE.strip())
    registry._files.cache_clear()
    with pytest.raises(MethodError, match="'other' is not a method: its file has no function of that name"):
        registry.get("other")


def test_a_slug_stands_for_one_file(house: Path) -> None:
    (house / "house_methods/mixed/base.py").write_text(BASE.strip())
    registry._files.cache_clear()
    with pytest.raises(RuntimeError, match=r"two methods are called 'base': house_recipes\.base and house_methods\.mixed\.base"):
        registry.slugs()


def test_methods_of_a_kind(house: Path) -> None:
    assert [m.slug for m in registry.methods()] == ["base", "labelled", "paired"]
    assert [m.slug for m in registry.methods("image")] == ["base", "labelled"]
    assert [m.slug for m in registry.methods("table")] == ["base"]
    assert [m.slug for m in registry.methods("paired")] == ["paired"]


def test_a_card_is_computed(house: Path) -> None:
    card = registry.get("labelled").card()
    assert card == {
        "slug": "labelled",
        "paper": 7,
        "family": "house_methods",
        "kinds": ["image", "series"],
        "changes": ["objective.contrast.pairs.key"],
        "needs": ["column label"],
    }
    assert registry.get("base").card()["changes"] == []
    assert registry.get("paired").needs() == ["several modalities"]


def test_building_checks_kind_and_options(house: Path) -> None:
    labelled = registry.get("labelled")
    recipe = labelled(registry.example_spec("series"), label="patient")
    assert isinstance(recipe, Recipe)
    assert recipe.get("objective.contrast.pairs.key") == "patient"
    with pytest.raises(MethodError, match="labelled runs on image, series data and these are table"):
        labelled(registry.example_spec("table"))
    with pytest.raises(MethodError, match="base runs on any data and these are paired"):
        registry.get("base")(registry.example_spec("paired"))
    with pytest.raises(OptionError, match="has no option 'lable'; did you mean 'label'"):
        labelled(registry.example_spec("image"), lable="patient")


def test_an_outside_file_is_found_by_its_dotted_name(house: Path) -> None:
    (house / "house_mine.py").write_text(BASE.strip().replace("def base", "def mine"))
    found = registry.get("house_mine.mine")
    assert found.slug == "mine"
    assert found.family == "house_mine"
    assert "mine" in registry.slugs()
    assert registry.get("mine") is found
    assert options.resolve("house_mine.mine") is not None  # its package may now be named in config.yaml


def test_what_an_outside_file_lacks_is_not_hidden(house: Path) -> None:
    (house / "house_mine.py").write_text("import surely_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        registry.get("house_mine.mine")


def test_entry_points_are_listed_and_loaded(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (house / "house_plugin.py").write_text(BASE.strip().replace("def base", "def plugged"))

    def load() -> Any:
        import house_plugin

        return house_plugin.plugged

    monkeypatch.setattr(registry, "entry_points", lambda group: [SimpleNamespace(name="plugged", load=load)])
    assert "plugged" in registry.slugs()
    assert registry.get("plugged").slug == "plugged"


@pytest.mark.parametrize("kind", ["image", "volume", "video", "audio", "series", "table", "text", "array", "points", "skeleton", "graph"])
def test_an_example_of_each_kind(kind: str) -> None:
    spec = registry.example_spec(kind, {"label": (10, 1.0)})
    assert spec.kind == kind
    assert spec.columns == {"label": (10, 1.0)}
    assert registry.example_spec("paired").kind == "paired"
    with pytest.raises(OptionError, match="did you mean 'image'"):
        registry.example_spec("imag")


# ---- our own methods -------------------------------------------------------------------------------------------------------


def test_listing_imports_no_method() -> None:
    code = (
        "import sys; from counterpoint.core import registry; registry.slugs();"
        "print([m for m in sys.modules if m.startswith(('counterpoint.methods.', 'counterpoint.recipes.')) and m.count('.') > 2])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("slug", registry.slugs())
def test_each_method_has_what_listings_show(slug: str) -> None:
    found = registry.get(slug)
    assert found.title.endswith((".", ")")), "the first line of the file says in a sentence what the method is"
    assert len(found.title) < 140
    assert found.card()["slug"] == slug
    for name, _, _, sentence in options.describe(found.build):
        assert sentence, f"{slug}: the option {name} has no sentence"
    if found.baseline is not None:
        assert found.changes(), f"{slug} does not differ from its baseline {found.baseline}"
