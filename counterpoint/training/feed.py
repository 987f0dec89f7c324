"""What the step is fed with: batches on the device with their views, the next ones made while the step of the present ones runs.

On a GPU the next batch and its views are made on a stream of their own. Nothing is made ahead across a place where what it is made of
may change: a round that is due, the end of a pass (where stages change). Views draw from the generator of their own step, and randomness
is a function of the step, so what was made ahead and is not wanted any more (Ctrl-C, the time is up) leaves no trace. The weights are
those of a run that makes each batch when it is due; tests compare them bit for bit on a CPU, where the order is the same and only the
stream is missing.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from counterpoint.core.arrangement import mark_distinct
from counterpoint.core.recipe import Batch, Graph, Progress, View
from counterpoint.data.held import Held, fits, held
from counterpoint.data.streamed import ahead
from counterpoint.training import distributed

if TYPE_CHECKING:
    from counterpoint.training.loop import Training

Drawn = tuple[Tensor, Batch]  # the ids on the CPU, and the items


class Beside:
    """A stream beside that of the step, on a GPU; elsewhere everything happens in order, and all of this does nothing."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        # Many small kernels: first in the queue, they take little from the step; last, they would come after all of it.
        self.stream = torch.cuda.Stream(device, priority=-1) if device.type == "cuda" else None
        self._changed: Any = None
        self._ready: Any = None

    def mark(self) -> None:
        """What the step's stream has been given until now (data that were moved, what rounds wrote) comes before any work beside it."""
        if self.stream is not None:
            self._changed = torch.cuda.current_stream(self.device).record_event()

    @contextmanager
    def working(self) -> Iterator[None]:
        """Inside, work goes to the stream beside; it waits for the last mark, and not for the step that is running."""
        if self.stream is None:
            yield
            return
        self.stream.wait_event(self._changed)
        with torch.cuda.stream(self.stream):
            yield
            self._ready = self.stream.record_event()

    def hand_over(self, made: Any) -> None:
        """The step's stream waits for what was made beside, and its memory is not used again before the step is done with it."""
        if self.stream is None:
            return
        own = torch.cuda.current_stream(self.device)
        own.wait_event(self._ready)
        for x in tensors_of(made):
            if x.device.type == "cuda":
                x.record_stream(own)  # type: ignore[no-untyped-call]

    def join(self) -> None:
        """Whatever is still being made, and not wanted any more, comes before what the step's stream is given next."""
        if self.stream is not None:
            torch.cuda.current_stream(self.device).wait_stream(self.stream)


