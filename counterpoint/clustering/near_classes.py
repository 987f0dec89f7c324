"""Which classes are easily taken for an item's own: those of its nearest neighbours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from counterpoint.clustering.neighbours import nearest
from counterpoint.core.errors import LabelError, RequirementError
from counterpoint.core.errors import nearest as like
from counterpoint.core.options import Count
from counterpoint.core.recipe import provides


def classes_near(z: Tensor, labels: Tensor, *, k: Count = 3, look: Count = 16) -> Tensor:
    """(n, k) int64: the class of each row of z (n, d), then the first other classes among its neighbours by cosine, −1 where none is left.

    labels: (n,) int64 ≥ 0.
    k: classes, the own one included.
    look: neighbours looked at.
    """
    if len(z) != len(labels) or bool((labels < 0).any()):
        raise LabelError(f"classes_near: {len(labels)} labels for {len(z)} rows; each row needs a class >= 0")
    look = min(max(look, k), len(z) - 1)
    if look < 1:
        return labels[:, None]
    found = labels[nearest(z, z, k=look, itself=False)[1].cpu()]
    ordered = torch.cat([labels[:, None], found], dim=1)
    value, place = ordered.sort(dim=1, stable=True)
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = value[:, 1:] == value[:, :-1]  # stable: the first of equal classes stays
    repeated = torch.zeros_like(again).scatter(1, place, again)
    first = (repeated.long() * ordered.shape[1] + torch.arange(ordered.shape[1])).argsort(dim=1)
    kept = ordered.masked_fill(repeated, -1).gather(1, first)[:, :k]
    return torch.nn.functional.pad(kept, (0, k - kept.shape[1]), value=-1)


@provides(table=("{table}",))
def nearest_classes(run: Any, *, column: str = "label", k: Count = 3, table: str = "near_classes") -> None:
    """A round: write `classes_near` of the embeddings of all training items into the tables of a run, (all items, k) by item id.

    column: of the classes; items whose class is unknown get −1.
    k: classes, the own one included.
    table: where it goes, for data.near_classes.
    """
    if column not in run.data.columns:
        raise RequirementError(f"the data have no column {column!r}{like(column, run.data.columns)}")
    labels = run.data.columns[column]
    rows = run.embed_all()
    known = labels >= 0
    whole = torch.full((int(run.data.ids.max()) + 1, k), -1, dtype=torch.int64)
    if bool(known.any()):
        whole[run.data.ids[known]] = classes_near(rows.z.cpu()[known], labels[known], k=k)
    run.tables[table] = whole
