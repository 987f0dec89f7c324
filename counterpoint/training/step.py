"""The one default training step: views → model → terms → gradients → update. It carries every method; no method writes its own.

With more than one chunk it runs in two passes with the gradient of the whole: first all rows without graph, the loss on them, then chunk by
chunk again, each row pulled along its gradient (Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
2021). Randomness is a function of (seed, step, chunk), so that the second pass repeats the first and a resumed run repeats the killed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from counterpoint.core.recipe import Batch, Contrast, Embeddings, Progress, Recipe, Rows, Update, View, match, value_of
from counterpoint.training import distributed


class Roles:
    """Who learns in an update, in which mode its parts are, and who is told of it: read from the names of the model once and not at every
    step (a thousand names take milliseconds), until a stage changes the recipe or what else may change them asks to `forget`."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A round may have changed what learns, or something a part's mode."""
        self._recipe: Recipe | None = None
        self._learning: dict[tuple[int, tuple[str, ...]], list[nn.Parameter]] = {}
        self._modes_of: tuple[int, tuple[str, ...]] | None = None
        self._told: list[nn.Module] | None = None

    def learning(self, run: Running, number: int) -> list[nn.Parameter]:
        """The parameters that the update of this number trains now; where there are some, the parts are in its modes."""
        if self._recipe is not run.recipe:
            self.forget()
            self._recipe = run.recipe
        update = run.recipe.updates[number]
        key = number, _still(update, run.now)
        if key not in self._learning:
            self._learning[key] = parameters(run.model, update, run.now)
        if self._learning[key] and not (self._modes_of == key and run.model.training):
            set_modes(run.model, update, run.now)
            self._modes_of = key
        return self._learning[key]

    def told(self, model: nn.Module) -> list[nn.Module]:
        """The parts that have an `after_update`."""
        if self._told is None:
            self._told = [part for part in model.modules() if hasattr(part, "after_update")]
        return self._told


class Running(Protocol):
    """What the step reads of a training."""

    model: nn.Module
    recipe: Recipe
    now: Progress
    chunk: int
    clip: float | None
    roles: Roles

    def generator(self, purpose: str) -> Generator: ...
    def seed(self, purpose: str) -> None: ...
    def autocast(self) -> AbstractContextManager[Any]: ...
    def optimizer(self, update: int) -> torch.optim.Optimizer: ...
    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> None: ...


def train_step(run: Running, batch: Batch, views: Sequence[View] | None = None) -> dict[str, Any]:
    """One step on a batch.

    views: those of the batch at this moment, where they are made already.

    Returns {"loss", "terms": {name: {"value", "chance", "weight", "counted", "rows"}}, "out": Embeddings}, tensors detached.
    """
    views = run.recipe.views(batch, run.generator("views"), run.now) if views is None else views
    log: dict[str, Any] = {"loss": 0.0, "terms": {}, "out": {}}
    for number, update in enumerate(run.recipe.updates):
        named = {n: t for n, t in run.recipe.objective.items() if match(n, update.terms) and value_of(t.weight, run.now) != 0}
        learning = run.roles.learning(run, number) if named else []
        if not learning:
            continue
        optimizer = run.optimizer(number)
        optimizer.zero_grad(set_to_none=True)
        log["out"] = gradients(run, views, named, batch.tables, update.sign, learning, log, f"model{number}")
        distributed.sum_gradients(learning)
        if run.clip is not None:
            nn.utils.clip_grad_norm_(learning, run.clip)
        optimizer.step()
    with torch.no_grad():
        for part in run.roles.told(run.model) if log["out"] else ():
            part.after_update(log["out"], run.now)  # type: ignore[operator]
    return log


