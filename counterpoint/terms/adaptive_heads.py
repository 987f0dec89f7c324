"""Several projection heads, each with a temperature for every pair (paper 121)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import relu

from counterpoint.core import similarity
from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Part
from counterpoint.core.recipe import Embeddings, Progress, RowLoss, Rows, value_of


def adaptive_heads(
    out: Embeddings,
    tables: Mapping[str, Any],
    now: Progress,
    *,
    pairs: Part,
    loss: Part,
    space: str = "head",
    heat: str = "heat",
) -> RowLoss:
    """The sum over heads c of loss(scores of head c, pairs, heat of a pair) -> RowLoss, such as losses.adaptive.

    heat(i, j) = w · relu(u_i + v_j) + b is the second layer of a network on [z_i ; z_j] whose first layer's halves u, v the model has
    already applied to every row, so that only the pairs the loss asks for are computed.

    pairs: who is positive; the same for all heads.
    loss: the loss of a head; its options may move over the run.
    space: the heads are the spaces "space/…", rows (n, d).
    heat: the halves (u, v) of head c are the space "heat/c", rows (n, 2h); (w, b) is the shared space "heat_out/c", (1, h + 1).
    """
    names = sorted(name.split("/", 1)[1] for name in out if name.startswith(f"{space}/"))
    if not names:
        raise RequirementError(f"the model emits no spaces {space}/…; build it with several heads")
    moving = {name: value_of(value, now) for name, value in loss.options.items() if isinstance(value, Part)}
    results: list[RowLoss] = []
    for name in names:
        rows = out[f"{space}/{name}"]
        network = _network(out[f"{heat}/{name}"], out[f"{heat}_out/{name}"])
        results.append(loss(similarity.cosine(rows.z, rows.z), pairs(rows, rows, tables), network, **moving))
    counted = torch.stack([r.counted for r in results]).all(0)
    values = torch.stack([r.values for r in results]).sum(0)
    chances = [r.chance for r in results if r.chance is not None]
    return RowLoss(torch.where(counted, values, 0 * values), counted, sum(chances) if len(chances) == len(results) else None)


class _Network:
    """heat(i, j): the output for anchors i and candidates j."""

    def __init__(self, first: Tensor, second: Tensor, weight: Tensor, bias: Tensor) -> None:
        self.first, self.second, self.weight, self.bias = first, second, weight, bias

    def __call__(self, anchors: Tensor, candidates: Tensor) -> Tensor:
        # index_select, since the gradient of plain indexing is summed in whatever order the threads come
        hidden = relu(self.first.index_select(0, anchors) + self.second.index_select(0, candidates))
        return (hidden * self.weight).sum(1) + self.bias  # a sum, not a product of matrices: autocast leaves it alone


def _network(halves: Rows, last: Rows) -> _Network:
    u, v = halves.z.float().chunk(2, dim=1)
    output = last.z.float()[0]
    return _Network(u, v, output[:-1], output[-1])
