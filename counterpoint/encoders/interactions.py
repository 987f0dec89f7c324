"""Users and products: a learned vector per node, propagated over who chose what."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Whole
from counterpoint.core.recipe import Graph, Modality
from counterpoint.encoders.graph import adjacency
from counterpoint.encoders.stacking import expect


def lightgcn(modality: Modality, *, width: Count = 64, layers: Whole = 2) -> LightGcn:
    """LightGCN (He et al., SIGIR 2020): e = Σ_l E^l, E^l = D^-1/2 A D^-1/2 E^(l−1), E^0 learned; without layers matrix factorisation.

    Of a view with "factors" (LightGCL, Cai et al., ICLR 2023) the row is Σ_l G^l with G^l = U S Vᵀ E^(l−1), G^0 = E^0: the low rank is
    fed by the layers of the graph itself.

    width: of the vectors.
    layers: number of propagations.
    """
    expect(modality, "interactions", "interactions.lightgcn")
    return LightGcn(int(modality.info["users"]) + int(modality.info["products"]), width, layers)


class LightGcn(nn.Module):
    """See `lightgcn`."""

    def __init__(self, nodes: int, width: int, layers: int) -> None:
        super().__init__()
        self.start = nn.Parameter(nn.init.xavier_uniform_(torch.empty(nodes, width)))
        self.layers, self.width = layers, width

    def forward(self, graph: Graph) -> Tensor:
        if len(graph.parts["x"]) != len(self.start):
            there = len(graph.parts["x"])
            raise RequirementError(
                f"the encoder knows {len(self.start):,} users and products and the graph has {there:,}; it learns no others"
            )
        with torch.autocast(self.start.device.type, enabled=False):
            step = adjacency(graph.parts["edge_index"], len(self.start), graph.parts.get("edge_weight"), loops=False)
            e = total = self.start
            factors = graph.parts.get("factors")
            for layer in range(self.layers):
                if factors is not None:
                    total = total + factors[0] @ (factors[1].T @ e)
                    if layer == self.layers - 1:
                        break
                e = torch.sparse.mm(step, e)
                if factors is None:
                    total = total + e
            return total[graph.rows]