class Place:
    """Where the data of a run lie: on a GPU once, where they fit; and there also what rounds wrote, moved again only when it changes."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._held: tuple[Any, Held | None] = (None, None)
        self._moved: dict[str, tuple[Tensor, int, Tensor]] = {}

    def of(self, data: Any) -> Held | None:
        """The set on the device; None where the device is no GPU, or the set streams or is too large."""
        if self._held[0] is not data:  # a round may bring other data
            self._held = (data, held(data, self.device) if fits(data, self.device) else None)
        return self._held[1]

    def here(self, name: str, x: Any) -> Any:
        """A column or table on the device; anything but a tensor as it is."""
        if not isinstance(x, Tensor) or x.device == self.device:
            return x
        known = self._moved.get(name)
        if known is None or known[0] is not x or known[1] != x._version:
            known = self._moved[name] = (x, x._version, x.to(self.device))
        return known[2]

    def forget(self) -> None:
        """Columns and tables may have changed, unseen: a round wrote."""
        self._moved.clear()


class Feed:
    """The batches of one pass from the `skip`-th on: `while feed.draw(): …rounds…; batch, views = feed.take(); step; feed.ahead(next)`."""

    def __init__(self, run: Training, drawn: int, skip: int) -> None:
        self.run = run
        self._source = _source(run, drawn, skip)
        self._waiting: Drawn | None = None  # drawn; rounds may still change what is joined to it
        self._made: tuple[Batch, Sequence[View]] | None = None  # made ahead

    def draw(self) -> bool:
        """Draw the items of the next batch; False where the pass is over."""
        if self._made is None and self._waiting is None:
            self._waiting = next(self._source, None)
        return self._made is not None or self._waiting is not None

    def take(self, now: Progress) -> tuple[Batch, Sequence[View]]:
        """The batch that was drawn, with the run's columns and tables, on the device; and its views at this moment."""
        beside = self.run.beside
        if self._made is not None:
            made, self._made = self._made, None
            beside.hand_over(made)
            return made
        made = self._make(now)
        beside.mark()
        return made

    def ahead(self, now: Progress) -> None:
        """Make the next batch and its views for `now`, the moment of their step, beside the step that is running."""
        with self.run.beside.working():
            if self.draw() and self._made is None:
                self._made = self._make(now)

    def batch(self) -> Batch:
        """The batch that was drawn, without views."""
        assert self._waiting is not None, "draw first"
        (ids, batch), self._waiting = self._waiting, None
        run, place = self.run, self.run.place
        moved = batch.to(place.device)
        item = moved.keys["item"]
        columns = {name: place.here(name, column) for name, column in run.columns.items()}
        tables = {name: place.here(f"table {name}", table) for name, table in run.tables.items()}
        if len(set(ids.tolist())) == len(ids):  # on the CPU; no sort, no kernel
            mark_distinct(item)
        keys = {**moved.keys, **{name: column[item] for name, column in columns.items()}}
        return Batch(moved.fields, keys, {**moved.tables, **tables})

    def close(self) -> None:
        """Nothing more is wanted of this pass."""
        self._source.close()
        self.run.beside.join()

    def _make(self, now: Progress) -> tuple[Batch, Sequence[View]]:
        batch = self.batch()
        return batch, self.run.recipe.views(batch, self.run.generator("views", now), now)


def _source(run: Training, drawn: int, skip: int) -> collections.abc.Generator[Drawn]:
    """The items of each batch: drawn by the recipe's sampler, this process's share of them, picked, read or sampled."""
    data, on_gpu = run.data, run.place.device.type == "cuda"
    order = Generator().manual_seed(run.number("order", drawn))
    ids_of = run.recipe.data(run.joined(), order, batch=run.together)
    shares = ((i, distributed.share_of(ids)) for i, ids in enumerate(ids_of) if i >= skip)
    hops = run.settings.neighbours or ()
    if hops and data.linked:
        for i, ids in shares:
            near = Generator().manual_seed(run.number(f"neighbours/{i}", drawn))
            given = data.batch(ids, hops=hops, generator=near)
            yield ids, pinned(given) if on_gpu else given
    elif (there := run.place.of(data)) is not None:
        for _, ids in shares:
            yield ids, there.batch(ids)
    elif data.in_memory and not on_gpu:
        for _, ids in shares:
            yield ids, data.batch(ids)
    else:

        def read(ids: Tensor) -> Drawn:
            given = data.batch(ids)
            return ids, pinned(given) if on_gpu else given

        yield from ahead(read, (ids for _, ids in shares), threads=run.settings.workers or None)


def pinned(batch: Batch) -> Batch:
    """A batch in memory that a GPU reads while the processor goes on."""

    def pin(x: Any) -> Any:
        if isinstance(x, Graph):
            return Graph({name: pin(part) for name, part in x.parts.items()}, pin(x.rows))
        return x.pin_memory() if isinstance(x, Tensor) else x

    return replace(batch, fields={k: pin(v) for k, v in batch.fields.items()}, keys={k: pin(v) for k, v in batch.keys.items()})


def tensors_of(x: Any) -> Iterator[Tensor]:
    """Every tensor in batches, views, graphs, mappings and lists of them."""
    if isinstance(x, Tensor):
        yield x
    elif isinstance(x, Batch | View):
        yield from tensors_of(x.fields)
        yield from tensors_of(x.keys)
    elif isinstance(x, Graph):
        yield from tensors_of(x.parts)
        yield x.rows
    elif isinstance(x, Mapping):
        for one in x.values():
            yield from tensors_of(one)
    elif isinstance(x, (list, tuple)):
        for one in x:
            yield from tensors_of(one)
