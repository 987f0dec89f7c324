"""An index of embeddings: exact search in tiles; FAISS where asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from counterpoint.clustering.neighbours import Metric, nearest
from counterpoint.core.errors import DataError, LabelError, OptionError, OutputError, RunError, need
from counterpoint.core.options import Count, check

Backend = Literal["exact", "faiss"]
FORMAT = "counterpoint index 1"


class Index:
    """Vectors (n, d) with their ids (n,): `search` gives the ids of the nearest.

    vectors: (n, d) numbers, finite; an array is copied as float32, a tensor is kept where it is, and the search runs there.
    ids: (n,) whole numbers, no two equal; None = 0 … n − 1.
    metric: "cosine", "dot" or "euclidean" (the score is then minus the distance): higher is nearer.
    backend: "exact", in tiles with little memory; "faiss" = approximate, by a graph (HNSW; extra `index`), for millions of vectors.
    """

    def __init__(self, vectors: Any, ids: Any = None, *, metric: Metric = "cosine", backend: Backend = "exact") -> None:
        check(metric, Metric, "Index: metric")
        check(backend, Backend, "Index: backend")
        self.metric, self.backend = metric, backend
        self.vectors = _rows(vectors, "vectors")
        self.ids = _numbers(ids, len(self.vectors))
        self._graph: Any = None
        if backend == "faiss":
            self._graph = _graph(self.vectors, metric)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def width(self) -> int:
        """d, the dimensions of a vector."""
        return int(self.vectors.shape[1])

    def search(self, queries: Any, k: Count = 10) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest vectors of each query, best first: scores (q, k) float32 and ids (q, k) int64. One query (d,) gives (1, k).

        Raises DataError where the width differs, a number is NaN, or there are fewer than k vectors.
        """
        check(k, Count, "search: k")
        asked = _rows(queries, "queries")
        if asked.shape[1] != self.width:
            raise DataError(
                f"queries have {asked.shape[1]} dimensions and the index has {self.width}; both must come from the same encoder"
            )
        if k > len(self):
            raise DataError(f"k = {k} nearest of {len(self)} vectors; k must be at most {len(self)}")
        if self._graph is None:
            scores, index = nearest(asked.to(self.vectors.device), self.vectors, k=k, metric=self.metric)
            return scores.cpu().numpy(), self.ids[index.cpu().numpy()]
        self._graph.hnsw.efSearch = max(64, 2 * k)
        found, index = self._graph.search(_for_graph(asked, self.metric), k)
        if (index < 0).any():  # the graph did not reach k vectors: rare, and never answered with a hole
            return Index(self.vectors, self.ids, metric=self.metric).search(queries, k)
        return -np.sqrt(np.maximum(found, 0)) if self.metric == "euclidean" else found, self.ids[index]

    def add(self, vectors: Any, ids: Any = None) -> None:
        """Add vectors (m, d) with ids (m,) that the index does not have yet; None = numbers above the largest there is."""
        fresh = _rows(vectors, "vectors").to(self.vectors.device)
        if fresh.shape[1] != self.width:
            raise DataError(
                f"vectors have {fresh.shape[1]} dimensions and the index has {self.width}; both must come from the same encoder"
            )
        first = int(self.ids.max()) + 1 if len(self.ids) else 0
        numbers = _numbers(np.arange(first, first + len(fresh)) if ids is None else ids, len(fresh))
        twice = np.isin(numbers, self.ids)
        if twice.any():
            raise LabelError(f"{int(twice.sum())} ids are in the index already, such as {numbers[twice][0]}; ids must be new")
        self.vectors, self.ids = torch.cat([self.vectors, fresh]), np.concatenate([self.ids, numbers])
        if self._graph is not None:
            self._graph.add(_for_graph(fresh, self.metric))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write vectors, ids and metric to one safetensors file, whole or not at all. The graph of "faiss" is built anew by `load`."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        target = Path(path)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        tensors = {"vectors": self.vectors.cpu().contiguous(), "ids": torch.as_tensor(self.ids)}
        try:
            save_file(tensors, str(temporary), {"format": FORMAT, "metric": self.metric, "backend": self.backend})
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except (OSError, SafetensorError) as error:
            temporary.unlink(missing_ok=True)
            raise OutputError(f"{target} cannot be written: {getattr(error, 'strerror', None) or error}") from None
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, backend: Backend | None = None) -> Index:
        """Read what `save` wrote.

        backend: "exact" or "faiss"; None = as it was saved.

        Raises RunError where the file is missing, cut off or not an index.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="pt") as file:
                about = file.metadata() or {}
                if about.get("format") != FORMAT or set(file.keys()) != {"vectors", "ids"}:
                    raise RunError(f"{path} is not an index; it must be a file that Index.save wrote")
                vectors, ids = file.get_tensor("vectors"), file.get_tensor("ids")
        except FileNotFoundError:
            raise RunError(f"{path} does not exist; give the file that Index.save wrote") from None
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} cannot be read as an index ({error}); it is cut off or another kind of file") from None
        check(backend, Backend | None, "Index.load: backend")
        kind: Any = backend or about.get("backend")
        metric: Any = about.get("metric")
        try:
            return cls(vectors, ids, metric=metric, backend=kind)
        except (DataError, OptionError) as error:
            raise RunError(f"{path} is a broken index: {error}") from None


def _rows(given: Any, name: str) -> Tensor:
    """(n, d) float32, finite; a single row (d,) becomes (1, d)."""
    if not isinstance(given, Tensor):
        array = np.asarray(given)
        if array.dtype.kind not in "fiub":
            raise DataError(f"{name} are of type {array.dtype}; they must be numbers")
        given = torch.as_tensor(np.array(array, np.float32))  # a copy: nobody changes the index from outside
    rows = given.detach().float()
    rows = rows[None] if rows.ndim == 1 and name == "queries" else rows
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise DataError(f"{name} have shape {tuple(rows.shape)}; they must be (rows, dimensions ≥ 1)")
    bad = int((~torch.isfinite(rows)).any(1).sum())
    if bad:
        raise DataError(f"{bad} of {len(rows)} {name} hold NaN or infinite numbers; all must be finite")
    return rows


def _numbers(ids: Any, rows: int) -> np.ndarray:
    """(rows,) int64, no two equal."""
    if ids is None:
        return np.arange(rows)
    numbers = np.asarray(ids.cpu() if isinstance(ids, Tensor) else ids)
    if numbers.shape != (rows,) or (rows and numbers.dtype.kind not in "iu"):
        raise LabelError(f"ids of shape {numbers.shape} and type {numbers.dtype} for {rows} vectors; one whole number each is needed")
    unique, counts = np.unique(numbers, return_counts=True)
    if len(unique) < rows:
        raise LabelError(f"{rows - len(unique)} ids occur again, such as {unique[counts > 1][0]}; each vector needs its own")
    return numbers.astype(np.int64)


def _graph(vectors: Tensor, metric: str) -> Any:
    faiss = need("faiss", extra="index")
    kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    graph = faiss.IndexHNSWFlat(int(vectors.shape[1]), 32, kind)
    graph.hnsw.efConstruction = 200
    graph.add(_for_graph(vectors, metric))
    return graph


def _for_graph(rows: Tensor, metric: str) -> np.ndarray:
    rows = torch.nn.functional.normalize(rows, dim=1) if metric == "cosine" else rows
    return rows.cpu().contiguous().numpy()
