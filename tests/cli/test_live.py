"""The line of progress."""

from __future__ import annotations

import math
from types import SimpleNamespace

from counterpoint.cli.live import Live

PLAIN = {"loss": 3.4111, "chance": 6.23, "epoch": 0, "items_per_second": 12_300.0}
RUN = SimpleNamespace(now=SimpleNamespace(steps=90, epochs=1), spent=2.0, finished=False)


def test_a_line_without_a_look_shows_the_latest(capsys):
    live = Live()
    known = {"spread": 0.981, "effective_rank": 61.2}
    for step, figures in ((10, known), (20, {}), (30, {"spread": None, "effective_rank": None}), (10, known), (20, {"loss": math.nan})):
        live.last = 0.0
        live.step(RUN, {"step": step, **PLAIN, **figures})
    said = [line.split("  ", 1)[1] for line in capsys.readouterr().out.splitlines()]
    same = "loss 3.411 (chance 6.23)  spread 0.98  rank 61  12,300 items/s"
    assert [line.rsplit("  ", 1)[0] for line in said] == [
        same,
        same,
        "loss 3.411 (chance 6.23)  12,300 items/s",
        same,
        "loss nan (chance 6.23)  12,300 items/s",
    ]


def test_the_last_step_is_shown_whether_all_steps_were_taken_or_the_time_was_up(capsys):
    live = Live()
    for step in (10, 20, 30):
        live.step(SimpleNamespace(now=RUN.now, spent=2.0, finished=step == 30), {"step": step, **PLAIN})
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["10/90", "30/90"]
