"""What distortions do to an embedding whose answer is known."""

import pytest
import torch
from torch import Generator, Tensor

from counterpoint.core.errors import DataError
from counterpoint.evaluation import robustness


def turn(x: Tensor, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
    return x.flip(-1), {"flip": torch.ones(len(x))}


def noise(x: Tensor, generator: Generator) -> Tensor:
    return x + 3 * torch.randn(x.shape, generator=generator)


def test_an_embedding_that_ignores_order_is_robust_to_turning() -> None:
    x = torch.randn(60, 12, generator=Generator().manual_seed(0))
    sorted_ = robustness(lambda b: b.sort(1).values, x, {"turn": turn, "noise": noise}, k=5, batch=7)
    assert sorted_["turn"] == {"cosine": pytest.approx(1), "neighbour_agreement": 1, "found": 1}
    assert sorted_["noise"]["cosine"] < 1
    assert sorted_["noise"]["found"] < 0.5
    assert robustness(lambda b: b, x, {"turn": turn}, k=5)["turn"]["found"] < 0.2
    assert sorted_["noise"] == robustness(lambda b: b.sort(1).values, x, {"noise": noise}, k=5, batch=7)["noise"]


def test_collapse_and_refusal() -> None:
    x = torch.randn(30, 4)
    flat = robustness(lambda b: torch.ones(len(b), 3), x, {"turn": turn})["turn"]
    assert flat["cosine"] == pytest.approx(1)
    assert flat["found"] == 0
    with pytest.raises(DataError, match="at least 2"):
        robustness(lambda b: b, x[:1], {})
    with pytest.raises(DataError, match="NaN"):
        robustness(lambda b: b * torch.nan, x, {"turn": turn})
