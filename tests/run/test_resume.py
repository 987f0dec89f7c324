"""A run that was interrupted ends with the same weights as one that was not."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import counterpoint as cp

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = np.arange(200) % 4
    path = tmp_path_factory.mktemp("given") / "points.npz"
    np.savez(path, x=(rng.normal(size=(200, 8)) + 2 * y[:, None]).astype("float32"), y=y)
    return path


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, two):
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


@pytest.mark.parametrize("method", ["simclr", "moco", "swav", "byol"])
def test_two_and_two_epochs_are_four(source, tmp_path, method):
    options = {"kind": "array", "method": method, "batch": 32, "evaluate": False, "report": False, "accelerator": "cpu"}
    cp.fit(source, epochs=4, out=tmp_path / "whole", **options)
    cp.fit(source, epochs=4, pause_after=2, out=tmp_path / "halves", **options)
    assert not (tmp_path / "halves" / "model.safetensors").exists()
    cp.fit(resume=tmp_path / "halves", evaluate=False, report=False)
    same(weights(tmp_path / "whole"), weights(tmp_path / "halves"))
    lines = [(tmp_path / name / "metrics.jsonl").read_text().count("\n") for name in ("whole", "halves")]
    assert lines[0] == lines[1]


def start(source, out, *more):
    """The command in a process of its own; what it says on stderr goes to a file beside the run."""
    words = [sys.executable, "-m", "counterpoint", "fit", *more, "--quiet"]
    if source is not None:
        words += [str(source), "--kind", "array", "--method", "moco", "--epochs", "16", "--out", str(out)]
        words += ["--set", "batch=32", "--set", "save_every=0", "--set", "accelerator=cpu"]
    with open(f"{out}.stderr", "w") as log:
        return subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=log)


def said(out):
    return (out.parent / f"{out.name}.stderr").read_text()


@pytest.mark.slow
def test_killed_at_five_random_points(source, tmp_path):
    """SIGKILL: nothing is cleaned up. Each time it goes on from its last checkpoint, and the weights at the end are the same."""
    whole = start(source, tmp_path / "whole")
    assert whole.wait(300) == 0, said(tmp_path / "whole")
    kills, chance = 0, random.Random(0)
    running = start(source, tmp_path / "killed")
    while kills < 5:
        latest = tmp_path / "killed" / "checkpoint" / "latest"
        before = latest.read_text() if latest.exists() else ""
        deadline = time.monotonic() + 120
        while running.poll() is None and time.monotonic() < deadline:
            if latest.exists() and latest.read_text() not in ("", before):
                time.sleep(chance.uniform(0, 0.15))
                break
            time.sleep(0.005)
        if running.poll() is not None:
            break
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        kills += 1
        running = start(None, tmp_path / "killed", "--resume", str(tmp_path / "killed"))
    assert kills == 5, f"the run ended after {kills} kills: {said(tmp_path / 'killed')}"
    assert running.wait(300) == 0, said(tmp_path / "killed")
    same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


@pytest.mark.slow
def test_ctrl_c_keeps_the_checkpoint(source, tmp_path):
    running = start(source, tmp_path / "run")
    latest = tmp_path / "run" / "checkpoint" / "latest"
    deadline = time.monotonic() + 120
    while not latest.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    assert len(said(tmp_path / "run").strip().splitlines()) == 1
    assert latest.exists()
