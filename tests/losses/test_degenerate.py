"""Every public loss at the ends of its range: autocast and bf16, extremes, equal rows, a row of NaN, nobody to compare with."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from counterpoint import losses
from counterpoint.core import similarity
from counterpoint.core.errors import DataError
from counterpoint.core.recipe import RowLoss
from counterpoint.core.similarity import Pairs, Relation

N, WIDTH = 24, 8
NOBODY = Pairs(Relation.none(), Relation.none(), (N, N))


def _draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


REFERENCE, HEAT = _draw(N, WIDTH, seed=5), _draw(N, N, seed=6)


def _other() -> similarity.Scores:
    return similarity.cosine(REFERENCE, REFERENCE)


def _plain(loss: Callable[..., RowLoss], **options: object) -> Callable[..., RowLoss]:
    return lambda scores, pairs: loss(scores, pairs, **options)


# losses of (Scores, Pairs), with a third argument where they take one
PAIRS: dict[str, Callable[..., RowLoss]] = {
    "active_margin": _plain(losses.active_margin, margin=0.9),
    "adaptive": lambda s, p: losses.adaptive(s, p, lambda i, j: HEAT[i, j], hardest=3),
    "boosted": lambda s, p: losses.boosted(s, p, _other()),
    "boosted relative": lambda s, p: losses.boosted(s, p, _other(), boost="relative", hardest=False),
    "cacr": _plain(losses.cacr),
    "cluster_proxies": lambda s, p: losses.cluster_proxies(s, p, torch.arange(N) % 3),
    "cosine_regression": _plain(losses.cosine_regression),
    "decoupled": _plain(losses.decoupled),
    "decoupled weighted": _plain(losses.decoupled, weighted=True),
    "density_ratio": _plain(losses.density_ratio),
    "density_ratio of ratios": _plain(losses.density_ratio, form="ratio"),
    "groco": _plain(losses.groco),
    "info_nce": _plain(losses.info_nce),
    "info_nce each": _plain(losses.info_nce, several="each", negatives="mean"),
    "margin": _plain(losses.margin),
    "mixed_negatives": _plain(losses.mixed_negatives),
    "multi_similarity": _plain(losses.multi_similarity),
    "neighbouring": _plain(losses.neighbouring),
    "reweighted": _plain(losses.reweighted, prior=0.1),
    "score_gap": _plain(losses.score_gap),
    "score_gap whole": _plain(losses.score_gap, whole=True),
    "sigmoid": _plain(losses.sigmoid),
    "similarity_distillation": lambda s, p: losses.similarity_distillation(s, p, _other()),
    "supervised": _plain(losses.supervised),
    "supervised in": _plain(losses.supervised, mean="in"),
    "transformed": _plain(losses.transformed),
    "triplet": _plain(losses.triplet, margin=0.5),
    "triplet all": _plain(losses.triplet, mining="all", active=False),
    "triplet hardest": _plain(losses.triplet, mining="hardest"),
}
# losses of aligned rows
ROWS: dict[str, Callable[[Tensor, Tensor], RowLoss]] = {
    "barlow_twins": losses.barlow_twins,
    "distillation": lambda a, b: losses.distillation(a / 4, b / 4),  # as small as the cosines that models give
    "distillation centred": lambda a, b: losses.distillation(a / 4, b / 4, centring="batch"),
    "reconstruction": losses.reconstruction,
    "squared_distance": losses.squared_distance,
    "vicreg": losses.vicreg,
    "whitening": losses.whitening,
}
# functions of tensors that give a number
NUMBERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "clip": losses.clip,
    "decoupled_nt_xent": losses.decoupled_nt_xent,
    "nt_xent": losses.nt_xent,
    "sup_con": lambda a, b: losses.sup_con(torch.cat([a, b]), torch.arange(len(a) + len(b)) % 5),
}
NO_LOSSES = {
    "Diagnosis": "what diagnose returns",
    "diagnose": "looks at a loss; tests/losses/test_diagnosis.py runs it on all of them",
    "gradient_scale": "a number that moves, without rows",
}
NO_CHANCE = {
    "adaptive": "the hardest negatives are chosen by score",
    "boosted": "the hardest negative is chosen by score",
    "groco": "the nearest negatives are chosen by score",
    "mixed_negatives": "mixtures are made of the hardest negatives",
    "reconstruction": "depends on the spread of what is predicted",
    "score_gap": "the hardest negative is chosen by score",
    "score_gap whole": "the hardest negative is chosen by score",
    "transformed": "positives are made harder by a random draw",
    "triplet": "triplets are chosen by score",
    "triplet hardest": "triplets are chosen by score",
}
LOUD = {"density_ratio of ratios": "a ratio of 0.001 and less lies on its tangent, with a slope of 1,000: rounding shows there"}


def _value(name: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss of two sets of aligned rows (n / 2, d), as a scalar, with the same draws every time."""

    def run(a: Tensor, b: Tensor) -> Tensor:
        torch.manual_seed(0)
        if name in NUMBERS:
            return NUMBERS[name](a, b)
        if name in ROWS:
            return ROWS[name](a, b).mean()
        rows = torch.cat([a, b])
        return PAIRS[name](similarity.cosine(rows, rows), _pairs()).mean()

    return run


