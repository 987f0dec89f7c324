from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoint import encoders
from counterpoint.core.options import use
from counterpoint.core.recipe import Progress, Update, View
from counterpoint.core.registry import example_spec
from counterpoint.training.step import set_modes

SPEC = example_spec("array")


def rising(now: Progress) -> float:
    return 0.5 + 0.5 * now.share


def views(count: int = 4) -> list[View]:
    return [View(role, {"x": torch.randn(count, 16)}, {"item": torch.arange(count)}) for role in ("global", "global", "local")]


def model_with(**options: object) -> torch.nn.Module:
    return encoders.network(SPEC, teacher=use(encoders.teacher.ema, **options))


@settings(max_examples=20, deadline=None)
@given(momentum=st.floats(0.0, 1.0), steps=st.integers(1, 5))
def test_moves_like_a_float64_twin(momentum: float, steps: int) -> None:
    torch.manual_seed(0)
    model = model_with(momentum=momentum)
    twin = [p.detach().double() for part in (model.teacher.backbone, model.teacher.projector) for p in part.parameters()]
    student = [*model.backbone.parameters(), *model.projector.parameters()]
    for _ in range(steps):
        with torch.no_grad():
            for p in student:
                p.add_(torch.randn_like(p))
        model.teacher.after_update({}, Progress())
        twin = [momentum * t + (1 - momentum) * p.detach().double() for t, p in zip(twin, student, strict=True)]
    for own, expected in zip(model.teacher.parameters(), twin, strict=True):
        torch.testing.assert_close(own.double(), expected, rtol=1e-5, atol=1e-5)


def test_momentum_may_move() -> None:
    model = model_with(momentum=use(rising))
    before = copy.deepcopy([*model.teacher.parameters()])
    with torch.no_grad():
        for p in model.backbone.parameters():
            p.add_(1.0)
    model.teacher.after_update({}, Progress(step=10, steps=10))
    assert all(torch.equal(a, b) for a, b in zip(before, model.teacher.parameters(), strict=True))
    model.teacher.after_update({}, Progress(step=0, steps=10))
    moved = [(b - a).mean().item() for a, b in zip(before, model.teacher.backbone.parameters())]
    assert moved == pytest.approx([0.5] * len(moved), abs=1e-5)


def test_starts_as_a_copy_that_shares_nothing() -> None:
    model = model_with()
    own = dict(model.teacher.backbone.named_parameters())
    for name, p in model.backbone.named_parameters():
        assert torch.equal(p, own[name]) and p.data_ptr() != own[name].data_ptr()
    assert not any(p.requires_grad for p in model.teacher.parameters())
    assert {n for n in model.state_dict() if "_student" in n} == set()


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_norms_use_what_is_asked_for_and_keep_the_students_running_statistics(statistics: str) -> None:
    model = model_with(momentum=0.5, statistics=statistics)
    model.train()
    norms = [m for m in model.teacher.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    assert norms
    assert all(m.training == (statistics == "batch") for m in norms)
    assert not any(m.training for m in model.teacher.modules() if m not in norms)
    set_modes(model, Update(), Progress())
    assert all(m.training == (statistics == "batch") for m in norms), "the step leaves the mode to the teacher"
    out = model(views(), Progress())
    model.teacher.after_update(out, Progress())
    own = dict(model.teacher.backbone.named_buffers())
    for name, buffer in model.backbone.named_buffers():
        assert torch.equal(own[name], buffer)
    model.eval()
    assert not any(module.training for module in model.teacher.modules())


def test_of_one_batch_the_teacher_at_the_start_says_what_the_student_says() -> None:
    for statistics, alike in (("batch", True), ("running", False)):
        model = model_with(statistics=statistics)
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        out = model(views(), Progress())
        assert torch.allclose(out["z"].z, out["teacher"].z, atol=1e-5) == alike


def test_sees_the_views_it_is_told_to() -> None:
    given_views = views()
    rows = model_with(views=("global",))(given_views, Progress())["teacher"]
    assert rows.keys["view"].tolist() == [0] * 4 + [1] * 4 and rows.roles == ("global", "global", "local")
    rows = model_with(views=(2,))(given_views, Progress())["teacher"]
    assert rows.keys["view"].tolist() == [2] * 4


def test_a_copied_model_has_a_teacher_of_its_own_student() -> None:
    model = model_with(momentum=0.0)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for p in twin.backbone.parameters():
            p.fill_(7.0)
    twin.teacher.after_update({}, Progress())
    assert all((p == 7.0).all() for p in twin.teacher.backbone.parameters())
    assert not any((p == 7.0).all() for p in model.teacher.backbone.parameters())
