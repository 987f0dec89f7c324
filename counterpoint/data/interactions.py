"""Users and the products they chose: a graph with two sides. Its nodes are the items, users first, then products; the table "edges" holds
the choices to learn from, each in both directions, "held_out" (2, e) those kept back (user, product), "users" how many users there are.

The features of a node are the leading singular vectors of the matrix of choices (users × products), so that the product of two of them
approximates whether one chose the other (Cremonesi et al., "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys
2010): a plain baseline. A trained encoder learns a vector per node instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.core.options import Count
from counterpoint.core.recipe import Modality, requires
from counterpoint.data import graph, grids
from counterpoint.data.columns import Raw
from counterpoint.data.dataset import Dataset
from counterpoint.data.request import Found, Request
from counterpoint.data.samplers import _cut
from counterpoint.data.sources import Array, Source
from counterpoint.data.stores import Converted, Dense

FACTORS = 64
around = graph.around


def from_pairs(train: Any, held_out: Any, where: str) -> Found:
    """(e, 2) whole numbers user, product, each from 0; those to learn from, and those kept back (None = none). Repetitions count once."""
    known, kept = (
        _pairs(train, where, "the choices"),
        _pairs(np.empty((0, 2), np.int64) if held_out is None else held_out, where, "held_out"),
    )
    if not len(known):
        raise DataError(f"{where} holds no choices to learn from")
    users, products = (int(n) + 1 for n in np.maximum(known.max(0), kept.max(0, initial=-1)))
    code = known @ np.array([products, 1])
    both = np.isin(kept @ np.array([products, 1]), code)
    if both.any():
        raise DataError(
            f"{where}: {int(both.sum()):,} held-out choices are among those to learn from, such as {tuple(kept[both][0].tolist())}"
        )
    shift = np.array([0, users])
    edges = graph.both_ways(known + shift, users + products, where)
    tables = {"edges": edges, "held_out": torch.from_numpy((kept + shift).T.copy()), "users": users}
    side = Raw(np.repeat([0, 1], [users, products]), ("user", "product"), codes=True)
    hints = {"users": users, "products": products, "links": len(known)}
    return Found(
        "interactions", Array(_factors(known, users, products)), where, {"side": lambda: side}, None, {"side": "side"}, hints, tables=tables
    )


def _pairs(values: Any, where: str, what: str) -> np.ndarray:
    pairs = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu" or (pairs.size and pairs.min() < 0):
        raise DataError(
            f"{where}: {what} must be whole numbers from 0 of shape (choices, 2): user, product; got {pairs.dtype} {pairs.shape}"
        )
    return np.unique(pairs.astype(np.int64), axis=0) if len(pairs) else pairs.astype(np.int64)


def _factors(pairs: np.ndarray, users: int, products: int) -> np.ndarray:
    """(users + products, r): u √s and v √s of the leading singular triples."""
    from scipy.sparse import csr_array
    from sklearn.utils.extmath import randomized_svd

    rank = max(1, min(FACTORS, users, products))
    matrix = csr_array((np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), shape=(users, products))
    u, s, v = randomized_svd(matrix, rank, n_iter=7, random_state=0)
    return np.concatenate([u * np.sqrt(s), v.T * np.sqrt(s)]).astype(np.float32)


@requires(table=("edges",))
def users(dataset: Dataset, generator: Generator, *, batch: Count, drop_last: bool = False) -> Iterator[Tensor]:
    """All users who chose something, in random order.

    batch: users of a batch.
    drop_last: leave out the last users that do not fill a batch.
    """
    there = torch.bincount(dataset.tables["edges"][0], minlength=len(dataset.parts))[: dataset.tables["users"]] > 0
    ids = dataset.ids[torch.isin(dataset.ids, there.nonzero()[:, 0])]
    yield from _cut(ids[torch.randperm(len(ids), generator=generator)], batch, drop_last)


def sample_size(source: Source) -> int:
    return 1000


def fit(rows: np.ndarray, hints: Mapping[str, Any], request: Request, where: str) -> dict[str, Any]:
    """The preparation of choices: how many users and products there are; a trained encoder knows no others."""
    known = {name: int(hints.get(name, 0)) for name in ("users", "products", "links")}
    return {"kind": "interactions", "width": int(np.shape(rows)[1]), **known}


def convert(rows: np.ndarray, found: Mapping[str, Any], threads: int = 1) -> Converted:
    """Factors → (n, r) float32."""
    if np.ndim(rows) != 2 or np.shape(rows)[1] != found["width"]:
        raise DataError(f"the choices have factors of shape {np.shape(rows)}; the preparation is for (nodes, {found['width']})")
    values = np.ascontiguousarray(rows, np.float32)
    return Converted(Dense(torch.from_numpy(values)), grids.not_finite(values))


def modality(found: Mapping[str, Any]) -> Modality:
    return Modality("interactions", (found["width"],), {"users": found["users"], "products": found["products"]})


def words(found: Mapping[str, Any], items: int) -> str:
    return f"{found['links']:,} choices of {found['users']:,} users among {found['products']:,} products"


def preview(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> list[bytes | str]:
    """How strongly a node takes part in the leading patterns of choice."""
    return [f"strength {float(x.norm()):.2f}, pattern {int(x.abs().argmax())}" for x in items]


def flat(items: Tensor, found: Mapping[str, Any], rows: Any = None) -> np.ndarray:
    return items.numpy()
