"""The picture before and after training."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterpoint.core.errors import OutputError, RunError

pytest.importorskip("matplotlib")
from counterpoint.report.picture import draw

Make = Callable[..., Path]


def test_a_picture_is_drawn(make_run: Make, tmp_path: Path) -> None:
    folder = make_run(items=40, previews=30, side=8)
    found = draw(folder, tmp_path / "new" / "map.png", way="pca")
    assert found.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    text = draw(folder, tmp_path / "map.svg", way="pca").read_text("utf-8")
    assert "kNN 73.1%" in text and "kNN 40.2%" in text and "Raw pixels" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.svg", "new", "run"]


def test_runs_without_pictures_are_refused(make_run: Make, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="fewer than two pictures"):
        draw(make_run(items=20, preview="text"), tmp_path / "map.png")


def test_pictures_of_two_sizes_and_broken_ones_are_refused(make_run: Make, tmp_path: Path) -> None:
    small, large = make_run("small", items=2, side=8), make_run("large", items=2, side=9)
    tables = [pq.read_table(f / "embeddings.parquet") for f in (small, large)]
    pq.write_table(pa.concat_tables(tables), small / "embeddings.parquet")
    with pytest.raises(RunError, match="different sizes"):
        draw(small, tmp_path / "map.png")
    broken = pa.array([b"\x89PNG\r\n\x1a\n" + bytes(20)] * 2)
    pq.write_table(pa.table({"vector": pa.array(np.eye(2).tolist()), "preview": broken}), large / "embeddings.parquet")
    with pytest.raises(RunError, match="is broken"):
        draw(large, tmp_path / "map.png")


def test_another_ending_is_refused_and_nothing_left(make_run: Make, tmp_path: Path) -> None:
    folder = make_run(items=10, side=8)
    with pytest.raises(OutputError, match=r"ends in \.png or \.svg"):
        draw(folder, tmp_path / "map.xyz", way="pca")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_the_script_says_in_one_line_what_is_wrong(make_run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("picture_script", Path(__file__).parents[2] / "scripts" / "picture.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.main([]) == 2 and capsys.readouterr().err.startswith("usage: ")
    assert script.main([str(tmp_path / "nothing"), "map.png"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert script.main([str(make_run(items=8, side=8)), str(tmp_path / "map.png")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "map.png")
