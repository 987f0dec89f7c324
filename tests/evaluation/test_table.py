"""The score table: figures, protocol, and every way in which a figure cannot be had."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from counterpoint import evaluation
from counterpoint.core.errors import DataError, LabelError, OptionError
from counterpoint.evaluation import table

LABELLED = {"knn", "linear", "acc", "nmi", "ari", "recall_at_1", "recall_at_5", "recall_at_10", "map"}
FREE = {"silhouette", "uniformity", "effective_rank"}


def data(n: int = 240, classes: int = 3) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    y = torch.arange(n) % classes
    raw = torch.randn(classes, 20, generator=g)[y] * 0.6 + torch.randn(n, 20, generator=g)
    trained = torch.randn(classes, 8, generator=g)[y] + 0.3 * torch.randn(n, 8, generator=g)
    return {"trained": trained, "untrained": raw @ torch.randn(20, 8, generator=g), "raw": raw}, y


def plain(result: dict[str, Any]) -> None:
    """Everything can be written as strict JSON and is finite."""
    json.dumps(result, allow_nan=False)
    assert all(math.isfinite(v) for arm in result["scores"].values() for v in arm.values())


def test_all_figures_of_all_arms() -> None:
    arms, y = data()
    noise = 0.05 * torch.randn(240, 8, generator=torch.Generator().manual_seed(1))
    result = table(arms, y, views={"trained": (arms["trained"], arms["trained"] + noise)})
    plain(result)
    assert list(result["scores"]) == ["trained", "untrained", "raw", "pca"]
    assert set(result["scores"]["trained"]) == LABELLED | FREE | {"alignment", "neighbour_agreement", "raw_agreement"}
    assert set(result["scores"]["raw"]) == LABELLED | FREE
    assert set(result["scores"]["pca"]) == LABELLED | FREE | {"raw_agreement"}
    assert set(result["spread"]["pca"]) == {"acc", "nmi", "ari", "silhouette"}
    assert result["scores"]["trained"]["knn"] > result["scores"]["raw"]["knn"] > 0.4
    assert (result["classes"], result["n_train"], result["n_test"], result["unlabelled"]) == (3, 192, 48, 0)
    assert result["majority"] == pytest.approx(1 / 3)
    for words in (
        "checkpoint last",
        "kNN k=20, cosine",
        "20% of the items",
        "seed 0",
        "C of {0.0001",
        "standardised by train",
        "one Hungarian match",
    ):
        assert words in result["protocol"]
    assert result == table(arms, y, views={"trained": (arms["trained"], arms["trained"] + noise)})


def test_figures_are_those_of_the_functions() -> None:
    arms, y = data()
    split = np.arange(240) % 4 == 0
    z, test = arms["trained"], torch.as_tensor(split)
    found = table({"trained": z}, y, split.astype(int), k=7, seed=3)["scores"]["trained"]
    assert found["knn"] == evaluation.knn(z[~test], y[~test], z[test], y[test], k=7)
    assert found["linear"] == evaluation.linear_probe(z[~test], y[~test], z[test], y[test], seed=3)
    assert found["acc"] == evaluation.clusters(z[test], y[test], seeds=(3, 4, 5))["acc"][0]
    assert found["map"] == pytest.approx(evaluation.retrieval(z[test], y[test])["map"])
    assert found["uniformity"] == evaluation.uniformity(z[test])
    assert found["effective_rank"] == evaluation.effective_rank(z[test])


def test_pca_sees_train_only() -> None:
    arms, y = data()
    split = np.r_[np.zeros(180), np.ones(60)].astype(int)
    raw = arms["raw"].clone()
    raw[180:] += 100 * torch.eye(20)[:1]  # a direction that only test items have
    own = PCA(8).fit(raw[:180].numpy()).transform(raw.numpy())
    found = table(arms | {"raw": raw}, y, split)["scores"]["pca"]
    expected = evaluation.knn(own[:180], y[:180], own[180:], y[180:])
    assert found["knn"] == pytest.approx(expected, abs=1e-9)
    assert found["effective_rank"] == pytest.approx(evaluation.effective_rank(own[180:]), rel=1e-3)


def test_renaming_classes_changes_nothing() -> None:
    arms, y = data()
    plain_scores = table(arms, y)["scores"]
    for renamed in (torch.tensor([9, 4, 30])[y], np.array(["b", "a", "c"])[y.numpy()]):
        for name, found in table(arms, renamed)["scores"].items():
            assert found == pytest.approx(plain_scores[name]), name


def test_without_labels() -> None:
    arms, _ = data()
    for labels in (None, torch.full((240,), -1)):
        result = table(arms, labels)
        plain(result)
        assert set(result["scores"]["trained"]) == FREE | {"raw_agreement"}
        assert "majority" not in result
        assert (result["classes"], result["n_test"], result["unlabelled"]) == (0, 48, 240)
        assert "k=10 (no classes known)" in result["protocol"]
        assert "kNN" not in result["protocol"]


def test_unknown_labels_are_left_out_and_counted() -> None:
    arms, y = data()
    y = y.clone()
    y[::2] = -1
    split = np.arange(240) % 5 == 0
    result = table(arms, y, split.astype(int))
    plain(result)
    assert (result["n_train"], result["n_test"], result["unlabelled"]) == (96, 24, 120)
    assert "120 of them without a label" in result["protocol"]
    test = torch.as_tensor(split)
    z = arms["trained"]
    assert result["scores"]["trained"]["knn"] == evaluation.knn(z[~test], y[~test], z[test], y[test])


def test_groups_cannot_leak() -> None:
    arms, y = data()
    groups = np.arange(240) // 4
    drawn = table(arms, y, groups=groups)
    assert "groups kept whole" in drawn["protocol"]
    split = (np.arange(240) % 4 == 0).astype(int)
    split[200:] = 1
    given = table(arms, y, split, groups=groups)
    assert given["n_test"] == 40
    assert "50 test items left out because their group is in train" in given["protocol"]
    alone = table(arms, y, groups=np.zeros(240))
    plain(alone)
    assert "knn" not in alone["scores"]["trained"]
    assert "acc" in alone["scores"]["trained"]
    assert "0 labelled test items" in alone["protocol"]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
def test_few_items(n: int) -> None:
    arms, y = data()
    result = table({name: z[:n] for name, z in arms.items()}, y[:n])
    plain(result)
    assert result["n_train"] + result["n_test"] == n


def test_one_class_tiny_classes_and_absent_classes() -> None:
    arms, y = data()
    one = table(arms, torch.zeros(240))
    plain(one)
    assert not LABELLED & set(one["scores"]["trained"])
    assert "1 class among 192" in one["protocol"]
    assert "one class among the items measured" in one["protocol"]
    each = table(arms, torch.arange(240))
    plain(each)
    split = (y == 2).int()
    split[:60] = 1
    absent = table(arms, y, split)  # class 2 is in the test only
    plain(absent)
    share = float((y[split == 1] != 2).double().mean())
    assert 0 < absent["scores"]["trained"]["knn"] <= share
    assert 0 < absent["scores"]["trained"]["linear"] <= share


def test_collapse_constants_and_broken_arms() -> None:
    arms, y = data()
    broken = arms["untrained"].clone()
    broken[3, 1] = torch.nan
    result = table({"trained": torch.ones(240, 8), "untrained": broken, "raw": torch.zeros(240, 3)}, y)
    plain(result)
    assert result["scores"]["untrained"] == {}
    assert result["scores"]["trained"]["uniformity"] == pytest.approx(0, abs=1e-6)
    assert result["scores"]["trained"]["effective_rank"] == pytest.approx(1)
    assert result["scores"]["trained"]["knn"] == pytest.approx(1 / 3, abs=0.01)
    assert result["scores"]["raw"]["effective_rank"] == 0
    for words in ("untrained: 1 of 240 rows are NaN", "trained: no silhouette", "no PCA"):
        assert words in result["protocol"]
    views = torch.full((5, 8), torch.nan)
    result = table({"trained": arms["trained"]}, y, views={"trained": (views, views)})
    assert "alignment" not in result["scores"]["trained"]
    assert "no alignment: 5 of 5 rows" in result["protocol"]


def test_wide_arms_are_hashed_and_keep_their_neighbours() -> None:
    g = torch.Generator().manual_seed(0)
    arms, y = data()
    wide = torch.randn(3, 9000, generator=g)[y] * 0.1 + torch.randn(240, 9000, generator=g)
    result = table({"trained": arms["trained"], "raw": wide}, y)
    assert "raw: 9000 columns hashed to 4096" in result["protocol"]
    split = torch.as_tensor(evaluation.holdout(y)) == 1
    whole = evaluation.knn(wide[~split], y[~split], wide[split], y[split])
    assert result["scores"]["raw"]["knn"] == pytest.approx(whole, abs=0.07)
    assert result["scores"]["raw"]["knn"] > 0.8


def test_limit_draws_rows_and_says_so() -> None:
    arms, y = data()
    result = table(arms, y, limit=40)
    assert (result["n_train"], result["n_test"]) == (40, 40)
    assert "40 of 192 train items drawn" in result["protocol"]


def test_refusals() -> None:
    arms, y = data()
    with pytest.raises(DataError, match="trained 240, raw 3"):
        table({"trained": arms["trained"], "raw": arms["raw"][:3]}, y)
    with pytest.raises(DataError, match="no arms"):
        table({}, y)
    with pytest.raises(LabelError, match="for 240 items"):
        table(arms, y[:7])
    with pytest.raises(LabelError, match="split"):
        table(arms, y, np.full(240, 2))
    with pytest.raises(OptionError, match="k = 0"):
        table(arms, y, k=0)
