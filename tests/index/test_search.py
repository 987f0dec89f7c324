"""The index against brute force; saving, adding, and everything that is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from counterpoint.core.errors import DataError, LabelError, OptionError, OutputError, RunError
from counterpoint.index import Index


def rows(n: int, d: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


def brute(q: np.ndarray, x: np.ndarray, metric: str) -> np.ndarray:
    q, x = q.astype(np.float64), x.astype(np.float64)
    if metric == "euclidean":
        return -np.linalg.norm(q[:, None] - x[None], axis=2)
    if metric == "cosine":
        q, x = q / np.linalg.norm(q, axis=1, keepdims=True), x / np.linalg.norm(x, axis=1, keepdims=True)
    return q @ x.T


@settings(deadline=None, max_examples=25)
@given(n=st.integers(1, 60), q=st.integers(1, 9), metric=st.sampled_from(["cosine", "dot", "euclidean"]), data=st.data())
def test_equals_brute_force(n: int, q: int, metric: str, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, n))
    x, asked = rows(n), rows(q, seed=1)
    ids = np.random.default_rng(2).permutation(1000)[:n]
    scores, found = Index(x, ids, metric=metric).search(asked, k)
    full = brute(asked, x, metric)
    assert scores.shape == found.shape == (q, k)
    assert (scores.dtype, found.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(scores, -np.sort(-full, axis=1)[:, :k], rtol=1e-4, atol=1e-4)
    place = {int(number): i for i, number in enumerate(ids)}
    own = np.array([[full[i, place[int(number)]] for number in row] for i, row in enumerate(found)])
    np.testing.assert_allclose(scores, own, rtol=1e-4, atol=1e-4)


def test_add_and_one_query() -> None:
    x = rows(30)
    whole, grown = Index(x), Index(x[:10])
    grown.add(x[10:20])
    grown.add(torch.as_tensor(x[20:]), list(range(20, 30)))
    assert len(grown) == 30
    assert (grown.search(x, 5)[1] == whole.search(x, 5)[1]).all()
    scores, found = whole.search(x[7], 1)
    assert found.tolist() == [[7]]
    assert scores[0, 0] == pytest.approx(1, abs=1e-6)
    x[:] = 0  # the caller's array may change, the index does not
    assert float(whole.vectors.abs().sum()) > 0


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_saved_and_loaded_is_the_same(tmp_path: Path, metric: str) -> None:
    index = Index(rows(20), np.arange(20) * 3, metric=metric)
    assert index.save(tmp_path / "index.safetensors") == tmp_path / "index.safetensors"
    again = Index.load(tmp_path / "index.safetensors")
    for one, two in zip(index.search(rows(4, seed=3), 6), again.search(rows(4, seed=3), 6)):
        assert (one == two).all()
    assert again.metric == metric
    assert [p.name for p in tmp_path.iterdir()] == ["index.safetensors"]


def test_broken_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "index.safetensors"
    with pytest.raises(RunError, match="does not exist"):
        Index.load(path)
    Index(rows(50)).save(path)
    whole = path.read_bytes()
    for cut in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(RunError, match="cannot be read"):
            Index.load(path)
    path.write_text("not an index")
    with pytest.raises(RunError, match="cannot be read"):
        Index.load(path)
    with pytest.raises(RunError, match="cannot be read"):
        Index.load(tmp_path)
    save_file({"weights": torch.ones(3)}, str(path))
    with pytest.raises(RunError, match="not an index"):
        Index.load(path)
    about = {"format": "counterpoint index 1", "metric": "cosine", "backend": "exact"}
    save_file({"vectors": torch.full((2, 2), torch.nan), "ids": torch.arange(2)}, str(path), about)
    with pytest.raises(RunError, match="broken index: 2 of 2"):
        Index.load(path)
    save_file({"vectors": torch.ones(2, 2), "ids": torch.arange(3)}, str(path), about)
    with pytest.raises(RunError, match="broken index: ids"):
        Index.load(path)
    save_file({"vectors": torch.ones(2, 2), "ids": torch.arange(2)}, str(path), about | {"metric": "taxi"})
    with pytest.raises(RunError, match="broken index"):
        Index.load(path)


def test_nothing_half_written(tmp_path: Path) -> None:
    Index(rows(5)).save(tmp_path / "a")
    before = (tmp_path / "a").read_bytes()
    with pytest.raises(OutputError, match="cannot be written"):
        Index(rows(5)).save(tmp_path / "missing" / "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        Index(rows(9)).save(tmp_path / "folder")
    assert (tmp_path / "a").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "folder"]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_faiss_agrees_with_exact(tmp_path: Path, metric: str) -> None:
    pytest.importorskip("faiss")
    x, asked = rows(2000, 16), rows(50, 16, seed=4)
    exact, graph = Index(x[:1500], metric=metric), Index(x[:1500], metric=metric, backend="faiss")
    exact.add(x[1500:])
    graph.add(x[1500:])
    graph.save(tmp_path / "index")
    for index in (graph, Index.load(tmp_path / "index")):
        scores, found = index.search(asked, 10)
        shared = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), exact.search(asked, 10)[1].tolist())])
        assert shared > 0.95
        np.testing.assert_allclose(scores[:, 0], exact.search(asked, 1)[0][:, 0], atol=1e-3)
    assert Index.load(tmp_path / "index", backend="exact").backend == "exact"


def test_refusals() -> None:
    index = Index(rows(5))
    with pytest.raises(DataError, match="4 dimensions and the index has 6"):
        index.search(rows(2, 4), 1)
    with pytest.raises(DataError, match="at most 5"):
        index.search(rows(2), 6)
    with pytest.raises(DataError, match="1 of 2 queries"):
        index.search(np.where(np.arange(12).reshape(2, 6) == 3, np.nan, rows(2)), 1)
    with pytest.raises(DataError, match="1 of 5 vectors"):
        Index(np.where(np.arange(30).reshape(5, 6) == 3, np.inf, rows(5)))
    with pytest.raises(DataError, match="shape"):
        Index(np.ones(4))
    with pytest.raises(DataError, match="numbers"):
        Index(np.array([["a", "b"]]))
    with pytest.raises(OptionError, match="k = 0"):
        index.search(rows(1), 0)
    with pytest.raises(OptionError, match="metric"):
        Index(rows(2), metric="taxi")  # type: ignore[arg-type]
    with pytest.raises(LabelError, match="occur again, such as 1"):
        Index(rows(3), [0, 1, 1])
    with pytest.raises(LabelError, match="one whole number each"):
        Index(rows(3), [0.5, 1, 2])
    with pytest.raises(LabelError, match="already, such as 2"):
        index.add(rows(1), [2])
    with pytest.raises(DataError, match="2 dimensions"):
        index.add(rows(1, 2))
    assert len(index) == 5
