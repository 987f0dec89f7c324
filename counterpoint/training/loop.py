"""The loop: one state, one step, rounds and stages between the steps; Lightning Fabric for devices, precision, launch and collectives."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from counterpoint.core.errors import OptionError, RunError
from counterpoint.core.recipe import Batch, Part, Progress, Recipe, Rows, Stage, Update, match, value_of
from counterpoint.core.values import warmup_cosine
from counterpoint.training import distributed, health, state
from counterpoint.training.devices import check_compiler, fabric_of, interruptible, kept_memory
from counterpoint.training.feed import Beside, Feed, Place
from counterpoint.training.metrics import Metrics
from counterpoint.training.settings import Settings
from counterpoint.training.step import Roles, train_step

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adamw": partial(torch.optim.AdamW, fused=True),  # one pass over the weights in place of ten
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True, fused=True),
}


class Training:
    """A training under way: what rounds may touch, and all that a checkpoint holds.

    recipe:  the recipe of this stage.   model: the Model on its device.   data: the training items.   now: Progress.
    columns: name → tensor by item id, joined to every batch.   tables: name → anything, given to views, pairs and terms.
    ahead:   whether the next views are made while a step runs (see `feed`); by default on a GPU, elsewhere there is nothing to gain.
    """

    def __init__(self, recipe: Recipe, data: Any, settings: Settings, folder: Path, quiet: bool = True) -> None:
        self.whole, self.settings = recipe, settings
        self.recipe = recipe
        self.fabric = fabric_of(settings, {modality.kind for modality in data.spec.modalities.values()})
        self.fabric.launch()
        self.device = device = self.fabric.device
        self.data = data
        self.seed("model")
        model = recipe.encoder(data.spec)
        self.model: nn.Module = self.fabric.to_device(model)
        self.roles = Roles()
        self.place, self.beside, self.ahead = Place(device), Beside(device), device.type == "cuda"
        if settings.compile:
            check_compiler(device)
            for part in self.model.children():  # in place: names of weights stay; what joins the parts is Python and stays so too
                part.compile()
        self.columns: dict[str, Tensor] = {}
        self.tables: dict[str, Any] = {}
        self.chunk = max(settings.chunk // self.fabric.world_size, 1)
        self.clip = settings.clip
        self._optimizers: dict[int, tuple[Update, torch.optim.Optimizer]] = {}
        self.together = min(settings.together, data.items)
        if data.items < 2:
            raise OptionError(f"training needs at least 2 items and there is {data.items}")
        if self.together < 2 * self.fabric.world_size:
            raise OptionError(f"batch = {settings.together} leaves fewer than 2 items for each of {self.fabric.world_size} processes")
        self.per_epoch = max(data.items // self.together, 1)
        self.now = Progress(epochs=settings.epochs or 1, steps=(settings.epochs or 1) * self.per_epoch)
        self.drawn, self.position = 0, 0  # passes of the sampler, batches taken of this pass
        self.spent = 0.0
        self.stopped = ""
        self.folder = folder
        self.metrics = Metrics(settings.log_every)

    # ---- randomness: a function of (seed, step, purpose), so that nothing but the step needs saving

    def number(self, purpose: str, step: int) -> int:
        """The seed of a purpose at a step (or pass), this process's own but for the model and the order of items."""
        rank = 0 if purpose in ("model", "order") else distributed.rank()
        text = f"{self.settings.seed}/{step}/{purpose}/{rank}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big")

    def seed(self, purpose: str) -> None:
        number = self.number(purpose, getattr(self, "now", Progress()).step)
        torch.default_generator.manual_seed(number)  # torch.manual_seed asks every kind of device there might be: 3 ms a call
        if self.device.type != "cpu":
            getattr(torch, self.device.type).manual_seed(number)

    def generator(self, purpose: str, now: Progress | None = None) -> Generator:
        """Random numbers for a purpose, at this moment or at another."""
        return Generator(self.device).manual_seed(self.number(purpose, (now or self.now).step))

    def autocast(self) -> AbstractContextManager[Any]:
        return cast(AbstractContextManager[Any], self.fabric.autocast())

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> None:
        self.fabric.backward(loss, inputs=list(inputs))

    def optimizer(self, update: int) -> torch.optim.Optimizer:
        """The optimiser of an update, its learning rate set for this moment; made anew when a stage brings another update."""
        wanted = self.recipe.updates[update]
        if update not in self._optimizers or self._optimizers[update][0] != wanted:
            params = [p for n, p in self.model.named_parameters() if p.requires_grad and match(n, wanted.train)]
            groups = [
                {"params": [p for p in params if p.ndim > 1], "weight_decay": self.settings.weight_decay},
                {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0},
            ]
            make = wanted.optimizer or OPTIMIZERS[self.settings.optimizer]
            self._optimizers[update] = (wanted, make([g for g in groups if g["params"]], lr=self.settings.rate))
        optimizer, share = self._optimizers[update][1], warmup_cosine(self.now, warmup=self.settings.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("peak", group["lr"]) * share
        return optimizer

    # ---- the run

    def fit(self, on_step: Callable[[Training, dict[str, Any]], None] | None = None) -> None:
        """Train to the end of the budget (or to `pause_after`), from wherever the state stands.

        Ctrl-C or SIGTERM ends it after the step under way, with a checkpoint; a second one at once.
        """
        with interruptible() as asked, kept_memory(self.device):
            self._fit(on_step, asked)

    def _fit(self, on_step: Callable[[Training, dict[str, Any]], None] | None, asked: list[int]) -> None:
        if self.now.step == 0:
            self._check_scopes()
            self._fire("start")
            if self.settings.time is not None:
                self._budget(float(self.settings.time))
            self.save()
        begun, saved = time.monotonic(), time.monotonic()
        spent_before = self.spent
        while self.now.step < self.now.steps and not self.stopped:
            if self.position == 0:
                self._enter_stage()
                self._fire("epoch")
            before = self.position
            feed = Feed(self, self.drawn, self.position)
            try:
                while feed.draw():
                    self._every()
                    batch, views = feed.take(self.now)
                    log = train_step(self, batch, views)
                    self.position += 1
                    self.now = replace(self.now, step=self.now.step + 1, epoch=(self.now.step + 1) // self.per_epoch)
                    turns = self.settings.time is not None and self._turns()  # a pass may be longer than the time
                    if self.ahead and self.now.step < self.now.steps and not turns and not self._due():
                        feed.ahead(self.now)
                    self.spent = spent_before + time.monotonic() - begun
                    self._time_up()
                    line = self.metrics.add(self, log, len(batch))
                    if on_step is not None and line is not None:
                        on_step(self, line)
                    if asked:
                        self.save()
                        raise KeyboardInterrupt
                    if self.finished:
                        break
                    if turns:
                        self.drawn, self.position = self.drawn + 1, 0
                        break
                    if time.monotonic() - saved > self.settings.save_every:
                        self.save()
                        saved = time.monotonic()
                else:
                    if self.position == before == 0:
                        raise OptionError(f"{self.recipe.data!r} drew no batch of {self.together} items from {self.data.items}")
                    self.drawn, self.position = self.drawn + 1, 0
            finally:
                feed.close()
            if self.settings.pause_after and self.now.epoch >= self.settings.pause_after:
                break
        distributed.average_buffers(self.model)
        self.save()

    @property
    def finished(self) -> bool:
        return self.now.step >= self.now.steps or bool(self.stopped)

    def _time_up(self) -> None:
        limit = self.settings.time
        if limit is not None and self.spent > float(limit) and self.now.step < self.now.steps:
            self.stopped = f"the time was up after {self.now.step} of {self.now.steps} steps"

    def _budget(self, limit: float) -> None:
        """Turn a budget in seconds into a number of steps, by timing some on a state that is put back afterwards."""
        tree = _copy(self.state())
        optimizers, self._optimizers = self._optimizers, {}
        took: list[float] = []
        begun = last = time.monotonic()
        feed = Feed(self, 0, 0)
        while feed.draw():
            batch, views = feed.take(self.now)
            train_step(self, batch, views)
            if self.ahead:
                feed.ahead(self.now)
            self._wait()
            took.append(time.monotonic() - last)
            last = time.monotonic()
            if len(took) > 1 and ((len(took) > 5 and last - begun > min(0.02 * limit, 3.0)) or last - begun > 0.2 * limit):
                break
        feed.close()
        self._optimizers = optimizers
        self.restore(tree)
        warm = sorted(took[1:] or took)  # the first compiles what is compiled once in a process
        each = warm[len(warm) // 3]  # others may use the machine for a moment
        left = 0.93 * limit - (time.monotonic() - begun)  # some spare: the schedule should end before the time does
        steps = max(int(left / max(each, 1e-6)), 1)
        self.now = replace(self.now, steps=steps, epochs=math.ceil(steps / self.per_epoch))
        self.spent = time.monotonic() - begun

    def _wait(self) -> None:
        """Until the device has done what it was given: only then does the clock tell how long that took."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _batches(self, drawn: int, skip: int) -> Iterator[Batch]:
        """The batches of a pass from the `skip`-th on, without views."""
        feed = Feed(self, drawn, skip)
        while feed.draw():
            yield feed.batch()

    def joined(self) -> Any:
        """The data with what rounds have written, so that a sampler finds a column or table wherever it is from."""
        if not self.columns and not self.tables:
            return self.data
        columns = {name: column.cpu() for name, column in self.columns.items()}
        return replace(self.data, every={**self.data.every, **columns}, tables={**self.data.tables, **self.tables})

    # ---- rounds and stages

    def _stage(self) -> tuple[Stage | None, int]:
        total, at = sum(s.share for s in self.whole.stages), 0.0
        for number, stage in enumerate(self.whole.stages):
            at += stage.share / total
            if self.now.share < at or number == len(self.whole.stages) - 1:
                return stage, number
        return None, 0

    def _turns(self) -> bool:
        """Whether another stage than that of now has its turn."""
        stage, _ = self._stage()
        return stage is not None and stage.name != self.now.stage

    def _enter_stage(self) -> None:
        stage, _ = self._stage()
        if stage is None or stage.name == self.now.stage:
            return
        self.now = replace(self.now, stage=stage.name)
        self.apply_stage()
        for name in stage.restart:
            for module in self.model.get_submodule(name).modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()  # type: ignore[operator]
        self._fire("stage")

    def apply_stage(self) -> None:
        """Make `recipe` the one of the current stage."""
        self.recipe = self.whole
        for stage in self.whole.stages:
            if stage.name == self.now.stage:
                for path, value in stage.changes.items():
                    self.recipe = self.recipe.at(path, value)

    def _fire(self, at: str) -> None:
        for entry in self.recipe.rounds:
            if entry.at == at and value_of(entry.when, self.now) > 0:
                self._do(entry.do)

    def _due(self) -> list[Part]:
        """The rounds of every n steps that come before the batch of this step."""
        due = (entry for entry in self.recipe.rounds if isinstance(entry.at, int) and self.now.step % entry.at == 0)
        return [entry.do for entry in due if value_of(entry.when, self.now) > 0]

    def _every(self) -> None:
        for part in self._due():
            self._do(part)

    def _do(self, part: Part) -> None:
        self.seed(f"round/{part!r}")
        part(self)
        self.place.forget()
        self.roles.forget()

    def _check_scopes(self) -> None:
        for name, term in self.recipe.objective.items():
            if term.scope not in ("batch", "item"):
                raise OptionError(f"objective.{name}.scope = {term.scope!r} is not allowed; it must be 'batch' or 'item'")

    def embed_all(self, space: str | None = None, views: Part | None = None, batch: int = 512) -> Rows:
        """All training items in eval mode, sorted by id: the embedding, or a space of the model under `views`."""
        self.model.eval()
        parts = []
        with torch.no_grad(), self.autocast():
            for number, piece in enumerate(self.data.pieces(batch)):
                given = (self.place.of(self.data) or self.data).batch(piece).to(self.device)
                if space is None or views is None:
                    out = self.model.embed(given)  # type: ignore[operator]
                    parts.append(out["embedding" if space is None else space])
                else:
                    seeded = self.generator(f"embed/{number}")
                    parts.append(self.model(views(given, seeded, self.now), self.now)[space])
        self.model.train()
        self.roles.forget()
        return Rows.cat(parts)

    # ---- state

    def state(self) -> dict[str, Any]:
        """Everything: parts, columns, tables, optimisers, progress, metrics. Randomness and data position follow from the step."""
        return {
            "model": self.model.state_dict(),
            "optimizers": {k: optimizer.state_dict() for k, (_, optimizer) in self._optimizers.items()},
            "columns": dict(self.columns),
            "tables": dict(self.tables),
            "now": {k: getattr(self.now, k) for k in ("step", "steps", "epoch", "epochs", "stage")},
            "drawn": self.drawn,
            "position": self.position,
            "spent": self.spent,
            "metrics": self.metrics.state(),
            "threads": torch.get_num_threads(),
        }

    def restore(self, tree: dict[str, Any]) -> None:
        """Put a state back. RunError where it is of another recipe or other data."""
        try:
            self.model.load_state_dict(tree["model"])
            self.now = Progress(**tree["now"])
            self.apply_stage()
            for number, saved in tree["optimizers"].items():
                optimizer = self.optimizer(int(number))
                optimizer.load_state_dict(saved)
                state.lay_out(optimizer)
            self.columns, self.tables = dict(tree["columns"]), dict(tree["tables"])
            self.drawn, self.position, self.spent = tree["drawn"], tree["position"], tree["spent"]
            self.metrics.restore(tree["metrics"], self.folder)
        except (KeyError, RuntimeError, ValueError, TypeError, IndexError) as error:
            raise RunError(f"the checkpoint does not fit this recipe and these data ({str(error).splitlines()[0]})") from None

    def save(self) -> None:
        if distributed.rank() == 0:
            self.metrics.flush(self.folder)
            state.save(self.folder / "checkpoint", self.state(), self.now.step)
        if distributed.world() > 1:
            self.fabric.barrier()

    def resume(self) -> None:
        """Continue from the latest checkpoint of the folder."""
        self.restore(state.load(self.folder / "checkpoint"))

    def verdict(self) -> dict[str, Any]:
        repeated = health.duplicates(next(iter(self.data.batch(self.data.ids[:20_000]).fields.values()))) if self.data.in_memory else 0.0
        # With the last tenth of a cosine missing, the rate was nearly nothing: no reason to look again.
        early = self.stopped if self.now.step < 0.9 * self.now.steps else ""
        return health.judge(self.metrics.history, repeated, early)


def _copy(tree: Any) -> Any:
    tensors: dict[str, Tensor] = {}
    plain = state.pack(tree, tensors)
    return state.unpack(plain, tensors)
