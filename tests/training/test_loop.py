"""The loop on tiny arrays: budgets, rounds, stages, frozen parts, columns, several updates."""

import json
from dataclasses import replace

import pytest
import torch

from counterpoint import checks
from counterpoint.core import registry, values
from counterpoint.core.errors import OptionError, RunError
from counterpoint.core.options import use
from counterpoint.core.recipe import Round, Stage, Update
from counterpoint.training import loop
from counterpoint.training.loop import Training
from counterpoint.training.settings import Settings

SEEN = []


def note(run, *, word="round"):
    SEEN.append((word, run.now.step, run.now.stage))


def halt(run):
    run.model.backbone.requires_grad_(run.now.step == 0)


def write_column(run, *, name="cluster"):
    rows = run.embed_all()
    assert torch.equal(rows.keys["item"], run.data.ids)
    run.columns[name] = torch.full((int(run.data.ids.max()) + 1,), -1)
    run.columns[name][rows.keys["item"]] = (rows.z[:, 0] > 0).long()


@pytest.fixture
def given():
    return checks.example("array")


@pytest.fixture(autouse=True)
def _fresh():
    SEEN.clear()


def make(given, tmp_path, changes=(), slug="simclr", **settings):
    recipe = registry.get(slug)(given.spec)
    for path, value in dict(changes).items():
        recipe = recipe.at(path, value)
    chosen = {"epochs": 2, "batch": 16, "log_every": 1, "accelerator": "cpu", **settings}
    return Training(recipe, given, Settings(**chosen), tmp_path)


def test_every_step_is_logged_beside_its_chance(given, tmp_path):
    run = make(given, tmp_path)
    run.fit()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[-1]["chance"] == pytest.approx(torch.log(torch.tensor(31.0)).item(), rel=1e-3)
    assert {"loss", "spread", "effective_rank", "positive", "negative", "lr", "items_per_second", "histogram"} <= lines[0].keys()


def test_a_look_at_the_embeddings_comes_with_the_first_lines_every_fifth_and_the_last(given, tmp_path):
    run = make(given, tmp_path, epochs=6, pause_after=3)
    run.fit()
    again = make(given, tmp_path, epochs=6)
    again.resume()
    again.fit()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 18
    assert [line["step"] for line in lines if "spread" in line] == [1, 2, 3, 4, 5, 6, 11, 16, 18]
    assert all(("histogram" in line) == ("effective_rank" in line) == ("spread" in line) for line in lines)


def test_rounds_come_when_they_are_due(given, tmp_path):
    rounds = (
        Round(use(note, word="start"), "start"),
        Round(use(note, word="epoch"), "epoch"),
        Round(use(note, word="two"), 2),
        Round(use(note, word="late"), "epoch", use(values.step, before=0.0, after=1.0, share=0.5)),
    )
    make(given, tmp_path, {"rounds": rounds}).fit()
    steps = {word: [s for w, s, _ in SEEN if w == word] for word in ("start", "epoch", "two", "late")}
    assert steps == {"start": [0], "epoch": [0, 3], "two": [0, 2, 4], "late": [3]}


def test_a_column_that_a_round_writes_is_joined_to_batches_and_saved(given, tmp_path):
    changes = {"rounds": (Round(use(write_column), "epoch"),)}
    run = make(given, tmp_path, changes)
    run.fit()
    batch = next(run._batches(0, 0))
    assert torch.equal(batch.keys["cluster"], run.columns["cluster"][batch.keys["item"]])
    again = make(given, tmp_path, changes)
    again.resume()
    assert torch.equal(again.columns["cluster"], run.columns["cluster"])


def test_stages_change_the_recipe_and_survive_a_break(given, tmp_path):
    stages = (
        Stage("warm", 0.5, {"objective.contrast.loss.temperature": 1.0}),
        Stage("cold", 0.5, {"objective.contrast.loss.temperature": 0.1}),
    )
    changes = {"stages": stages, "rounds": (Round(use(note), "stage"), Round(use(note, word="step"), 1))}
    run = make(given, tmp_path, changes, epochs=4)
    run.fit()
    assert [(s, stage) for w, s, stage in SEEN if w == "round"] == [(0, "warm"), (6, "cold")]
    assert run.recipe.get("objective.contrast.loss.temperature") == 0.1
    again = make(given, tmp_path, changes, epochs=4)
    again.resume()
    assert again.now.stage == "cold"
    assert again.recipe.get("objective.contrast.loss.temperature") == 0.1


def test_a_run_by_time_enters_its_stages_in_the_midst_of_a_pass(given, tmp_path, monkeypatch):
    """A long pass may be all there is time for; the second stage has its share of it nevertheless."""
    found = []
    for ahead in (False, True):
        SEEN.clear()
        stages = (Stage("warm", 0.5, {"objective.contrast.loss.temperature": 1.0}), Stage("cold", 0.5))
        changes = {"stages": stages, "rounds": (Round(use(note), "stage"), Round(use(note, word="epoch"), "epoch"))}
        run = make(given, tmp_path / str(ahead), changes, epochs=None, time=1000, batch=6)
        monkeypatch.setattr(run, "_budget", lambda limit, run=run: setattr(run, "now", replace(run.now, steps=6)))
        run.ahead = ahead
        run.fit()
        assert run.per_epoch == 8 and run.now.step == 6
        assert SEEN == [("round", 0, "warm"), ("epoch", 0, "warm"), ("round", 3, "cold"), ("epoch", 3, "cold")]
        found.append(run.model.state_dict())
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_frozen_part_stands_still_for_as_long_as_it_is_frozen(given, tmp_path):
    frozen = Update(frozen={"backbone": use(values.step, before=1.0, after=0.0, steps=2)})
    run = make(given, tmp_path, {"updates": (frozen,)})
    before = {n: p.clone() for n, p in run.model.named_parameters()}
    batches = run._batches(0, 0)
    from counterpoint.training.step import train_step

    for step in range(3):
        run.now = replace(run.now, step=step)
        train_step(run, next(batches))
        moved = {n.split(".")[0] for n, p in run.model.named_parameters() if not torch.equal(p, before[n])}
        assert moved == ({"projector"} if step < 2 else {"backbone", "projector"})


