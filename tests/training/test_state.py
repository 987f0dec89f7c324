import json

import pytest
import torch

from counterpoint.core.errors import OutputError, RunError
from counterpoint.training import state


def tree():
    return {
        "model": {"w": torch.randn(3, 2), "n": torch.tensor(4)},
        "optimizers": {
            0: {"state": {0: {"step": torch.tensor(3.0)}, 7: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1, "params": [0, 7]}]}
        },
        "columns": {},
        "now": {"step": 3, "stage": ""},
        "flag": True,
        "nothing": None,
        "mask": torch.tensor([True, False]),
        "half": torch.randn(4).bfloat16(),
    }


def same(one, two):
    if isinstance(one, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(v, two[k]) for k, v in one.items())
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


def test_a_tree_comes_back_as_it_was(tmp_path):
    given = tree()
    state.save(tmp_path / "checkpoint", given, 3)
    assert same(given, state.load(tmp_path / "checkpoint"))


def test_a_new_checkpoint_replaces_the_one_before(tmp_path):
    for step in (1, 2):
        state.save(tmp_path / "checkpoint", {"step": step}, step)
    assert state.load(tmp_path / "checkpoint") == {"step": 2}
    assert sorted(p.name for p in (tmp_path / "checkpoint").iterdir()) == ["latest", "step-2"]


def test_a_failed_write_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoint"
    state.save(folder, {"step": 1}, 1)

    def full(*_args, **_kw):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        state.save(folder, {"step": 2, "w": torch.ones(3)}, 2)
    assert state.load(folder) == {"step": 1}
    assert sorted(p.name for p in folder.iterdir()) == ["latest", "step-1"]


def test_a_failed_write_of_the_same_step_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    folder = tmp_path / "checkpoint"
    for value in (1, 2, 3):
        state.save(folder, {"value": value}, 7)
        assert state.load(folder) == {"value": value} and len(list(folder.iterdir())) == 2

    def full(*_args, **_kw):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as changed:
        changed.setattr(state, "save_file", full)
        with pytest.raises(OutputError, match="No space left"):
            state.save(folder, {"value": 4, "w": torch.ones(3)}, 7)
    assert state.load(folder) == {"value": 3} and len(list(folder.iterdir())) == 2
    state.save(folder, {"value": 5}, 8)
    assert sorted(p.name for p in folder.iterdir()) == ["latest", "step-8"]


def test_a_truncated_checkpoint_is_named(tmp_path):
    folder = tmp_path / "checkpoint"
    state.save(folder, tree(), 3)
    path = folder / "step-3" / "tensors.safetensors"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RunError, match=r"tensors\.safetensors is broken"):
        state.load(folder)


@pytest.mark.parametrize("content", ["", "[1]", "{", json.dumps({"w": {"$tensor": "gone"}})])
def test_a_broken_tree_is_named(tmp_path, content):
    folder = tmp_path / "checkpoint"
    state.save(folder, tree(), 3)
    (folder / "step-3" / "tree.json").write_text(content)
    with pytest.raises(RunError, match="broken"):
        state.load(folder)


@pytest.mark.parametrize("content", ["../../etc", "", "step-1/../.."])
def test_a_pointer_to_elsewhere_is_refused(tmp_path, content):
    folder = tmp_path / "checkpoint"
    state.save(folder, tree(), 3)
    (folder / "latest").write_text(content)
    with pytest.raises(RunError):
        state.load(folder)


def test_no_checkpoint(tmp_path):
    with pytest.raises(RunError, match="no checkpoint"):
        state.load(tmp_path / "checkpoint")


def test_only_plain_values_are_saved(tmp_path):
    with pytest.raises(TypeError, match="holds tensors, numbers"):
        state.save(tmp_path / "checkpoint", {"f": object()}, 1)


def test_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    state.write_text(path, "one")
    monkeypatch.setattr(state.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError):
        state.write_text(path, "two")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
