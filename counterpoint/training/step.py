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


class Running(Protocol):
    """What the step reads of a training."""

    model: nn.Module
    recipe: Recipe
    now: Progress
    chunk: int
    clip: float | None

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
        learning = parameters(run.model, update, run.now)
        if not named or not learning:
            continue
        set_modes(run.model, update, run.now)
        optimizer = run.optimizer(number)
        optimizer.zero_grad(set_to_none=True)
        log["out"] = gradients(run, views, named, batch.tables, update.sign, learning, log, f"model{number}")
        distributed.sum_gradients(learning)
        if run.clip is not None:
            nn.utils.clip_grad_norm_(learning, run.clip)
        optimizer.step()
    with torch.no_grad():
        for part in run.model.modules():
            if log["out"] and hasattr(part, "after_update"):
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
        run.backward(sign * objective(terms, whole, tables, run.now, log), learning)
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
        loss = sign * objective(together, whole, tables, run.now, log)
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
            carried = carried + sign * objective(apart, distributed.gather(out), tables, run.now, log, share)
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
    loss = torch.zeros((), device=next(iter(out.values())).z.device)
    for name, term in terms.items():
        weight = value_of(term.weight, now)
        rows = term(out, tables, now)
        anchored = isinstance(term, Contrast) and term.by_row  # this process's anchors; any other term sees all rows on every process
        count = distributed.total(rows.counted.sum()) if anchored else rows.counted.sum()
        value = rows.values.sum() / count.clamp(min=1)
        part = value if anchored else value / distributed.world()
        loss = loss + share * weight * part
        shown = distributed.total(value.detach()) if anchored else value.detach()
        line = log["terms"].setdefault(name, {"value": 0.0, "chance": rows.chance, "weight": weight, "counted": 0, "rows": 0})
        line["value"] = line["value"] + share * shown
        line["counted"] = line["counted"] + rows.counted.sum()
        line["rows"] += len(rows.counted)
        log["loss"] = log["loss"] + share * weight * shown
    return loss


def parameters(model: nn.Module, update: Update, now: Progress) -> list[nn.Parameter]:
    """The parameters this update trains at this moment."""
    still = [part for part, value in update.frozen.items() if value_of(value, now) > 0]
    return [p for n, p in model.named_parameters() if p.requires_grad and match(n, update.train) and not match(n, still)]


def set_modes(model: nn.Module, update: Update, now: Progress) -> None:
    """Train mode for what learns; norm layers of children without a learning parameter use their running statistics, those of a teacher
    what the teacher says."""
    model.train()
    own_mode = {id(m) for part in model.modules() if hasattr(part, "batch_statistics") for m in part.modules()}
    still = [part for part, value in update.frozen.items() if value_of(value, now) > 0]
    for name, child in model.named_children():
        own = [n for n, p in child.named_parameters(prefix=name) if p.requires_grad]
        if any(True for _ in child.parameters()) and not any(match(n, update.train) and not match(n, still) for n in own):
            for module in child.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm) and id(module) not in own_mode:
                    module.eval()
