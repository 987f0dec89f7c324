"""Clusters that learn from their own sharpened assignments: deep embedded clustering (Xie et al., ICML 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.clustering import sharpened, student_t
from counterpoint.core.options import Positive
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Select, pick


def self_training(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    space: Select | str = "h",
    centres: str = "prototypes",
    freedom: Positive = 1.0,
    power: Positive = 2.0,
) -> RowLoss:
    """KL(p_i ‖ q_i), (n,): q = Student-t assignment of the rows to the centres, p = q sharpened over the batch, a constant.

    The target is that of the batch: with all items in a batch it is the one that the paper computes once an epoch.

    space: the rows (n, d).
    centres: a shared space (k, d); gradient reaches both.
    freedom: degrees of freedom of q.
    power: exponent of the sharpening.
    """
    rows = pick(out, space)
    q = student_t(rows.z, out[centres].z, freedom=freedom)
    p = sharpened(q, power=power)
    values = (p * (p.clamp(min=1e-30).log() - q.clamp(min=1e-30).log())).sum(1)
    return RowLoss(values, values.new_ones(len(values)).bool())
