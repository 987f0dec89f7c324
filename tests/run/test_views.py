"""`fit --views`: which views a run is given, where they go in its recipe, what is written of the choice, and the picture of them."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import counterpoint as cp
from counterpoint import checks, views
from counterpoint.core import registry
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, use
from counterpoint.core.recipe import Recipe
from counterpoint.run import views as chosen_views
from counterpoint.run.folder import _columns

QUIET: dict[str, Any] = {"epochs": 1, "batch": 16, "seed": 0, "accelerator": "cpu", "evaluate": False, "report": False}


def recipe_of(kind: str, method: str, name: str, **own: Any) -> Recipe:
    """The recipe that `fit --views NAME` would train, without training it."""
    given = checks.example(kind)
    built = registry.get(method)(given.spec, **own)
    chosen = chosen_views.choose_views(name, given, lambda text: None, built, method)
    assert chosen is not None
    return chosen_views.put_views(built, given.spec, chosen, method)


def refused(kind: str, method: str, name: str, words: str, **own: Any) -> None:
    with pytest.raises(OptionError, match=words) as told:
        recipe_of(kind, method, name, **own)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(("name", "share"), [("weak", 0.15), ("default", 0.3), ("strong", 0.45)])
def test_strengths_are_trained_and_written(name: str, share: float, tmp_path: Path) -> None:
    run = cp.fit(checks.example("array"), views=name, out=tmp_path / "run", **QUIET)
    assert run.recipe.get("views.transform.share") == share and run.recipe.get("views.second") is None
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["views"] == name and config["views_chosen"]["x"]["name"] == name
    assert config["recipe"]["views"]["transform"]["share"] == share
    again = cp.fit(checks.example("array"), config=tmp_path / "run" / "config.yaml", out=tmp_path / "again", **QUIET)
    assert again.recipe == run.recipe, "what a run wrote repeats it"


@pytest.mark.parametrize("labelled", [True, False])
def test_auto_is_measured_and_says_why(labelled: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    group = np.arange(120) % 3
    x = (rng.normal(size=(120, 8)) + 4 * group[:, None]).astype(np.float32)
    told: list[str] = []
    run = cp.fit(x, kind="array", views="auto", label=group if labelled else None, out=tmp_path / "run", say=told.append, **QUIET)
    config = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    record = config["views_chosen"]["x"]
    assert record["why"] in told and f"views {record['name']!r}" in record["why"]
    assert ("of the label above its commonest value" in record["why"]) == labelled
    tried = {row["name"]: row for row in record["measured"]}
    assert {"weak", "default", "strong", "noise", "drop"} <= tried.keys()
    assert all((row["label_preservation"] is not None) == labelled for row in tried.values())
    bar = 0.7 if labelled else 0.42
    keep = [row for row in tried.values() if row["kept"] >= bar]
    assert record["name"] == min(keep, key=lambda row: row["between_views"])["name"]
    assert run.recipe.get("views.transform") == views.named(run.spec, name=record["name"]).transforms[0]
    assert cp.load(tmp_path / "run").config["views_chosen"] == config["views_chosen"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("image", "byol"), ("series", "order"), ("table", "scarf"), ("graph", "diffusion"), ("text", "swap"), ("video", "still")],
)
def test_named_presets_are_trained_both_laws_of_them(kind: str, name: str, tmp_path: Path) -> None:
    run = cp.fit(checks.example(kind), views=name, out=tmp_path / "run", **QUIET)
    first, second = views.named(run.spec, name=name).transforms
    assert run.recipe.get("views.transform") == first
    assert run.recipe.get("views.second") == (second if second != first else None)
    assert run.model is not None and (tmp_path / "run" / "model.safetensors").exists()


def test_crops_of_much_and_of_little_take_other_views() -> None:
    made = recipe_of("image", "swav", "strong").views
    large, little = made.options["global_transform"], made.options["local_transform"]
    assert large.options["rotation"] == 22.5 == little.options["rotation"] and little.options["size"] == 8
    given = checks.example("image").spec.only
    made = recipe_of("image", "swav", "multi_crop").views
    listed = views.named(given, name="multi_crop").transforms
    assert (made.options["global_transform"], made.options["local_transform"]) == (listed[0], listed[-1])
    made = recipe_of("series", "swav", "amplitude").views
    assert made.options["local_transform"].options["share"] == (1.0, 1.0), "what must not be cut is not cut"
    refused("series", "swav", "order", "two different views.*one law")
    made = recipe_of("array", "swav", "noise").views
    assert made.options["global_transform"] == made.options["local_transform"]


def test_copies_by_one_law_and_views_inside_views() -> None:
    made = recipe_of("array", "cacr", "weak", positives=3).views
    assert made.options["global_transform"] == made.options["local_transform"] == use(views.array.corrupt, share=0.15, noise=0.05)
    made = recipe_of("array", "hydra", "weak").views
    assert made.options["views"].options["transform"].options["share"] == 0.15


@pytest.mark.parametrize(
    ("kind", "method", "inside"),
    [
        ("series", "comet", "views.local_transform"), ("text", "star", "views.global_transform"),
        ("text", "whitenedcse", "views.text.twin"), ("audio", "w2v_bert", "audio"), ("graph", "scgc", "takes items as they are"),
        ("interactions", "lightgcl", "views.second"),
        ("volume", "voco", "views.transform"), ("table", "clan", "views.second"), ("text", "mclrec", "views.transform"),
        ("text", "sasrec", "takes items as they are"), ("series", "sscl_forecasting", "views.second"),
    ],
)  # fmt: skip
def test_methods_that_live_by_their_views_keep_them(kind: str, method: str, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "choose", lambda *a, **k: pytest.fail("measured, and then refused"))
    for name in ("weak", "auto"):
        refused(kind, method, name, f"{method}.*{inside}")


def test_presets_that_do_not_fit_and_unknown_names() -> None:
    refused("array", "simclr", "nois", "did you mean 'noise'")
    refused("array", "simclr", "aut", "did you mean 'auto'")
    refused("array", "simclr", "simclr", "no array views called 'simclr'")
    refused("audio", "simclr", "spectrogram", "these data are waves")
    refused("text", "simclr", "dna", "A C G T")
    refused("text", "simclr", "dna_kmers", "encoders of your own")
    refused("graph", "simclr", "low_rank", "lightgcl")
    refused("image", "simclr", "multi_crop", "6 views of an item.*swav")
    refused("image", "cacr", "byol", "two different views", positives=2)
    for wrong in (3, ["weak"], True):
        refused("array", "simclr", wrong, "is not a word")  # type: ignore[arg-type]


def test_of_paired_data_each_modality_has_its_own() -> None:
    weak = recipe_of("paired", "clip", "weak").get("views.transforms")
    strong = recipe_of("paired", "clip", "strong").get("views.transforms")
    assert weak["image"].options["rotation"] == 7.5 and strong["image"].options["rotation"] == 22.5
    assert weak["series"].options["noise"] == 0.05 and strong["series"].options["noise"] == 0.15
    named = recipe_of("paired", "clip", "spectrum").get("views.transforms")
    assert named["series"].make is views.series.frequency and named["image"] == weak["image"], "the other keeps the method's"
    refused("paired", "clip", "order", "of 'series' one is looked at")
    refused("paired", "clip", "speech", "no image views called 'speech'.*no series views called 'speech'")
    refused("paired", "contrastive_ucb", "weak", "takes items as they are")


def test_auto_of_paired_data_measures_each_modality(tmp_path: Path) -> None:
    told: list[str] = []
    run = cp.fit(checks.example("paired"), method="clip", views="auto", out=tmp_path / "run", say=told.append, **QUIET)
    record = run.config["views_chosen"]
    assert record.keys() == {"image", "series"} and all(len(entry["measured"]) >= 3 for entry in record.values())
    assert sum(line.startswith(("image: views", "series: views")) for line in told) == 2
    transforms = run.recipe.get("views.transforms")
    assert all(isinstance(transforms[name], Part) for name in record)


def test_auto_tries_only_what_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    choose = views.choose
    monkeypatch.setattr(views, "choose", lambda *a, one_law, **k: asked.append(one_law) or choose(*a, one_law=one_law, **k))
    for kind, method in (("table", "simclr"), ("table", "swav"), ("paired", "clip")):
        recipe_of(kind, method, "auto")
    assert asked == [False, True, True, True]
    tried = {law: {row["name"] for row in choose(checks.example("table"), one_law=law).table} for law in (True, False)}
    assert tried[False] - tried[True] == {"scarf"}


def size(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.mark.parametrize(
    ("kind", "method", "titles"),
    [
        *((kind, "simclr", ["item", "view 1", "view 2"]) for kind in checks.KINDS),
        ("paired", "clip", ["image", "view of image", "series", "view of series"]),
        ("image", "swav", ["item", "global 1", "global 2", "local 1", "local 2"]),
        ("volume", "voco", ["item", "base 1", "base 2", "crop 1", "crop 2"]),
        ("interactions", "lightgcl", ["item", "user", "positive", "negative", "global user", "global positive", "global negative"]),
        ("text", "mclrec", ["item", "plain", "global 1", "global 2"]),
        ("graph", "scgc", ["item", "view of x"]),
        ("table", "clan", ["item", "normal", "corrupted"]),
    ],
)
def test_every_kind_has_its_picture_in_the_folder(kind: str, method: str, titles: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("matplotlib")
    from counterpoint.run import folder

    given = checks.example(kind)
    seen: list[views.Column] = []
    monkeypatch.setattr(folder, "_columns", lambda *a: seen.extend(_columns(*a)) or seen)

    class Run:
        recipe = registry.get(method)(given.spec)
        config = {"settings": {"seed": 3}}
        folder = tmp_path

    folder.save_views(Run(), given)
    assert [column.title for column in seen] == titles
    width, height = size(tmp_path / "views.png")
    assert width >= 150 * len(titles) and height > 200
    if kind == "text":
        assert seen[0].words is not None and any(seen[0].words(int(i)) in ("river", "bank", "ball", "salt") for i in seen[0].x.flatten())  # type: ignore[operator]


def test_the_report_shows_the_picture_the_choice_and_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cp.fit(checks.example("text"), views="auto", out=tmp_path / "run", **{**QUIET, "report": True})
    page = (tmp_path / "run" / "report.html").read_text()
    record = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["views_chosen"]["x"]
    assert 'class="views"' in page and "data:image/" in page
    section = page[page.index('id="views"') : page.index('id="settings"')]
    assert record["why"].split(":")[0].replace("'", "&#39;").replace("views", "Views") in section
    assert all(f">{row['name']}<" in section for row in record["measured"]) and f">{record['name']}<small>taken" in section


def test_one_line_by_the_command(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    asked = [sys.executable, "-m", "counterpoint", "fit", str(path), "--views", "nois", "--out", str(tmp_path / "run")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "300"})
    assert done.returncode == 2 and "did you mean 'noise'" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
