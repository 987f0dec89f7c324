"""Facts of a run in words and charts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from counterpoint.report import facts
from counterpoint.report.folder import Folder, Items


def folder(**fields: object) -> Folder:
    return Folder(Path("run"), **{"metrics": [], **fields})  # type: ignore[arg-type]


def test_facts_say_method_budget_encoder_and_seed() -> None:
    card = {"parameters": 412_000, "encoder": {"use": "encoders.network", "backbone": {"use": "encoders.image.small_cnn", "width": 3}}}
    config = {"method": "dcl", "settings": {"seed": 7}}
    metrics = [{"step": 1, "items_per_second": 10}, {"step": 300, "epoch": 3, "time": 75.0, "items_per_second": 2000}]
    assert facts.facts(folder(metrics=metrics, model=card, config=config)) == [
        ("Method", "dcl", ""),
        ("Trained", "3 epochs", "300 steps"),
        ("Time", "1 min 15 s", "2,000 items per second"),
        ("Encoder", "image.small_cnn", "412,000 parameters"),
        ("Seed", "7", ""),
    ]


def test_facts_of_almost_nothing() -> None:
    assert facts.facts(folder()) == []
    assert facts.facts(folder(metrics=[{"step": 1, "epoch": 0}])) == [("Trained", "1 step", "")]
    assert facts.facts(folder(metrics=[{"step": math.nan}], model={"method": ["x"], "encoder": 3}, config={"settings": [1]})) == []


def test_understood_comes_from_the_card_or_the_configuration() -> None:
    assert facts.understood(folder(config={"data": {"understood": "5 images"}})) == "5 images"
    assert facts.understood(folder(model={"understood": "6 images"}, config={"data": {"understood": "5 images"}})) == "6 images"
    assert facts.understood(folder(model={"understood": {"a": 1}})) == ""


def test_verdict_with_findings() -> None:
    told = facts.verdict(
        {"verdict": "failed", "findings": [{"name": "collapse", "severity": "failed", "what": "all alike", "advice": "lower lr"}]}
    )
    assert told["kind"] == "failed"
    assert told["findings"] == [{"name": "collapse", "severity": "failed", "what": "All alike.", "cause": "", "advice": "Lower lr."}]
    assert facts.verdict({"verdict": "healthy", "findings": ["x", {"severity": "<b>"}]})["findings"][0]["severity"] == "warning"
    assert facts.verdict({"findings": 3})["findings"] == []


def test_arms_come_in_order_and_nested_scores_flat() -> None:
    found = facts.arms(
        {
            "scores": {
                "raw": {"knn": 0.1},
                "without queue": {"knn": 0.2},
                "trained": {"retrieval": {"map": 0.3}, "knn": {"mean": 0.4, "std": 0.1}},
            }
        }
    )
    assert list(found) == ["trained", "without queue", "raw"]
    assert found["trained"] == {"retrieval map": 0.3, "knn": {"mean": 0.4, "std": 0.1}}
    assert facts.arms({"scores": [1]}) == facts.arms({}) == {}
    assert facts.score_names({"a": {"new": 1.0, "nmi": 0.1, "knn": 0.3, "ari": None}}) == ["knn", "nmi", "new"]


def test_curves_of_one_and_of_several_terms() -> None:
    one = [{"step": i, "loss": 1.0 / (i + 1), "chance": 2.0, "terms": {"contrast": {"value": 1.0}}} for i in range(3)]
    assert [c.title for c in facts.curves(one)] == ["Loss"]
    for line in one:
        line["terms"] = {"contrast": {"value": 1.0, "chance": 2.0}, "extra": {"value": 3.0, "chance": None}}
        line["positive"] = line["spread"] = 0.5
    titles = [c.title for c in facts.curves(one)]
    assert titles == ["Loss", "Term contrast", "Term extra", "Mean cosine of pairs", "Spread of the embeddings"]
    assert facts.curves([{"terms": 3, "step": "x"}]) == []


def test_histograms_at_start_middle_and_end_with_or_without_edges() -> None:
    metrics: list[dict[str, object]] = [{"step": i, "histogram": {"positive": [0.0, 1.0], "negative": [0.5, 0.5]}} for i in range(9)]
    assert [c.title for c in facts.histograms(metrics)] == ["At step 0", "At step 4", "At step 8"]
    assert facts.histograms(metrics)[0].hover["head"] == ["−1.00 to 0.00", "0.00 to 1.00"]
    assert [c.title for c in facts.histograms(metrics[:1])] == ["At step 0"]
    assert facts.histograms([{"step": 1, "histogram": {"positive": None}}, {"step": 2, "histogram": "x"}]) == []


@pytest.mark.parametrize(("total", "dropped", "word"), [(3, 0, "Every point"), (50, 0, "3 of 50 items"), (4, 1, "1 item left out")])
def test_map_sentence_says_what_is_left_out(total: int, dropped: int, word: str) -> None:
    assert word in facts.map_sentence(Items(total, dropped, np.arange(3), np.eye(3, dtype=np.float32)))


def test_spread_over_seeds_joins_its_score_and_the_protocol_is_told_in_sentences() -> None:
    evaluation = {"scores": {"raw": {"acc": 0.5, "knn": 0.4}}, "spread": {"raw": {"acc": 0.05}, "pca": {"acc": 0.1}}, "majority": 0.1,
                  "protocol": "kNN k=20; linear: L2; ; clusters"}  # fmt: skip
    assert facts.arms(evaluation) == {"raw": {"acc": {"mean": 0.5, "std": 0.05}, "knn": 0.4}}
    told = facts.protocol(evaluation)
    assert told[:3] == ["kNN k=20.", "Linear: L2.", "Clusters."] and "10.0%" in told[3]
    assert facts.protocol({"protocol": 3, "majority": None}) == []
    assert facts.arms({"scores": {"raw": {"acc": 0.5}}, "spread": [1]}) == {"raw": {"acc": 0.5}}


def test_curves_of_a_run_that_looks_at_its_embeddings_now_and_then() -> None:
    every = [{"step": i, "loss": 1.0, "spread": 0.5 + i / 100, "positive": 0.9, "negative": 0.1} for i in range(1, 7)]
    few = [line if line["step"] in (1, 4, 6) else {"step": line["step"], "loss": 1.0} for line in every]
    found = facts.curves(few)
    assert [chart.title for chart in found] == [chart.title for chart in facts.curves(every)]
    for chart in found:
        assert '<circle class="dot' not in chart.svg and "not written down" not in chart.note, (
            "looks are joined by a line, and none is missed"
        )
    assert [len(chart.hover["x"]) for chart in found] == [6, 3, 3]


def test_embeddings_that_are_not_finite_are_told_beside_each_chart() -> None:
    good, bad = {"spread": 0.9, "positive": 0.8, "negative": 0.1}, {"spread": None, "effective_rank": None}
    found = {c.title: c for c in facts.curves([{"step": i, "loss": 1.0, **(good if i < 3 else bad if i == 5 else {})} for i in range(6)])}
    for title in ("Mean cosine of pairs", "Spread of the embeddings"):
        assert found[title].note.startswith("1 value not finite"), title


def test_the_histogram_in_the_middle_is_that_nearest_to_half_of_the_steps() -> None:
    side = {"positive": [0.5, 0.5], "negative": [1.0, 0.0]}
    metrics = [{"step": step, "histogram": side} for step in (1, 10, 20, 30, 40, 50, 100, 150, 200)]
    assert [c.title for c in facts.histograms(metrics)] == ["At step 1", "At step 100", "At step 200"]