def gradients(
    run: Running,
    views: Sequence[View],
    terms: Mapping[str, Any],
    tables: Mapping[str, Any],
    sign: int,
    learning: Sequence[nn.Parameter],
    log: dict[str, Any],
    purpose: str,
) -> Embeddings:
    """Put the gradient of the terms into `learning`; one pass, or two where a batch is larger than a chunk."""
    items = max(len(v) for v in views)
    starts = list(range(0, items, run.chunk))
    if len(starts) > 1 and items - starts[-1] < 2:  # a chunk of one item has no batch statistics
        starts.pop()
    cuts = zip(starts, [*starts[1:], items], strict=True)
    chunks = [[v.part(a, b) for v in views] for a, b in cuts] if len(starts) > 1 else [list(views)]

    def encode(i: int) -> Embeddings:
        run.seed(f"{purpose}/{i}")
        with run.autocast():
            return run.model(chunks[i], run.now)  # type: ignore[no-any-return]

    if len(chunks) == 1:
        whole = distributed.gather(encode(0))
        run.seed(f"{purpose}/terms")
        run.backward(_times(sign, objective(terms, whole, tables, run.now, log)), learning)
        return {space: rows.detach() for space, rows in whole.items()}

    with torch.no_grad():
        outs = [encode(i) for i in range(len(chunks))]
    local = {s: Rows.cat([out[s] for out in outs]) if not outs[0][s].shared else outs[0][s] for s in outs[0]}
    leaves = {s: r if r.shared else Rows(r.z.detach().requires_grad_(), r.keys, False, r.roles) for s, r in local.items()}
    whole = distributed.gather({space: _view_by_view(rows) for space, rows in leaves.items()})
    together = {n: t for n, t in terms.items() if t.scope == "batch"}
    apart = {n: t for n, t in terms.items() if t.scope != "batch"}
    if together:
        run.seed(f"{purpose}/terms")
        loss = _times(sign, objective(together, whole, tables, run.now, log))
        if loss.requires_grad:  # shared rows (prototypes, a learned scale) are parameters themselves: they get their gradient here
            run.backward(loss, [*learning, *(r.z for r in leaves.values() if not r.shared)])
    begin = dict.fromkeys(leaves, 0)
    for i, chunk in enumerate(chunks):
        out = encode(i)
        carried = torch.zeros((), device=next(iter(out.values())).z.device)
        for space, rows in out.items():
            if rows.shared:
                continue
            piece = slice(begin[space], begin[space] + len(rows))
            begin[space] += len(rows)
            grad = leaves[space].z.grad
            if rows.z.requires_grad and grad is not None:
                carried = carried + (rows.z * grad[piece].to(rows.z.dtype)).sum()
        if apart:
            share = len(chunk[0]) / len(views[0])
            carried = carried + _times(sign, objective(apart, distributed.gather(out), tables, run.now, log, share))
        if carried.requires_grad:
            run.backward(carried, learning)
    return {space: rows.detach() for space, rows in whole.items()}


def _view_by_view(rows: Rows) -> Rows:
    """Rows in the order of a single pass, so that a term that draws random numbers draws the same for the same row."""
    if rows.shared or "view" not in rows.keys:
        return rows
    return rows.where(rows.keys["view"].argsort(stable=True))


def objective(
    terms: Mapping[str, Any], out: Embeddings, tables: Mapping[str, Any], now: Progress, log: dict[str, Any], share: float = 1.0
) -> Tensor:
    """Σ weight · mean over the counted rows of all processes. Writes each term's value beside its chance level into the log."""
    summands = []
    for name, term in terms.items():
        weight = value_of(term.weight, now)
        rows = term(out, tables, now)
        anchored = isinstance(term, Contrast) and term.by_row  # this process's anchors; any other term sees all rows on every process
        counted = rows.counted.sum()
        count = distributed.total(counted) if anchored else counted
        value = rows.values.sum() / count.clamp(min=1)
        summands.append(_times(share * weight if anchored else share * weight / distributed.world(), value))
        shown = distributed.total(value.detach()) if anchored else value.detach()
        line = log["terms"].setdefault(name, {"value": 0.0, "chance": rows.chance, "weight": weight, "counted": 0, "rows": 0})
        line["value"] = line["value"] + _times(share, shown)
        line["counted"] = line["counted"] + counted
        line["rows"] += len(rows.counted)
        log["loss"] = log["loss"] + _times(share * weight, shown)
    return sum(summands[1:], summands[0]) if summands else torch.zeros((), device=next(iter(out.values())).z.device)


def _times(factor: float, x: Tensor) -> Tensor:
    """factor · x; at few rows each small operation is felt, on the way back too, and most factors are 1."""
    x = x if x.dtype == torch.float64 else x.float()
    return x if factor == 1 else factor * x


def _still(update: Update, now: Progress) -> tuple[str, ...]:
    return tuple(part for part, value in update.frozen.items() if value_of(value, now) > 0)


def parameters(model: nn.Module, update: Update, now: Progress) -> list[nn.Parameter]:
    """The parameters this update trains at this moment."""
    still = _still(update, now)
    return [p for n, p in model.named_parameters() if p.requires_grad and match(n, update.train) and not match(n, still)]


def set_modes(model: nn.Module, update: Update, now: Progress) -> None:
    """Train mode for what learns; norm layers of children without a learning parameter use their running statistics, those of a teacher
    what the teacher says."""
    model.train()
    own_mode = {id(m) for part in model.modules() if hasattr(part, "batch_statistics") for m in part.modules()}
    still = _still(update, now)
    for name, child in model.named_children():
        own = [n for n, p in child.named_parameters(prefix=name) if p.requires_grad]
        if any(True for _ in child.parameters()) and not any(match(n, update.train) and not match(n, still) for n in own):
            for module in child.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm) and id(module) not in own_mode:
                    module.eval()
