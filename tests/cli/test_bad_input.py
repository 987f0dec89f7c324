"""Every bad input: one line on stderr, exit code 2, nothing half-written."""

import gzip
import json

import numpy as np
import pytest

from tests.cli.command import command

RNG = np.random.default_rng(0)


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def image_folder(path, sizes=((8, 8),), broken=False, count=6):
    from PIL import Image

    for name in ("a", "b"):
        (path / name).mkdir(parents=True)
        for i in range(count):
            size = sizes[i % len(sizes)]
            Image.fromarray(RNG.integers(0, 255, (*size, 3), dtype=np.uint8)).save(path / name / f"{i}.png")
    if broken:
        (path / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    return path


def csv(path, text):
    path.write_text(text)
    return path


TABLE = "a,b,species\n" + "\n".join(f"{i},{i % 7},{'xyz'[i % 3]}" for i in range(30)) + "\n"


def nan_in(x):
    x = x.copy()
    x[0, 0] = np.nan
    return x


def truncated(path):
    npz(path, x=RNG.normal(size=(60, 6)))
    path.write_bytes(path.read_bytes()[:-200])
    return path


def cut_off(path):
    path.write_bytes(gzip.compress(b'{"body": "x"}\n' * 50)[:-12])
    return path


VECTORS = RNG.normal(size=(30, 5)).astype("float32")
IMAGES = RNG.integers(0, 255, (30, 8, 8, 3), dtype=np.uint8)

CASES = {
    "no such file": lambda t: (["fit", t / "nothing.npz"], "nothing.npz"),
    "no data": lambda t: (["fit"], "data"),
    "an empty folder": lambda t: ((t / "empty").mkdir() or ["fit", t / "empty"], "empty"),
    "an unknown extension": lambda t: (["fit", csv(t / "a.xyz", "hello")], "xyz"),
    "an empty csv": lambda t: (["fit", csv(t / "a.csv", "")], "empty"),
    "a csv of one row": lambda t: (["fit", csv(t / "a.csv", "a,b\n1,2\n")], "one (item|row)"),
    "one image": lambda t: (["fit", npz(t / "a.npz", x=IMAGES[:1])], "one item"),
    "nothing in the array": lambda t: (["fit", npz(t / "a.npz", x=VECTORS[:0])], "empty|0 items|no items"),
    "NaN in an array": lambda t: (["fit", npz(t / "a.npz", x=nan_in(VECTORS)), "--kind", "array"], "NaN|finite"),
    "infinity in an array": lambda t: (["fit", npz(t / "a.npz", x=np.where(VECTORS > 1, np.inf, VECTORS)), "--kind", "array"], "inf"),
    "NaN in images": lambda t: (["fit", npz(t / "a.npz", x=np.full((30, 8, 8), np.nan)), "--kind", "image"], "NaN|finite"),
    "constant columns only": lambda t: (["fit", npz(t / "a.npz", x=np.ones((30, 5))), "--kind", "array"], "constant"),
    "an object array": lambda t: (["fit", npz(t / "a.npz", x=np.array([{}, []] * 10, dtype=object))], "object|pickle"),
    "words in a numeric array": lambda t: (
        ["fit", npz(t / "a.npz", x=np.array(["a", "b"] * 10)), "--kind", "array"],
        "shape|dtype|number|numeric",
    ),
    "a truncated npz": lambda t: (["fit", truncated(t / "a.npz")], "a.npz"),
    "an npz without x": lambda t: (["fit", npz(t / "a.npz", p=VECTORS, q=VECTORS)], "x_train"),
    "labels of the wrong length": lambda t: (["fit", npz(t / "a.npz", x=VECTORS, y=np.arange(7))], "30|7"),
    "an unknown label column": lambda t: (["fit", csv(t / "a.csv", TABLE), "--label", "specis"], "species"),
    "unreadable images": lambda t: (["fit", image_folder(t / "photos", broken=True)], "broken.png"),
    "an unknown method": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--method", "simclear"], "simclr"),
    "an unknown option": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--set", "temprature=0.1"], "temperature"),
    "an option out of range": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--set", "temperature=-1"], "temperature"),
    "an unknown path": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--set", "objective.contrast.los.t=1"], "loss"),
    "a function that is not ours": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--set", "views=os.system"], "os.system"),
    "a set without value": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--set", "batch"], "name=value"),
    "a time that is none": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--time", "soon"], "soon"),
    "epochs below one": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--epochs", "0"], "epochs"),
    "epochs and time": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--epochs", "1", "--time", "5m"], "epochs and time"),
    "an unknown kind": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--kind", "imgae"], "image"),
    "a kind that does not fit": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--kind", "image"], "image"),
    "labels that the method needs": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--method", "sup_con"], "label"),
    "a paired method on one modality": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--method", "clip"], "paired"),
    "text without its column": lambda t: (["fit", csv(t / "a.jsonl", '{"body": "one"}\n{"body": "two"}\n'), "--text", "boddy"], "body"),
    "broken json lines": lambda t: (["fit", csv(t / "a.jsonl", '{"body": "one"}\n{"body": \n'), "--text", "body"], "line 2|a.jsonl"),
    "broken gzip": lambda t: (["fit", cut_off(t / "a.jsonl.gz"), "--text", "body"], "a.jsonl.gz"),
    "a config that is none": lambda t: (["fit", npz(t / "a.npz", x=VECTORS), "--config", csv(t / "c.yaml", "- 1\n")], "c.yaml"),
    "a config with a wrong entry": lambda t: (["fit", "--config", csv(t / "c.yaml", "metod: simclr\n")], "method"),
    "a timm model that is none": lambda t: (["fit", npz(t / "a.npz", x=IMAGES), "--encoder", "resnet999"], "resnet"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fit_refuses(case, tmp_path):
    words, named = CASES[case](tmp_path)
    out = tmp_path / "run"
    before = sorted(p for p in tmp_path.rglob("*"))
    said = command(*words, "--out", out) if "--out" not in words else command(*words)
    assert_refused(said, named)
    assert sorted(p for p in tmp_path.rglob("*")) == before, "something was left behind"


def assert_refused(said, named):
    import re

    assert said.code == 2, f"exit code {said.code}: {said.err or said.out}"
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    assert "Traceback" not in said.err
    assert re.search(named, said.err), said.err


def test_a_folder_that_is_full_is_not_written_over(arrays, finished):
    said = command("fit", arrays, "--kind", "array", "--epochs", 1, "--out", finished)
    assert_refused(said, "--resume")


@pytest.mark.parametrize("verb", ["evaluate", "report"])
def test_a_folder_that_is_no_run(verb, tmp_path):
    assert_refused(command(verb, tmp_path), "config.yaml")
    assert_refused(command(verb, tmp_path / "gone"), "no folder")


def copy(run, target):
    import shutil

    return shutil.copytree(run, target / "run")


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("model.safetensors", b"\x00" * 40, "model.safetensors"),
        ("model.json", b"{", "model.json"),
        ("model.json", b"{}", "model.json"),
        ("config.yaml", b"recipe: [", "config.yaml"),
        ("config.yaml", b"a: 1", "config.yaml"),
    ],
)
def test_a_broken_run_is_named(finished, arrays, tmp_path, name, content, named):
    run = copy(finished, tmp_path)
    (run / name).write_bytes(content)
    assert_refused(command("embed", run, arrays, "--out", tmp_path / "e.parquet"), named)
    assert not (tmp_path / "e.parquet").exists()


def test_a_config_cannot_name_any_function_of_the_machine(finished, arrays, tmp_path):
    run = copy(finished, tmp_path)
    text = (run / "config.yaml").read_text().replace("use: encoders.network", "use: os.system")
    assert "os.system" in text
    (run / "config.yaml").write_text(text)
    assert_refused(command("embed", run, arrays, "--out", tmp_path / "e.parquet"), "os.system")


def test_a_truncated_checkpoint(finished, tmp_path):
    run = copy(finished, tmp_path)
    step = next((run / "checkpoint").glob("step-*"))
    path = step / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert_refused(command("fit", "--resume", run), "broken")


def test_resume_on_other_data(finished, tmp_path):
    other = npz(tmp_path / "other.npz", x=RNG.normal(size=(60, 6)).astype("float32"), y=np.arange(60) % 3)
    assert_refused(command("fit", other, "--resume", finished), "same data")


def test_embedding_data_of_another_shape(finished, tmp_path):
    other = npz(tmp_path / "other.npz", x=RNG.normal(size=(10, 4)).astype("float32"))
    assert_refused(command("embed", finished, other, "--out", tmp_path / "e.parquet"), "6")
    assert not (tmp_path / "e.parquet").exists()


@pytest.mark.parametrize("name", ["e.txt", "e"])
def test_embeddings_to_a_file_of_no_known_kind(finished, arrays, tmp_path, name):
    assert_refused(command("embed", finished, arrays, "--out", tmp_path / name), "parquet")


def test_embeddings_to_a_folder_that_is_not_there(finished, arrays, tmp_path):
    assert_refused(command("embed", finished, arrays, "--out", tmp_path / "gone" / "e.npy"), "gone")


def test_an_absent_extra(arrays, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    path = npz(tmp_path / "a.npz", x=IMAGES)
    assert_refused(command("fit", path, "--encoder", "resnet18", "--out", tmp_path / "run"), r"counterpoint\[image\]")
    assert not (tmp_path / "run").exists()


def test_a_full_disk(arrays, tmp_path, monkeypatch):
    from counterpoint.training import state

    def full(*_args, **_kw):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    said = command("fit", arrays, "--kind", "array", "--epochs", 1, "--out", tmp_path / "run")
    assert_refused(said, "No space left")
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def test_unknown_verbs_and_flags():
    assert_refused(command("fitt"), "fitt")
    assert_refused(command("fit", "--epoch", "3"), "--epoch")
    assert_refused(command("methods", "show", "simclear"), "simclr")


def test_bad_images_are_skipped_on_request(tmp_path):
    said = command(
        "fit",
        image_folder(tmp_path / "photos", broken=True),
        "--on-bad",
        "skip",
        "--epochs",
        1,
        "--out",
        tmp_path / "run",
        "--set",
        "batch=4",
    )
    assert said.code == 0, said.err
    assert "skipped" in said.out
    assert json.loads((tmp_path / "run" / "model.json").read_text())["spec"]["items"] == 12
