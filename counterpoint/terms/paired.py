"""A loss over two aligned sets of rows, as a term: decorrelation, regression, anything that needs no candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from counterpoint.core.options import Part
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Select, pick, value_of
from counterpoint.terms.alignment import align


def paired(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    loss: Part,
    first: Select | str = Select("z", (0,)),  # noqa: B008  (frozen)
    second: Select | str = Select("z", (1,)),  # noqa: B008
) -> RowLoss:
    """Rows of the same item from two selections, given to loss(first (n, d), second (n, d)) -> RowLoss.

    The r-th row of an item on one side meets its r-th row on the other; rows without a partner are left out. Several views of an item
    in one selection are its rows in order.

    loss: the loss over aligned rows, such as losses.vicreg; its options may move over the run.
    first: a space, or a selection of one.
    second: a space, or a selection of one; it may be another space (a teacher, another modality).
    """
    one, two = pick(out, first), pick(out, second)
    left, right = align(one, two)
    moving = {name: value_of(value, now) for name, value in loss.options.items() if isinstance(value, Part)}
    result: RowLoss = loss(one.z[left], two.z[right], **moving)
    return result
