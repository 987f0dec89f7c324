"""Two stages, who learns in each, and what the terms of SpecCLIP read."""

from __future__ import annotations

import torch

from counterpoint import checks
from counterpoint.core import registry
from counterpoint.training.step import train_step

SPEC = registry.example_spec("paired")


def _moved(stage: str) -> tuple[set[str], set[str]]:
    """The model's children that a step in this stage moves, and the terms that count."""
    with checks.training(registry.get("specclip"), "paired", lr=1e-2, warmup=0.0) as run:
        run.now = type(run.now)(steps=100, stage=stage)
        run.apply_stage()
        before = {n: p.detach().clone() for n, p in run.model.named_parameters()}
        log = train_step(run, run.data.batch(run.data.ids[:16]))
        return {n.split(".")[0] for n, p in run.model.named_parameters() if not torch.equal(p, before[n])}, set(log["terms"])


def test_each_modality_first_learns_alone_then_the_heads_together() -> None:
    parts, counted = _moved("alone")
    assert parts == {"backbones", "shared", "private", "decoders"} and counted == {"image_itself", "series_itself"}
    parts, counted = _moved("together")
    assert parts == {"shared", "private", "decoders", "translators"}
    assert counted == {"image_itself", "series_itself", "series_from_image", "image_from_series", "image_to_series", "series_to_image"}


def test_the_options_say_what_is_there() -> None:
    whole = registry.get("specclip")(SPEC)
    assert [stage.name for stage in whole.stages] == ["alone", "together"] and not registry.get("specclip")(SPEC, alone=0.0).stages
    assert whole.get("objective.image_to_series.scale") is None and whole.get("objective.image_to_series.loss.temperature") == 0.065
    assert registry.get("specclip")(SPEC, prediction=0.0).objective["image_from_series"].weight == 0.0
    assert registry.get("specclip")(SPEC, frozen=False).stages[1].changes == {}
