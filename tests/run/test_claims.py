"""The runner of claims: arms, verdicts by rule, what the JSON holds; on a tiny claim of a method that is made here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counterpoint import checks
from counterpoint.core import registry
from counterpoint.core.errors import MethodError, OptionError
from counterpoint.core.recipe import Claim
from counterpoint.run import claims, trials
from tests.cli.command import command

TINY = {"epochs": 1, "batch": 32}


def tossed(seed: int, *, bias: float = 0.0, luckier: float = 0.0) -> dict[str, float]:
    """A trial that trains nothing: a number of the seed, plus the bias."""
    return {"luck": float(np.random.default_rng(seed).normal()) + bias + luckier}


@pytest.fixture
def stated(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a method another claim for the moment."""

    def state(slug: str, claim: Claim | None) -> None:
        found = registry.get(slug)
        monkeypatch.setattr(__import__(found.build.__module__, fromlist=["x"]), "CLAIM", claim, raising=False)

    return state


def test_a_claim_runs_all_arms_with_all_seeds_beside_the_references(stated: Any, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    stated("dcl", Claim(data="digits[120]", metric="knn", paper="better", settings=TINY, arms={"hot": {"temperature": 1.0}}))
    result = claims.run_claim("dcl", seeds=(0, 1))
    assert list(result["arms"]) == ["baseline", "hot", "method"]
    assert result["arms"]["baseline"]["changes"] == {"method": "simclr"}
    assert result["arms"]["hot"]["differs"] == ["objective.contrast.loss.temperature"]
    assert result["arms"]["method"]["differs"] == []
    assert {"raw", "pca", "untrained"} == set(result["references"])
    for arm in result["arms"].values():
        assert len(arm["figures"]["knn"]["values"]) == 2
    values = result["arms"]["method"]["figures"]["knn"]
    assert values["mean"] == pytest.approx(np.mean(values["values"]))
    assert result["difference"]["mean"] == pytest.approx(result["method"]["mean"] - result["baseline"]["mean"])
    path = claims.save(result, tmp_path / "results")
    assert json.loads(path.read_text())["verdict"] in ("holds", "not at this scale", "does not hold")


def test_the_same_seed_gives_the_same_figures(stated: Any) -> None:
    stated("dcl", Claim(data="digits[120]", metric="knn", paper="better", settings=TINY))
    first, second = (claims.run_claim("dcl", seeds=(3,)) for _ in range(2))
    assert first["arms"]["method"]["figures"] == second["arms"]["method"]["figures"]
    assert first["verdict"] == "not at this scale", "one seed decides nothing"


def test_a_further_try_stands_beside_the_claim(stated: Any, tmp_path: Path) -> None:
    trial = f"{tossed.__module__}.tossed"
    stated("dcl", Claim(data="nothing", metric="luck", paper="biased", trial=trial, arms={"baseline": {}, "method": {"bias": 1.0}}))
    tried = claims.run_claim("dcl", settings={"luckier": 9.0}, arms=[])
    assert tried["settings"]["luckier"] == 9.0
    with pytest.raises(OptionError, match="run the claim as it is stated"):
        claims.save_try(tried, {"luckier": 9.0}, tmp_path)
    claims.save(claims.run_claim("dcl"), tmp_path)
    for _ in range(2):
        path = claims.save_try(tried, {"luckier": 9.0}, tmp_path)
    kept = json.loads(path.read_text())
    assert [one["changed"] for one in kept["tries"]] == [{"luckier": 9.0}]
    assert "luckier" not in kept["settings"]
    claims.save(claims.run_claim("dcl"), tmp_path)
    assert len(json.loads(path.read_text())["tries"]) == 1, "another run of the claim keeps the tries"


@pytest.mark.parametrize(
    ("mean", "error", "direction", "word"),
    [
        (0.03, 0.01, "higher", "holds"),
        (0.03, 0.02, "higher", "not at this scale"),
        (-0.03, 0.01, "higher", "does not hold"),
        (-0.03, 0.01, "lower", "holds"),
        (0.03, 0.01, "lower", "does not hold"),
        (0.0, 0.0, "higher", "not at this scale"),
        (0.01, 0.0, "higher", "holds"),
        (0.5, None, "higher", "not at this scale"),
    ],
)
def test_the_verdict_is_a_rule(mean: float, error: float | None, direction: str, word: str) -> None:
    assert claims.verdict({"mean": mean, "error": error}, direction) == word


def test_a_trial_stands_in_for_training(stated: Any) -> None:
    trial = f"{__name__}.tossed"
    import sys

    sys.modules.setdefault(__name__, sys.modules[tossed.__module__])
    stated("dcl", Claim(data="nothing", metric="luck", paper="biased", trial=trial, arms={"baseline": {}, "method": {"bias": 1.0}}))
    result = claims.run_claim("dcl")
    assert result["difference"]["mean"] == pytest.approx(1.0)
    assert result["verdict"] == "holds"
    assert result["references"] == {}


def test_a_setting_reaches_a_trial_or_is_refused(stated: Any) -> None:
    trial = f"{tossed.__module__}.tossed"
    stated("dcl", Claim(data="nothing", metric="luck", paper="biased", trial=trial, arms={"baseline": {"bias": 0.0}, "method": {}}))
    assert claims.run_claim("dcl", settings={"bias": 2.0})["difference"]["mean"] == pytest.approx(2.0)
    with pytest.raises(OptionError, match="tossed has no option 'epochs'"):
        claims.run_claim("dcl", settings={"epochs": 9})


def test_what_cannot_be_run_is_refused_in_words(stated: Any) -> None:
    with pytest.raises(MethodError, match=r"simclr states no claim; these do: .*dcl"):
        claims.run_claim("simclr")
    stated("dcl", Claim(data="digits[60]", metric="knn", paper="better", settings=TINY, arms={"hot": {"temperature": 1.0}}))
    with pytest.raises(OptionError, match="has no arm 'hat'; did you mean 'hot'"):
        claims.run_claim("dcl", arms=["hat"])
    stated("dcl", Claim(data="digits[60]", metric="speed", paper="better", settings=TINY))
    said: list[str] = []
    with pytest.raises(OptionError, match="the arm 'baseline' of dcl's claim has no finite figure 'speed'"):
        claims.run_claim("dcl", seeds=(0, 1), say=said.append)
    assert said == [], "the first trial tells, not the last"


def test_a_claim_that_cannot_run_does_not_stop_the_others(stated: Any, tmp_path: Path) -> None:
    trial = f"{tossed.__module__}.tossed"
    stated("dcl", Claim(data="no-such-set", metric="knn", paper="better", settings=TINY))
    stated("swav", Claim(data="nothing", metric="luck", paper="biased", trial=trial, arms={"baseline": {}, "method": {"bias": 1.0}}))
    said = command("claim", "dcl", "swav", "--out", tmp_path)
    assert said.code == 2
    assert "error: dcl: " in said.err
    assert said.err.strip().splitlines()[-1].endswith("1 of 2 claims did not run: dcl")
    assert [path.name for path in tmp_path.iterdir()] == ["swav.json"]


def test_every_stated_claim_names_a_set_and_arms_that_build() -> None:
    from counterpoint.core.recipe import Recipe
    from counterpoint.data import catalogue

    for slug in claims.claims():
        found = registry.find(slug)
        claim = found.claim
        assert claim is not None
        assert claim.paper, slug
        if claim.trial is not None:
            continue
        assert catalogue.known(claim.data), f"{slug}: {claim.data} is no set of the catalogue"
        for name, changes in claims.arms_of(found, claim).items():
            method = registry.get(changes["method"])
            kind = next(entry.kind for entry in catalogue.entries() if entry.name == claim.data.partition("[")[0])
            columns = method.example.columns
            spec = registry.example_spec(kind, columns) if kind in checks.KINDS and method.runs_on(kind) else method.example
            assert isinstance(claims.recipe_of(method, spec, changes), Recipe), f"{slug}: {name}"


def test_paired_differences() -> None:
    gap = trials.paired([1.0, 2.0, 3.0], [0.5, 1.0, 3.5])
    assert gap["mean"] == pytest.approx(1 / 3)
    assert gap["error"] == pytest.approx(np.std([0.5, 1.0, -0.5], ddof=1) / math.sqrt(3))
    from scipy.stats import ttest_1samp

    assert gap["p"] == pytest.approx(ttest_1samp([0.5, 1.0, -0.5], 0.0).pvalue)
    assert trials.paired([1.0], [0.0])["error"] is None
