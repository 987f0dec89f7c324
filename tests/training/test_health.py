import math

import pytest
import torch

from counterpoint import losses, pairs
from counterpoint.core.options import use
from counterpoint.core.recipe import Contrast, Rows
from counterpoint.training import health


def lines(count=10, **figures):
    base = {"loss": 1.0, "spread": 0.9, "effective_rank": 30.0, "terms": {"contrast": {"value": 1.0, "chance": 5.0, "counted_share": 1.0}}}
    return [{"step": i, **base, **figures} for i in range(count)]


def names(verdict):
    return [f["name"] for f in verdict["findings"]]


def test_a_healthy_run():
    assert health.judge(lines()) == {"verdict": "healthy", "findings": []}


@pytest.mark.parametrize(
    ("figures", "name", "verdict"),
    [
        ({"loss": math.nan}, "not a number", "failed"),
        ({"spread": 0.01}, "collapse", "failed"),
        ({"effective_rank": 1.5}, "low rank", "warning"),
        ({"terms": {"c": {"value": 4.99, "chance": 5.0, "counted_share": 1.0}}}, "flat at chance", "failed"),
        ({"terms": {"c": {"value": 1.0, "chance": 5.0, "counted_share": 0.2}}}, "anchors without positives", "warning"),
    ],
)
def test_each_finding_has_a_cause_and_advice(figures, name, verdict):
    found = health.judge(lines(**figures))
    assert names(found) == [name]
    assert found["verdict"] == verdict
    assert found["findings"][0]["cause"]
    assert found["findings"][0]["advice"]


def test_duplicates_and_an_early_stop_are_told():
    assert names(health.judge(lines(), 0.5, "the time was up")) == ["duplicates", "stopped early"]
    assert health.judge([])["verdict"] == "failed"


def test_the_verdict_is_of_the_latest_looks_where_most_lines_have_none():
    plain = [{"step": i, "loss": 1.0, "terms": {}} for i in range(12)]
    looked = {"spread": 0.01, "effective_rank": 30.0}
    assert names(health.judge([{**line, **(looked if i == 5 else {})} for i, line in enumerate(plain)])) == ["collapse"]
    assert names(health.judge(plain)) == []
    better = {"spread": 0.9, "effective_rank": 30.0}
    assert names(health.judge([{**line, **(looked if i < 5 else better if i == 11 else {})} for i, line in enumerate(plain)])) == []


def test_spread_and_rank_of_known_embeddings():
    torch.manual_seed(0)
    even = torch.randn(4000, 16)
    assert health.spread(even) == pytest.approx(1.0, abs=0.01)
    assert health.rank(even) == pytest.approx(16, abs=0.2)
    assert health.spread(torch.ones(100, 16)) < 1e-6
    line = torch.randn(500, 1) * torch.randn(1, 16)
    assert health.rank(line) == pytest.approx(1, abs=1e-3)


def test_share_of_duplicates():
    x = torch.arange(10.0)[:, None].repeat(1, 3)
    assert health.duplicates(x) == 0
    assert health.duplicates(torch.cat([x, x[:5]])) == pytest.approx(5 / 15)


def test_positives_and_negatives_are_those_of_the_pair_rule():
    torch.manual_seed(0)
    item = torch.arange(50)
    base = torch.randn(50, 64)
    z = torch.cat([base, base + 0.01 * torch.randn(50, 64)])
    rows = Rows(z, {"item": item.repeat(2), "view": torch.arange(2).repeat_interleave(50)}, False, ("global", "global"))
    found = health.look({"z": rows}, {"c": Contrast(use(pairs.same), use(losses.info_nce))}, {})
    assert found["positive"] > 0.99
    assert abs(found["negative"]) < 0.05
    assert len(found["histogram"]["positive"]) == health.BINS
    assert sum(found["histogram"]["negative"]) == pytest.approx(1, abs=1e-4)


def test_the_items_that_are_looked_at_are_the_first_by_their_ids():
    item = torch.randperm(1000)[:300]
    item[7] = -1
    view = torch.arange(2).repeat_interleave(300)
    rows = Rows(torch.randn(600, 3), {"item": item.repeat(2), "view": view, "label": torch.arange(600)})
    few = health._few(rows)
    kept = torch.isin(rows.keys["item"], item.sort().values[: health.ITEMS])
    wanted = rows.where(kept)
    assert len(few) == 2 * health.ITEMS and torch.equal(few.z, wanted.z)
    assert set(few.keys) == set(wanted.keys) and all(torch.equal(few.keys[name], key) for name, key in wanted.keys.items())
    assert len(health._few(rows.where(kept & False))) == 0
    one = Rows(torch.randn(3000, 2), {"item": torch.full((3000,), 4)})
    assert len(health._few(one)) == 8 * health.ITEMS
