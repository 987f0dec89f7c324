"""The linear probe against scikit-learn's logistic regression."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from counterpoint.core.errors import DataError, LabelError, OptionError
from counterpoint.evaluation import fit_probe, linear_probe


def data(n: int, d: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Strongly correlated features of very different scales, as embeddings have."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    mix = torch.randn(d, d, generator=g) * torch.logspace(0, -2, d)[:, None]
    return (torch.randn(classes, d, generator=g)[y] + torch.randn(n, d, generator=g)) @ mix * 3 + 7, y


@pytest.mark.parametrize(("n", "d", "classes"), [(200, 10, 3), (300, 5, 2), (40, 90, 4)])
@pytest.mark.parametrize("c", [0.01, 1.0])
def test_same_minimum_as_scikit_learn(n: int, d: int, classes: int, c: float) -> None:
    x, y = data(n, d, classes)
    ours = fit_probe(x, y, grid=[c])
    features = ((x.double() - ours.mean) / ours.scale).numpy()
    # With two classes scikit-learn learns the difference of our two vectors; the same minimum is at twice its C.
    theirs = LogisticRegression(C=c if classes > 2 else 2 * c, tol=1e-10, max_iter=20_000).fit(features, y.numpy())
    np.testing.assert_allclose(torch.softmax(ours.scores(x), 1), theirs.predict_proba(features), atol=1e-4)

    def loss(probability: np.ndarray, weights: np.ndarray) -> float:
        return float(0.5 * (weights**2).sum() - c * np.log(probability[np.arange(n), y]).sum())

    if classes > 2:
        least = loss(theirs.predict_proba(features), theirs.coef_)
        assert loss(torch.softmax(ours.scores(x), 1).numpy(), ours.weights.numpy()) == pytest.approx(least, rel=1e-6)
    assert ours.converged


def test_float32_of_large_data_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data(300, 12, 3)
    double = fit_probe(x, y, grid=[0.1])
    monkeypatch.setattr(torch.Tensor, "double", lambda self: self)  # as for data too large to be doubled
    single = fit_probe(x, y, grid=[0.1])
    assert single.weights.dtype == torch.float32
    torch.testing.assert_close(single.weights, double.weights.float(), atol=2e-3, rtol=0)


def test_wide_features_without_factorised_curvature(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = data(200, 20, 3)
    factorised = fit_probe(x, y, grid=[0.1])
    monkeypatch.setattr("counterpoint.evaluation.probe.WIDEST", 5)
    plain = fit_probe(x, y, grid=[0.1])
    torch.testing.assert_close(plain.weights, factorised.weights, atol=2e-3, rtol=0)


@pytest.mark.parametrize("single", [False, True])
def test_features_that_depend_on_each_other(single: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    g = torch.Generator().manual_seed(0)
    x, y = data(400, 5, 3)
    copies = x[:, torch.randint(5, (300,), generator=g)] * torch.rand(300, generator=g)
    if single:
        monkeypatch.setattr(torch.Tensor, "double", lambda self: self)
    probe = fit_probe(copies, y, grid=[1e-4, 1.0, 1e6])
    assert bool(probe.weights.isfinite().all())
    right, without_copies = (probe.predict(copies) == y).float().mean(), (fit_probe(x, y).predict(x) == y).float().mean()
    assert float(right) >= float(without_copies) - 0.05


def test_c_is_chosen_on_train_only_and_by_merit() -> None:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 2
    noise = torch.randn(400, 150, generator=g)
    noise[:, 0] += 1.2 * y
    strong = fit_probe(noise[:200], y[:200], grid=[1e-4, 1e-2, 1e4])
    assert strong.chosen
    assert strong.c < 1e4
    assert fit_probe(noise[:200], y[:200], grid=[1e-4, 1e-2, 1e4]).c == strong.c
    accuracy = linear_probe(noise[:200], y[:200], noise[200:], y[200:], grid=[1e-4, 1e-2, 1e4])
    assert accuracy == pytest.approx(float((strong.predict(noise[200:]) == y[200:]).double().mean()))


def test_groups_stay_whole_when_c_is_chosen() -> None:
    """Each group has a fingerprint that tells its class. Only a split by groups sees that weak regularisation learns fingerprints."""
    g = torch.Generator().manual_seed(1)
    groups = torch.arange(400) // 4
    y = groups % 2
    fingerprint = torch.randn(100, 60, generator=g)[groups] + 0.01 * torch.randn(400, 60, generator=g)
    x = torch.cat([fingerprint, (y * 2.0 - 1 + 2 * torch.randn(400, generator=g))[:, None]], 1)
    assert fit_probe(x, y, grid=[1e-4, 100.0]).c == 100.0
    assert fit_probe(x, y, grid=[1e-4, 100.0], groups=groups).c == 1e-4


def test_edges() -> None:
    x, y = data(60, 4, 3)
    still = torch.cat([x, torch.full((60, 1), 3.3)], 1)
    moved = torch.cat([x[40:], torch.full((20, 1), 99.0)], 1)  # constant in train, not in the test
    assert linear_probe(still[:40], y[:40], moved, y[40:]) == linear_probe(x[:40], y[:40], x[40:], y[40:])
    assert not fit_probe(x[:3], y[:3]).chosen
    absent = linear_probe(x[:40][y[:40] != 2], y[:40][y[:40] != 2], x[40:], y[40:])
    assert absent <= float((y[40:] != 2).double().mean())
    assert linear_probe(torch.zeros(40, 3), y[:40], torch.zeros(20, 3), y[40:]) == pytest.approx(1 / 3, abs=0.1)
    separable = fit_probe(torch.tensor([[0.0], [0.0], [1.0], [1.0]]), [0, 0, 5, 5], grid=[1e6])
    assert separable.predict(torch.tensor([[0.0], [1.0]])).tolist() == [0, 5]
    with_unknown = y.clone()
    with_unknown[:10] = -1
    assert fit_probe(x, with_unknown, grid=[1.0]).weights.equal(fit_probe(x[10:], y[10:], grid=[1.0]).weights)


def test_refusals() -> None:
    x, y = data(20, 4, 2)
    with pytest.raises(LabelError, match="1 class among"):
        fit_probe(x, [0] * 20)
    with pytest.raises(OptionError, match="grid"):
        fit_probe(x, y, grid=[0.0])
    with pytest.raises(DataError, match="none of the 5"):
        linear_probe(x[:15], y[:15], x[15:], [-1] * 5)
