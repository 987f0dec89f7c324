"""Any general method on any kind of data, by the same command: two steps, and an embedding of the right shape."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from counterpoint import checks
from counterpoint.core import registry
from counterpoint.training.step import train_step

KINDS = ("image", "table", "series", "text", "graph", "volume")
GENERAL = [m.slug for m in registry.methods() if "any" in m.kinds and set(m.needs()) <= {"column label"}]
given = lru_cache(checks.example)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slug", GENERAL)
def test_a_general_method_trains_on(slug: str, kind: str) -> None:
    with checks.training(registry.get(slug), kind, given(kind), lr=1e-3) as run:
        batches = run._batches(0, 0)
        before = {name: p.clone() for name, p in run.model.named_parameters()}
        for _ in range(2):
            assert math.isfinite(float(train_step(run, next(batches))["loss"]))
        assert any(not torch.equal(before[name], p) for name, p in run.model.named_parameters())
        rows = run.model.embed(run.data.batch(run.data.ids[:5]))["embedding"].z
        assert len(rows) == 5 and bool(torch.isfinite(rows).all())


def test_the_matrix_is_not_empty() -> None:
    assert {"simclr", "dcl", "cacr", "swav", "sup_con", "byol", "moco", "vicreg"} <= set(GENERAL)


def test_the_documentation_says_so() -> None:
    from importlib import util

    spec = util.spec_from_file_location("scripts_docs", Path(__file__).parents[2] / "scripts" / "docs.py")
    assert spec is not None and spec.loader is not None
    docs = util.module_from_spec(spec)
    spec.loader.exec_module(docs)
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in docs.kind_table().splitlines()]
    marked = {row[0].strip("`"): {kind for kind, mark in zip(head, row, strict=True) if mark == "•"} for row in rows}
    assert set(KINDS) <= set(head) and all(set(KINDS) <= marked[slug] for slug in GENERAL)
    assert marked["clip"] == {"paired"} and marked["scgc"] == {"graph"}
