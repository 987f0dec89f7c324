"""A graph from a file by the same command as anything else: whole, in neighbourhoods, resumed, loaded again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import counterpoint as cp
from counterpoint.core.errors import OptionError

QUIET = {"report": False, "epochs": 2, "accelerator": "cpu"}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """90 nodes of three groups, most links inside them, a sparse bag of words; a split of its own."""
    rng = np.random.default_rng(0)
    group = np.arange(90) % 3
    inside = np.arange(90)[:, None] + 3 * rng.integers(1, 29, (90, 3))
    edges = np.stack([np.arange(90).repeat(3), inside.ravel() % 90], 1)
    x = ((rng.random((90, 30)) < 0.1) | ((rng.random((90, 30)) < 0.3) & (np.arange(30) % 3 == group[:, None]))).astype(np.float32)
    path = tmp_path / "graph.npz"
    np.savez(path, x=x, edges=edges, label=group, split=np.where(np.arange(90) < 60, 0, 2))
    return path


def test_a_graph_file_is_learned_embedded_scored_and_loaded(graph: Path, tmp_path: Path) -> None:
    run = cp.fit(graph, method="simclr", seed=0, out=tmp_path / "run", **QUIET)
    assert run.config["settings"]["neighbours"] == () and "one graph of 90 nodes" in run.config["data"]["understood"]
    assert len(pq.read_table(tmp_path / "run" / "embeddings.parquet")) == 90
    scores = json.loads((tmp_path / "run" / "evaluation.json").read_text())["scores"]
    assert {"trained", "untrained", "raw", "pca"} <= set(scores) and "alignment" in scores["trained"]
    again = cp.load(tmp_path / "run")
    z = again.embed(graph)
    assert z.shape[0] == 90 and np.array_equal(z, run.embed(graph))
    assert again.search(graph, k=3)[1].shape == (90, 3)


def test_neighbourhoods_repeat_and_resume_exactly(graph: Path, tmp_path: Path) -> None:
    how = {"method": "simclr", "seed": 1, "neighbours": (2, 2), "batch": 16, "evaluate": False, **QUIET}
    whole = cp.fit(graph, out=tmp_path / "whole", **how)
    cp.fit(graph, out=tmp_path / "half", pause_after=1, **how)
    rest = cp.fit(resume=tmp_path / "half", evaluate=False, report=False)
    for (name, one), two in zip(whole.model.state_dict().items(), rest.model.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
    other = cp.fit(graph, out=tmp_path / "other", **{**how, "neighbours": ()})
    assert any(not torch.equal(a, b) for a, b in zip(whole.model.parameters(), other.model.parameters(), strict=True))


def test_neighbours_are_refused_where_there_are_no_links(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="neighbours = \\[5\\] is for the nodes of a graph"):
        cp.fit(np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), neighbours=(5,), out=tmp_path / "run", **QUIET)


def test_a_graph_is_contrasted_in_two_passes_as_well(graph: Path, tmp_path: Path) -> None:
    run = cp.fit(graph, method="dcl", seed=0, out=tmp_path / "run", batch=16, effective_batch=48, evaluate=False, **QUIET)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines and np.isfinite(lines[-1]["loss"]) and run.config["settings"]["effective_batch"] == 48


def test_users_and_products_by_the_same_command(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {"interactions": np.concatenate([np.argwhere(rng.random((20, 30)) < 0.2), [[19, 29]]])}
    run = cp.fit(given, method="lightgcl", seed=0, out=tmp_path / "run", **QUIET)
    assert run.embed(given).shape == (50, 64)
