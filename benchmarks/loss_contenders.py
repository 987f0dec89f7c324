"""Who is compared by `losses.py`: inputs, our losses by group, a float64 twin of every group, and the peers."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.similarity import Pairs, Relation

WIDTH, TEMPERATURE, CLASSES, TOKENS, QUEUE, NEAREST = 128, 0.1, 10, 64, 4096, 10


@dataclass(frozen=True)
class Data:
    """Inputs of one size: two views (n, d), and what the groups need beside them."""

    first: Tensor
    second: Tensor
    labels: Tensor
    edges: tuple[Tensor, Tensor]
    queue: Tensor

    @property
    def rows(self) -> Tensor:
        return torch.cat([self.first, self.second])


def data(pairs: int, device: str, dtype: torch.dtype) -> Data:
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(pairs, WIDTH, generator=generator).to(device, dtype).requires_grad_() for _ in range(2)]
    labels = torch.randint(0, CLASSES, (pairs,), generator=generator).to(device).repeat(2)
    rows = torch.arange(2 * pairs).repeat_interleave(10)
    columns = (rows + torch.randint(1, 2 * pairs, rows.shape, generator=generator)) % (2 * pairs)
    queue = torch.randn(QUEUE, WIDTH, generator=generator).to(device, dtype)
    return Data(views[0], views[1], labels, (rows.to(device), columns.to(device)), queue)


# ---- ours: statistics of pairs, group by group


def partner(x: Data) -> Tensor:
    n = 2 * len(x.first)
    return torch.arange(n, device=x.first.device).roll(n // 2)


def not_me() -> Relation:
    return Relation.all().without(Relation.itself())


def pairs_of(x: Data, positive: Relation, candidate: Relation | None = None) -> Pairs:
    n = 2 * len(x.first)
    return Pairs(positive, candidate or not_me(), (n, n))


def cosines(x: Data, itself: bool = True) -> similarity.Scores:
    rows = x.rows
    return similarity.cosine(rows, rows if itself else rows * 1.0).divide(TEMPERATURE)


def by_label(x: Data) -> Relation:
    return Relation.equal(x.labels).without(Relation.itself())


def out(scores: similarity.Scores, pairs: Pairs) -> Tensor:
    """SupCon with the mean outside the logarithm."""
    return (similarity.candidates_lse(scores, pairs) - similarity.positive_mean(scores, pairs)).mean()


def pull_and_push(scores: similarity.Scores, pairs: Pairs) -> Tensor:
    """The mean score of the negatives under their softmax, and the positive: what attraction and repulsion are made of."""
    return (similarity.softmax_mean(scores, pairs) - similarity.positive_mean(scores, pairs)).mean()


def blocks(x: Data) -> Tensor:
    """Tokens of one item meet each other only."""
    n = 2 * len(x.first)
    return torch.arange(n, device=x.first.device) // TOKENS


def mixed(x: Data, *, hardest: int = 64, between: int = 32, towards: int = 16) -> Tensor:
    """One view against the other and a queue, with negatives mixed from the hardest."""
    scores = similarity.cosine(x.first, torch.cat([x.second, x.queue]))
    pairs = Pairs(Relation.itself(), Relation.all(), scores.shape)
    return losses.mixed_negatives(scores, pairs, temperature=TEMPERATURE, hardest=hardest, between=between, towards=towards).mean()


OURS: dict[str, Callable[[Data], Tensor]] = {
    "NT-Xent": lambda x: losses.nt_xent(x.first, x.second, temperature=TEMPERATURE),
    "decoupled": lambda x: losses.decoupled_nt_xent(x.first, x.second, temperature=TEMPERATURE),
    "SupCon out": lambda x: losses.sup_con(x.rows, x.labels, temperature=TEMPERATURE),
    "SupCon in": lambda x: losses.supervised(cosines(x), pairs_of(x, by_label(x)), temperature=1.0, mean="in").mean(),
    "index": lambda x: out(cosines(x), pairs_of(x, Relation.index((partner(x) + 1) % len(x.labels)))),
    "equal": lambda x: out(cosines(x), pairs_of(x, by_label(x))),
    "sparse": lambda x: out(cosines(x), pairs_of(x, Relation.sparse(*x.edges))),
    "label mask": lambda x: similarity.contrast(
        cosines(x), pairs_of(x, Relation.index(partner(x)), Relation.all().without(Relation.equal(x.labels)))
    ).mean(),
    "softmax mean": lambda x: pull_and_push(cosines(x), pairs_of(x, Relation.index(partner(x)))),
    "sigmoid": lambda x: losses.sigmoid(cosines(x), pairs_of(x, Relation.index(partner(x))), temperature=1.0, bias=0.0).mean(),
    "directed": lambda x: similarity.contrast(cosines(x, itself=False), pairs_of(x, Relation.index(partner(x)))).mean(),
    "temperature per row": lambda x: similarity.contrast(
        similarity.cosine(*(x.rows,) * 2).divide(torch.full_like(x.labels, TEMPERATURE, dtype=torch.float32)),
        pairs_of(x, Relation.index(partner(x))),
    ).mean(),
    "unbounded": lambda x: similarity.contrast(similarity.dot(*(x.rows,) * 2), pairs_of(x, Relation.index(partner(x)))).mean(),
    "temperature 0.01": lambda x: losses.nt_xent(x.first, x.second, temperature=0.01),
    "tiles of any function": lambda x: out(cosines(x), pairs_of(x, Relation.tile(lambda i, j: ((i - j).abs() < 9) & (i != j)))),
    "blocks": lambda x: out(cosines(x), Pairs(Relation.index(blocks(x) * TOKENS), Relation.all(), (len(x.labels),) * 2, (blocks(x),) * 2)),
    "CLIP": lambda x: losses.clip(x.first, x.second, temperature=TEMPERATURE),
    "CACR": lambda x: losses.cacr(cosines(x).times(TEMPERATURE), pairs_of(x, Relation.index(partner(x)))).mean(),
    "sorting": lambda x: losses.groco(cosines(x).times(TEMPERATURE), pairs_of(x, Relation.index(partner(x))), nearest=NEAREST).mean(),
    "mixing": mixed,
    "reweighted": lambda x: losses.reweighted(cosines(x), pairs_of(x, Relation.index(partner(x))), temperature=1.0).mean(),
}  # fmt: skip
# what is compared with the twin where that is not what is timed: mixtures of one negative are no matter of chance
CHECKED: dict[str, Callable[[Data], Tensor]] = {"mixing": lambda x: mixed(x, hardest=1, between=2, towards=0)}
FULL = {"directed", "temperature per row", "CLIP", "sorting", "mixing"}  # groups whose bare products are all tiles
FORWARD = {"sorting"}  # whose tiles are made once, to find the nearest; gradients are of single pairs


def bare_sides(group: str, x: Data) -> tuple[Tensor, Tensor]:
    """The rows whose products are the floor of a group; one object twice where a half of the tiles is enough."""
    if group == "CLIP":
        return x.first, x.second
    if group == "mixing":
        return x.first, torch.cat([x.second, x.queue])
    rows = x.rows
    return rows, rows * 1.0 if group in FULL else rows


# ---- the twins: whole matrices in float64


def twin(group: str, x: Data) -> Tensor:
    z = x.rows.double()
    n = len(z)
    unit = F.normalize(z)
    S = z @ z.T if group == "unbounded" else unit @ unit.T / (0.01 if group == "temperature 0.01" else TEMPERATURE)
    me = torch.eye(n, dtype=torch.bool, device=z.device)
    mate = F.one_hot(partner(x), n).bool()
    same = x.labels[:, None] == x.labels
    low = -torch.inf
    if group in ("NT-Xent", "temperature per row", "directed", "unbounded", "temperature 0.01"):
        return F.cross_entropy(S.masked_fill(me, low), partner(x))
    if group == "decoupled":
        return (S.masked_fill(me | mate, low).logsumexp(1) - S[mate]).mean()
    if group == "label mask":
        return F.cross_entropy(S.masked_fill(same & ~mate, low), partner(x))
    if group == "softmax mean":
        negatives = S.masked_fill(me | mate, low)
        return ((negatives.softmax(1) * S).sum(1) - S[mate]).mean()
    if group == "CACR":  # of cosines; one positive
        weight = (4 * TEMPERATURE * S).masked_fill(me | mate, low).softmax(1)
        return (2 * TEMPERATURE * ((weight * S).sum(1) - S[mate])).mean()
    if group == "sorting":
        return sorted_twin(unit @ unit.detach().T, me | mate, mate)
    if group == "reweighted":
        negatives = S.masked_fill(me | mate, low)
        return F.softplus((1.5 * negatives).logsumexp(1) - (0.5 * negatives).logsumexp(1) + math.log(n - 2) - S[mate]).mean()
    if group == "mixing":  # the hardest negative once more, twice, as a constant
        a, c = F.normalize(x.first.double()), F.normalize(torch.cat([x.second, x.queue]).double())
        S, target = a @ c.T, torch.arange(len(a), device=a.device)
        hard = S.detach().scatter(1, target[:, None], low).argmax(1)
        return F.cross_entropy(torch.cat([S, (a * c[hard].detach()).sum(1, keepdim=True).expand(-1, 2)], 1) / TEMPERATURE, target)
    if group == "sigmoid":
        return (F.softplus(-S[mate]) + F.softplus(S.masked_fill(me | mate, low)).sum(1)).mean()
    if group == "CLIP":
        matrix = F.normalize(x.first.double()) @ F.normalize(x.second.double()).T / TEMPERATURE
        target = torch.arange(len(matrix), device=z.device)
        return 0.5 * (F.cross_entropy(matrix, target) + F.cross_entropy(matrix.T, target))
    if group == "blocks":
        block = blocks(x)
        inside = (block[:, None] == block).logical_not()
        return (S.masked_fill(inside, low).logsumexp(1) - S[torch.arange(n, device=z.device), block * TOKENS]).mean()
    count = torch.zeros(n, n, device=z.device, dtype=torch.float64)
    if group == "index":
        count[torch.arange(n, device=z.device), (partner(x) + 1) % n] = 1
    elif group == "sparse":
        count[x.edges] = 1
    elif group == "tiles of any function":
        place = torch.arange(n, device=z.device)
        count = (((place[:, None] - place).abs() < 9) & ~me).double()
    else:
        count = (same & ~me).double()
    total = S.masked_fill(me, low).logsumexp(1)
    if group == "SupCon in":
        inside = S.masked_fill(count == 0, low).logsumexp(1) - count.sum(1).log()
        return (total - inside).mean()
    return (total - (S * count).sum(1) / count.sum(1)).mean()


def sorted_twin(S: Tensor, left_out: Tensor, mate: Tensor) -> Tensor:
    """GroCo by whole permutation matrices: the nearest negatives and the positive, ascending, through an odd-even network."""
    low = S.masked_fill(left_out, -torch.inf).topk(NEAREST, 1).values.flip(1)
    values, wires = torch.cat([low, S[mate][:, None]], 1), NEAREST + 1
    whole = torch.eye(wires, dtype=S.dtype, device=S.device).expand(len(S), -1, -1)
    for layer in range(wires):
        matrix = torch.eye(wires, dtype=S.dtype, device=S.device).repeat(len(S), 1, 1)
        for i in range(layer % 2, wires - 1, 2):
            keep = 0.5 + torch.atan(values[:, i + 1] - values[:, i]) / math.pi
            matrix[:, i, i] = matrix[:, i + 1, i + 1] = keep
            matrix[:, i, i + 1] = matrix[:, i + 1, i] = 1 - keep
        values, whole = (matrix @ values[:, :, None])[:, :, 0], matrix @ whole  # row: rank, column: wire
    below = whole[:, :NEAREST].sum(1)
    right = torch.cat([below[:, :NEAREST], 1 - below[:, NEAREST:]], 1)
    return -right.log().mean()


# ---- the peers


def naive_nt_xent(x: Data) -> Tensor:
    unit = F.normalize(x.rows)
    scores = unit @ unit.T / TEMPERATURE
    me = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    return F.cross_entropy(scores.masked_fill(me, -torch.inf), partner(x))


def naive_sup_con(x: Data) -> Tensor:
    unit = F.normalize(x.rows)
    scores = unit @ unit.T / TEMPERATURE
    me = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    same = (x.labels[:, None] == x.labels) & ~me
    log = scores - scores.masked_fill(me, -torch.inf).logsumexp(1, keepdim=True)
    return -((log * same).sum(1) / same.sum(1)).mean()


def naive_clip(x: Data) -> Tensor:
    scores = F.normalize(x.first) @ F.normalize(x.second).T / TEMPERATURE
    target = torch.arange(len(scores), device=scores.device)
    return 0.5 * (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target))


def lightly(x: Data) -> Tensor:
    loss = importlib.import_module("lightly.loss").NTXentLoss(temperature=TEMPERATURE)
    return loss(x.first, x.second)  # type: ignore[no-any-return]


def metric_learning_nt_xent(x: Data) -> Tensor:
    peer = importlib.import_module("pytorch_metric_learning.losses")
    return peer.NTXentLoss(temperature=TEMPERATURE)(x.rows, torch.arange(len(x.first), device=x.first.device).repeat(2))  # type: ignore[no-any-return]


def metric_learning_sup_con(x: Data) -> Tensor:
    peer = importlib.import_module("pytorch_metric_learning.losses")
    return peer.SupConLoss(temperature=TEMPERATURE)(x.rows, x.labels)  # type: ignore[no-any-return]


def open_clip(x: Data) -> Tensor:
    loss = importlib.import_module("open_clip.loss").ClipLoss()
    scale = torch.tensor(1 / TEMPERATURE, device=x.first.device)
    return loss(F.normalize(x.first), F.normalize(x.second), scale)  # type: ignore[no-any-return]


def inf_cl(x: Data) -> Tensor:
    peer = importlib.import_module("inf_cl")
    first, second = F.normalize(x.first), F.normalize(x.second)
    one, two = (peer.cal_flash_loss(a, b, scale=1 / TEMPERATURE, head_dim=WIDTH) for a, b in ((first, second), (second, first)))
    return 0.5 * (one.mean() + two.mean())  # type: ignore[no-any-return]


def memeff(x: Data) -> Tensor:
    peer = importlib.import_module("memeff")
    return peer.MemoryEfficientCLIPLoss(temperature=TEMPERATURE, stable=False)(x.first, x.second)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Peer:
    """group: whose twin it must equal.   module: what it needs.   most: pairs that it can take in about 8 GiB; most_gpu: in 80 GB."""

    group: str
    run: Callable[[Data], Tensor]
    module: str
    most: int
    most_gpu: int


PEERS: dict[str, Peer] = {
    "naive torch": Peer("NT-Xent", naive_nt_xent, "torch", 8192, 32768),
    "lightly": Peer("NT-Xent", lightly, "lightly", 8192, 32768),
    "pytorch-metric-learning": Peer("NT-Xent", metric_learning_nt_xent, "pytorch_metric_learning", 256, 512),
    "naive torch SupCon": Peer("SupCon out", naive_sup_con, "torch", 8192, 32768),
    "pytorch-metric-learning SupCon": Peer("SupCon out", metric_learning_sup_con, "pytorch_metric_learning", 512, 4096),
    "naive torch CLIP": Peer("CLIP", naive_clip, "torch", 8192, 32768),
    "open_clip": Peer("CLIP", open_clip, "open_clip", 8192, 32768),
    "inf-cl": Peer("CLIP", inf_cl, "inf_cl", 0, 1 << 18),
    "memeff": Peer("CLIP", memeff, "memeff", 0, 1 << 18),
}
