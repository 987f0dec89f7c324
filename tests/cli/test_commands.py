"""The verbs as a user calls them, and the exact names and shapes that others rely on."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

import counterpoint as cp
from tests.cli.command import command

SCORES = {"knn", "linear", "acc", "nmi", "ari", "uniformity", "effective_rank"}


def test_a_run_folder_holds_what_it_should(finished):
    names = {p.name for p in finished.iterdir()}
    assert {"config.yaml", "model.safetensors", "model.json", "checkpoint", "metrics.jsonl", "embeddings.parquet"} <= names
    assert {"evaluation.json", "health.json", "report.html"} <= names


def test_fit_says_what_it_understood_and_ends_with_scores(arrays, tmp_path):
    said = command("fit", arrays, "--kind", "array", "--epochs", 1, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    first, *_, last = said.out.strip().splitlines()
    assert first.startswith("60 ")
    assert "3 classes" in first
    assert last.endswith("report.html")
    for arm in ("trained", "untrained", "pca", "raw"):
        assert arm in said.out


def test_evaluate_as_json(finished):
    said = command("evaluate", finished, "--json")
    assert said.code == 0, said.err
    result = json.loads(said.out)
    assert isinstance(result["protocol"], str)
    assert result["scores"].keys() >= {"trained", "untrained", "pca", "raw"}
    for arm, scores in result["scores"].items():
        assert scores.keys() >= SCORES, arm
    assert "alignment" in result["scores"]["trained"]
    stored = json.loads((finished / "evaluation.json").read_text())
    assert stored["scores"]["trained"]["knn"] == pytest.approx(result["scores"]["trained"]["knn"])


def test_evaluate_as_a_table(finished):
    said = command("evaluate", finished)
    assert said.code == 0
    assert "trained" in said.out


@pytest.mark.parametrize("name", ["e.parquet", "e.npy", "e.npz"])
def test_embed(finished, arrays, tmp_path, name):
    said = command("embed", finished, arrays, "--out", tmp_path / name)
    assert said.code == 0, said.err
    run = cp.load(finished)
    wanted = run.embed(arrays)
    assert wanted.dtype == np.float32
    if name.endswith("parquet"):
        table = pq.read_table(tmp_path / name)
        got = np.stack(table["vector"].to_numpy())
        assert table["id"].to_pylist() == list(range(60))
    else:
        loaded = np.load(tmp_path / name)
        got = loaded if name.endswith("npy") else loaded["vector"]
    np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_search_finds_the_item_itself(finished, arrays):
    said = command("search", finished, arrays, "-k", 3, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert len(found) == 60
    assert [row["ids"][0] for row in found] == list(range(60))
    assert found[0]["cosines"][0] == pytest.approx(1, abs=1e-3)
    assert command("search", finished, arrays).out.startswith("query 0")


def test_report_is_written_again(finished):
    (finished / "report.html").unlink()
    said = command("report", finished)
    assert said.code == 0, said.err
    assert (finished / "report.html").exists()


def test_methods_list_as_json():
    said = command("methods", "list", "--json")
    cards = json.loads(said.out)
    assert {"simclr", "sup_con", "moco", "byol", "vicreg", "clip", "swav", "dcl"} <= {c["slug"] for c in cards}
    for card in cards:
        assert card.keys() == {"slug", "paper", "family", "kinds", "changes", "needs"}
    assert cards == cp.methods()
    dcl = next(c for c in cards if c["slug"] == "dcl")
    assert dcl["paper"] == 62
    assert dcl["changes"] == ["objective.contrast.loss"]


def test_methods_show_names_every_path():
    said = command("methods", "show", "swav")
    assert said.code == 0
    assert "Sinkhorn" in said.out
    assert re.search(r"objective\.swapped\.compute\.temperature = 0\.1", said.out)


def test_data_list_and_show(arrays):
    found = json.loads(command("data", "list", "--json").out)
    assert "mnist5k" in {entry["name"] for entry in found}
    said = command("data", "show", arrays, "--kind", "array")
    assert said.code == 0, said.err
    assert "60" in said.out


def test_a_runs_config_repeats_it(finished, tmp_path):
    said = command("fit", "--config", finished / "config.yaml", "--out", tmp_path / "again")
    assert said.code == 0, said.err
    one, two = cp.load(finished), cp.load(tmp_path / "again")
    assert not one.recipe.diff(two.recipe)
    for name, tensor in one.model.state_dict().items():
        assert tensor.equal(two.model.state_dict()[name]), name


def test_options_reach_the_recipe(arrays, tmp_path):
    out = tmp_path / "run"
    words = ["--set", "temperature=0.5", "--set", "lr=1e-2", "--set", "objective.contrast.pairs.same_view=false", "--set", "batch=12"]
    said = command("fit", arrays, "--kind", "array", "--epochs", 1, "--out", out, *words)
    assert said.code == 0, said.err
    run = cp.load(out)
    assert run.recipe.get("objective.contrast.loss.temperature") == 0.5
    assert run.recipe.get("objective.contrast.pairs.same_view") is False
    assert run.config["settings"]["lr"] == 0.01
    assert run.config["settings"]["batch"] == 12


def test_python_and_command_are_the_same(arrays, finished, tmp_path):
    run = cp.fit(str(arrays), kind="array", epochs=2, batch=16, out=tmp_path / "run")
    other = cp.load(finished)
    for name, tensor in run.model.state_dict().items():
        assert tensor.equal(other.model.state_dict()[name]), name


def test_labels_given_later(arrays, tmp_path):
    x = np.load(arrays)["x"]
    run = cp.fit(x, kind="array", epochs=1, batch=16, out=tmp_path / "run", report=False)
    assert "knn" not in run.evaluate(x)["scores"]["trained"]
    labels = ["abc"[i % 3] for i in range(60)]
    assert run.evaluate(x, labels)["scores"]["raw"]["knn"] > 0.8


def test_doctor():
    said = command("doctor", "--json")
    found = json.loads(said.out)
    assert said.code == 0, said.out
    assert {t["name"] for t in found["tests"]} == {"loss against a loop", "views of pictures", "a small run", "methods load"}


def test_version_and_help():
    assert command("--version").out.strip() == cp.__version__
    for verb in ("fit", "embed", "evaluate", "search", "report", "demo", "doctor"):
        assert command(verb, "--help").code == 0


WATCH = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("torch", os.environ.get("THP_MEM_ALLOC_ENABLE"))

sys.meta_path.insert(0, Watch())
sys.argv = ["counterpoint", "methods", "list"]
from counterpoint.cli import main
main()
"""


@pytest.mark.parametrize(("given", "seen"), [({}, "1"), ({"THP_MEM_ALLOC_ENABLE": "0"}, "0")])
def test_large_pages_are_asked_for_before_torch_is_loaded(given, seen):
    free = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run([sys.executable, "-c", WATCH], env={**free, **given}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == f"torch {seen}"