def test_who_learns_is_asked_again_where_it_may_have_changed(given, tmp_path):
    """It is read once, not at every step: a stage, a value that moves, a round and an eval mode must not be missed."""
    from counterpoint.training.step import parameters, set_modes

    def modes(model):
        return [module.training for module in model.modules()]

    thaws = Update(frozen={"backbone": use(values.step, before=1.0, after=0.0, steps=3)})
    changes = {"stages": (Stage("one", 0.5), Stage("two", 0.5, {"updates": (Update(train=("projector",)),)}))}
    for name, updates in (("stages", changes), ("value", {"updates": (thaws,)}), ("round", {"rounds": (Round(use(halt), at=4),)})):
        run = make(given, tmp_path / name, changes=updates)
        seen, real = [], loop.train_step

        def spied(run, *args, real=real, seen=seen):
            made = real(run, *args)
            found = modes(run.model)
            update = run.recipe.updates[0]
            wanted = parameters(run.model, update, run.now)
            assert list(map(id, run.roles.learning(run, 0))) == list(map(id, wanted))
            set_modes(run.model, update, run.now)
            assert modes(run.model) == found
            seen.append(len(wanted))
            if run.now.step % 2:
                run.model.eval()  # somebody looked at the model in between
            return made

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "train_step", spied)
            run.fit()
        assert len(set(seen)) == 2, (name, seen)


def test_several_updates_train_their_own_parts(given, tmp_path):
    updates = (Update(("backbone",)), Update(("projector",), sign=-1))
    run = make(given, tmp_path, {"updates": updates})
    run.fit()
    assert len(run._optimizers) == 2
    sizes = [sum(p.numel() for g in o.param_groups for p in g["params"]) for _, o in run._optimizers.values()]
    children = dict(run.model.named_children())
    assert sizes == [sum(p.numel() for p in children[n].parameters()) for n in ("backbone", "projector")]


def test_time_becomes_steps_and_leaves_no_trace(given, tmp_path):
    run = make(given, tmp_path, epochs=None, time=2)
    run.fit()
    assert run.finished
    assert run.now.steps == run.now.step or run.stopped
    plain = make(given, tmp_path / "b", epochs=None, time=1000)
    before = {n: p.clone() for n, p in plain.model.named_parameters()}
    plain._budget(1.0)
    assert all(torch.equal(p, before[n]) for n, p in plain.model.named_parameters())
    assert plain.now.step == 0


def test_a_first_step_that_compiles_does_not_take_the_time_of_all_others(given, tmp_path, monkeypatch):
    clock, taken = [0.0], []

    def step(*_args):
        taken.append(3.0 if not taken else 0.01)
        clock[0] += taken[-1]

    monkeypatch.setattr(loop, "train_step", step)
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    run = make(given, tmp_path, epochs=None, time=1000)
    run._budget(6.0)
    assert run.now.steps == pytest.approx((0.93 * 6.0 - sum(taken)) / 0.01, abs=2) and len(taken) < 10


def test_the_last_step_of_a_run_whose_time_is_up_is_logged_and_looked_at(given, tmp_path, monkeypatch):
    """A collapse since the last look would be missed otherwise."""
    clock, taken, step = [0.0], [], loop.train_step

    def late(*args):
        taken.append(1)
        clock[0] += 1.0 if len(taken) < 20 else 1000.0
        return step(*args)

    monkeypatch.setattr(loop, "train_step", late)
    monkeypatch.setattr(loop.time, "monotonic", lambda: clock[0])
    run = make(given, tmp_path, epochs=None, time=200, log_every=4)
    run.fit()
    assert run.stopped and run.now.step < run.now.steps
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == run.now.step and run.now.step % 4 and "spread" in last


def test_the_seed_decides_everything(given, tmp_path):
    def weights(name, seed):
        run = make(given, tmp_path / name, seed=seed)
        run.fit()
        return run.model.state_dict()

    one, two, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert all(torch.equal(one[n], two[n]) for n in one)
    assert any(not torch.equal(one[n], other[n]) for n in one)


def test_effective_batch_contrasts_more_items_than_pass_at_once(given, tmp_path):
    run = make(given, tmp_path, batch=8, effective_batch=24)
    run.fit()
    assert run.now.step == 4
    assert run.metrics.history[-1]["chance"] == pytest.approx(torch.log(torch.tensor(47.0)).item(), rel=1e-3)


def test_a_checkpoint_of_another_recipe_is_refused(given, tmp_path):
    make(given, tmp_path).fit()
    with pytest.raises(RunError, match="does not fit"):
        make(given, tmp_path, slug="byol").resume()


def test_too_few_items(given, tmp_path):
    with pytest.raises(OptionError, match="at least 2 items"):
        make(given.subset(torch.tensor([3])), tmp_path)


def test_an_unknown_device(given, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(OptionError, match="cuda"):
        make(given, tmp_path, accelerator="cuda")