def _pairs() -> Pairs:
    return Pairs(Relation.index(torch.arange(N).roll(N // 2)), Relation.all().without(Relation.itself()), (N, N))


def _views() -> tuple[Tensor, Tensor]:
    a = _draw(N // 2, WIDTH, seed=1)
    return a, a + _draw(N // 2, WIDTH, seed=2)


EVERY = [*PAIRS, *ROWS, *NUMBERS]
every_loss = pytest.mark.parametrize("name", EVERY)


def test_every_public_loss_stands_here() -> None:
    assert {name.split(" ")[0] for name in EVERY} | NO_LOSSES.keys() == set(losses.__all__)


@pytest.mark.parametrize("name", [*PAIRS, *ROWS])
def test_every_loss_has_a_chance_level_or_a_reason(name: str) -> None:
    z = _draw(N, WIDTH, seed=3)
    result = PAIRS[name](similarity.cosine(z, z), _pairs()) if name in PAIRS else ROWS[name](*_views())
    assert (result.chance is None) == (name in NO_CHANCE)


@every_loss
def test_autocast_changes_nothing_and_half_precision_little(name: str) -> None:
    a, b = _views()
    plain, half = _value(name)(a, b), (a.bfloat16(), b.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert _value(name)(a, b).item() == pytest.approx(plain.item(), rel=1e-6)
        assert _value(name)(*half).item() == pytest.approx(_value(name)(*(x.float() for x in half)).item(), rel=1e-6)
        if name not in LOUD:
            assert _value(name)(*half).item() == pytest.approx(plain.item(), rel=1e-2)


@every_loss
@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e18])
def test_extremes_give_no_nan(name: str, factor: float) -> None:
    a, b = ((x * factor).requires_grad_() for x in _views())
    value = _value(name)(a, b)
    if name == "vicreg" and factor > 1:
        assert value == torch.inf  # a covariance of 1e36, squared
        return
    assert torch.isfinite(value)
    assert all(g is None or torch.isfinite(g).all() for g in torch.autograd.grad(value, (a, b), allow_unused=True))


@every_loss
def test_equal_rows_give_no_nan(name: str) -> None:
    a, b = (torch.ones(N // 2, WIDTH, requires_grad=True) for _ in range(2))
    value = _value(name)(a, b)
    assert torch.isfinite(value)
    assert all(g is None or torch.isfinite(g).all() for g in torch.autograd.grad(value, (a, b), allow_unused=True))


@every_loss
@pytest.mark.parametrize("side", [0, 1])
def test_a_row_of_nan_is_seen(name: str, side: int) -> None:
    """Never a finite loss: what is not a number is not the same as what is not there."""
    views = _views()
    views[side][3] = torch.nan
    if name == "reconstruction" and side == 1:
        assert not ROWS[name](*views).counted[3]  # there it is documented to say: unknown
        return
    assert not torch.isfinite(_value(name)(*views))


@pytest.mark.parametrize("name", PAIRS)
def test_a_batch_without_pairs_is_zero_with_a_graph(name: str) -> None:
    z = _draw(N, WIDTH, seed=3).requires_grad_()
    result = PAIRS[name](similarity.cosine(z, z), NOBODY)
    result.mean().backward()
    assert result.mean() == 0 and not result.counted.any() and z.grad is not None and z.grad.abs().max() == 0


@pytest.mark.parametrize("name", [*ROWS, *NUMBERS])
def test_no_rows_are_zero_with_a_graph(name: str) -> None:
    a, b = (torch.zeros(0, WIDTH, requires_grad=True) for _ in range(2))
    if name == "decoupled_nt_xent":
        with pytest.raises(DataError, match="no negatives"):
            losses.decoupled_nt_xent(a, b)
        return
    value = _value(name)(a, b)
    assert value == 0 and torch.autograd.grad(value, a, allow_unused=True)[0] is not None
