"""Clusters stand in for all negatives: K² products in the place of n² (paper 013)."""

from __future__ import annotations

import torch
from torch import Tensor

from counterpoint.core import similarity
from counterpoint.core.errors import OptionError
from counterpoint.core.options import Part, Positive
from counterpoint.core.recipe import UNKNOWN, RowLoss
from counterpoint.core.similarity import Pairs, Relation, Scores
from counterpoint.losses.rows import finish, guard


def cluster_proxies(scores: Scores, pairs: Pairs, clusters: Tensor, *, temperature: Positive | Part = 1.0, sized: bool = False) -> RowLoss:
    """Positives by edges, negatives by cluster sums (Kulatilleke et al., "Efficient Block Contrastive Learning", 2022), (n,).

    L_i = −log Σ_p w_ip exp(s_ip / t) + mean_k log Σ_{l ≠ k} n_l exp(cos(u_k, u_l) / t),   u_k = Σ_{i in cluster k} z_i, n_l = 1.
    Clusters without members do not exist, nor do rows without a cluster in any u. The constants that the published code keeps for the own
    cluster and for self-loops are left out. Rows without positives do not count. With fewer than two clusters nothing repels.
    Scores that are a matrix are taken as the products of rows with themselves, of which the proxies' cosines are made.
    Chance (scores 0): log of the mean number of the others over the weight of the positives.

    clusters: (n,) int, −1 = none.
    temperature: t > 0; may move over the run.
    sized: whether a cluster counts as often as it has members (n_l), nearer to "all negatives".

    Raises OptionError where anchors and candidates are not the same rows.
    """
    if not scores.selfsame and (scores.dense is None or scores.shape[0] != scores.shape[1]):
        raise OptionError("cluster_proxies contrasts rows with themselves; anchors and candidates must be the same space")
    scaled = scores.divide(temperature)  # type: ignore[arg-type]
    weight = similarity.positive_weight(pairs).to(scores.dtype)
    counted = weight > 0
    known = clusters != UNKNOWN
    names, member = clusters[known].unique(return_inverse=True)
    k = len(names)
    values = -guard(similarity.positives_lse(scaled, pairs), counted)
    others = torch.zeros((), dtype=scores.dtype, device=scores.device)
    if k > 1:
        size = torch.bincount(member, minlength=k).to(scores.dtype) if sized else None
        relation = Relation.all().without(Relation.itself()).weighted(column=size)
        between = _proxies(scores, known, member, k).divide(temperature)  # type: ignore[arg-type]
        values = values + similarity.lse(between, relation).mean()
        others = (similarity.weight(relation, (k, k)).to(scores.dtype)).log().mean()
    return finish(values, counted, others - similarity.ln(weight.clamp(min=1e-30)))


def _proxies(scores: Scores, known: Tensor, member: Tensor, k: int) -> Scores:
    """The cosines of the clusters' sums, (k, k)."""
    if scores.dense is None:
        z = scores.anchors[known]
        sums = torch.zeros(k, z.shape[1], dtype=z.dtype, device=z.device).index_add(0, member, z)
        return similarity.cosine(sums, sums)
    products = scores.matrix()[known][:, known]
    sums = products.new_zeros(k, len(member)).index_add(0, member, products)
    sums = sums.new_zeros(k, k).index_add(0, member, sums.T)
    length = sums.diagonal().clamp(min=1e-30).sqrt()
    return similarity.learned(sums / length / length[:, None])
