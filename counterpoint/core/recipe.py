"""The Recipe: Batch → [View] → Embeddings → (Scores, Pairs) → RowLoss, joined.

What flows is defined in `core.flow` and `core.similarity`; everything a method needs can be imported from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from counterpoint.core import options
from counterpoint.core.errors import DataError, OptionError, RequirementError, nearest
from counterpoint.core.flow import (
    UNKNOWN,
    Batch,
    Embeddings,
    Graph,
    Progress,
    RowLoss,
    Rows,
    Select,
    Spaces,
    Value,
    View,
    pick,
    value_of,
)
from counterpoint.core.options import Part
from counterpoint.core.similarity import cosine

if TYPE_CHECKING:
    from counterpoint.core.similarity import Pairs, Scores


@runtime_checkable
class Objective(Protocol):
    """One named summand of the objective.

    weight: its factor.   scope: "batch" = reads Embeddings and tables of the whole (gathered) batch; "item" = a mean over items, so
    that it may be computed chunk by chunk and reads nothing of other items.
    """

    @property
    def weight(self) -> Value: ...
    @property
    def scope(self) -> str: ...
    def __call__(self, out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss: ...


@dataclass(frozen=True)
class Term:
    """A summand that is not a contrast: `compute(out, tables, now, **options) -> RowLoss`."""

    compute: Part
    weight: Value = 1.0
    scope: str = "batch"

    def __call__(self, out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss:
        return cast(RowLoss, self.compute(out, tables, now))


@dataclass(frozen=True)
class Contrast:
    """The summand with pairs: rows of two spaces, who is positive to whom, a loss over their similarities.

    pairs:      (anchors: Rows, candidates: Rows, tables) -> Pairs; reads keys only.
    loss:       (Scores, Pairs) -> RowLoss.
    anchors, candidates: a space, a Select, or (candidates) several, concatenated. "a/*" against "b/*" is zipped and averaged,
                every pair of spaces weighing the same.
    similarity: (anchors (n, d), candidates (m, d)) -> Scores; cosine by default.
    scale:      a space with one row that holds the logarithm of a learned scale; multiplies the scores.
    bias:       a space with one row that holds a learned bias; added after the scale.
    temperature: a key of the anchors (a column that a round writes, say) with a temperature > 0 of each, beside that of the loss: their
                scores, bias included, are divided by it. NaN = unknown counts 1.
    """

    pairs: Part
    loss: Part
    anchors: Spaces = "z"
    candidates: Spaces = "z"
    similarity: Part | None = None
    scale: str | None = None
    bias: str | None = None
    weight: Value = 1.0
    scope: str = "batch"
    temperature: str | None = None

    def __call__(self, out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss:
        if isinstance(self.anchors, str) and self.anchors.endswith("/*"):
            return self._zipped(out, tables, now)
        anchors = pick(out, self.anchors)
        candidates = anchors if self.candidates == self.anchors else pick(out, self.candidates)
        if "own" in anchors.keys and self.by_row:  # several processes: each takes its own rows as anchors, against all candidates
            anchors = anchors.where(anchors.keys["own"])
        pairs: Pairs = self.pairs(anchors, candidates, tables)
        scores: Scores = (self.similarity or cosine)(anchors.z, candidates.z)
        if self.scale is not None:
            scores = scores.times(out[self.scale].z.reshape(()).exp())
        if self.bias is not None:
            scores = scores.plus(out[self.bias].z.reshape(()))
        if self.temperature is not None:
            scores = scores.divide(_temperatures(anchors, self.temperature).to(scores.device, scores.dtype))
        moving = {k: value_of(v, now) for k, v in self.loss.options.items() if isinstance(v, Part) and _is_value(self.loss, k)}
        return cast(RowLoss, self.loss(scores, pairs, **moving))

    @property
    def by_row(self) -> bool:
        """Whether a row's loss depends on its own anchor alone; then processes share the anchors among them (see `joint`)."""
        marks = [(part, getattr(part.make, "__joint__", False)) for part in (self.loss, self.pairs)]
        return not any(part.effective().get(mark) if isinstance(mark, str) else mark for part, mark in marks)

    def _zipped(self, out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss:
        stems = [str(s).removesuffix("/*") for s in (self.anchors, self.candidates)]
        names = [sorted(s for s in out if s.startswith(f"{stem}/")) for stem in stems]
        if not names[0] or len(names[0]) != len(names[1]):
            raise RequirementError(f"{self.anchors} names {len(names[0])} spaces and {self.candidates} {len(names[1])}")
        each = [replace(self, anchors=a, candidates=c)(out, tables, now) for a, c in zip(*names, strict=True)]
        chances = [r.chance for r in each if r.chance is not None]
        sizes = [len(out[a]) for a in names[0]]
        middle = sum(sizes) / len(sizes)  # the mean over rows becomes the mean over spaces, small ones (pooled tokens) weighing as much
        return RowLoss(
            torch.cat([r.values * (middle / max(n, 1)) for r, n in zip(each, sizes, strict=True)]),
            torch.cat([r.counted for r in each]),
            sum(chances) / len(chances) if chances else None,
        )


def _temperatures(anchors: Rows, key: str) -> Tensor:
    """(n,) the anchors' temperatures, 1 where unknown."""
    if key not in anchors.keys:
        raise RequirementError(f"the anchors have no key {key!r}{nearest(key, anchors.keys)}")
    found = anchors.keys[key].nan_to_num(1.0)
    if found.dim() != 1 or bool((found <= 0).any()):
        wrong = f"{int((found <= 0).sum())} of {len(found)} anchors have one that is not above 0" if found.dim() == 1 else "several a row"
        raise DataError(f"temperature = {key!r}: {wrong}; the key must hold one number > 0 for each row")
    return found


def _is_value(part: Part, name: str) -> bool:
    return Part in getattr(options.hints_of(part.make).get(name), "__args__", ())


class Model(Protocol):
    """What a recipe's encoder builds: an nn.Module whose children are the named parts (backbone, projector, teacher, queue …).

    A child may define `after_update(out, now)`: the only place where a teacher moves, a queue enqueues, prototypes renormalise.
    """

    def forward(self, views: Sequence[View], now: Progress) -> Embeddings:
        """All views at once; latent views are made here."""
        ...

    def embed(self, batch: Batch) -> Embeddings:
        """Inference: {"embedding": Rows (b, d)}, which transform, search, evaluation and export use."""
        ...


@dataclass(frozen=True)
class Update:
    """One optimiser step on a batch; several make an alternation or an adversary (sign −1).

    train, terms: globs over the model's children and the objective's names.   optimizer: None = the one `fit` chose.
    frozen: part → Value; the part does not learn while the value is > 0.
    """

    train: tuple[str, ...] = ("*",)
    terms: tuple[str, ...] = ("*",)
    optimizer: Part | None = None
    sign: int = 1
    frozen: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """The one callback: `do(run)` before a batch is drawn, at "start", "stage", "epoch" or every n steps, where `when` > 0.

    It may write run.columns, run.tables, weights of parts, the data; nothing else.
    """

    do: Part
    at: str | int = "epoch"
    when: Value = 1.0


@dataclass(frozen=True)
class Stage:
    """A share of the budget with dotted changes to the recipe, and parts that start anew."""

    name: str
    share: float
    changes: Mapping[str, Any] = field(default_factory=dict)
    restart: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A method, ready to run.

    data:      (dataset, generator, batch=) -> iterator of (b,) item ids for one epoch.
    views:     (Batch, Generator, Progress) -> Sequence[View]; a whole batch at a time, no parameters.
    encoder:   (Spec) -> Model.
    objective: name -> Contrast or Term.
    """

    data: Part
    views: Part
    encoder: Part
    objective: Mapping[str, Contrast | Term]
    updates: tuple[Update, ...] = (Update(),)
    rounds: tuple[Round, ...] = ()
    stages: tuple[Stage, ...] = ()

    def at(self, path: str, value: Any) -> Recipe:
        """A copy with the value at a dotted path replaced, checked against the signature it belongs to."""
        try:
            return cast(Recipe, options.set_at(self, path, value))
        except OptionError as error:
            raise OptionError(f"{path}: {error}") from None

    def get(self, path: str) -> Any:
        """The value at a dotted path."""
        return options.get_at(self, path)

    def diff(self, other: Recipe) -> set[str]:
        """Dotted paths at which two recipes differ: what a method changes is computed, never claimed."""
        return set(options.differences(self, other))

    def parts(self) -> Iterator[tuple[str, Part]]:
        """Every part in the recipe with its path."""
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, node = stack.pop()
            if isinstance(node, Part):
                yield path, node
            inner = node.options if isinstance(node, Part) else options.children(node)
            stack += [(f"{path}.{k}" if path else k, v) for k, v in inner.items()]

    def requires(self) -> dict[str, dict[str, str]]:
        """{"column" | "table" | "modality": {name: the path that asks for it}}: needs of all parts less what the parts provide."""
        needed: dict[str, dict[str, str]] = {"column": {}, "table": {}, "modality": {}}
        provided: set[tuple[str, str]] = set()
        for path, part in self.parts():
            given = part.effective()
            for kind, names in getattr(part.make, "__requires__", {}).items():
                for name in names:
                    resolved = given.get(name[1:-1]) if name.startswith("{") else name
                    for one in resolved if isinstance(resolved, (tuple, list)) else [resolved]:
                        if isinstance(one, str):
                            needed[kind][one] = path
            for kind, names in getattr(part.make, "__provides__", {}).items():
                for name in names:
                    resolved = given.get(name[1:-1]) if name.startswith("{") else name
                    gifts = resolved if isinstance(resolved, (tuple, list)) else [resolved]
                    provided |= {(kind, one) for one in gifts if isinstance(one, str)}
        for name, term in self.objective.items():
            if isinstance(term, Contrast) and term.temperature is not None:
                needed["column"][term.temperature] = f"objective.{name}.temperature"
        always = {("column", "item"), ("column", "view"), ("column", "position")}
        return {k: {n: p for n, p in v.items() if (k, n) not in provided | always} for k, v in needed.items()}


def requires(**needs: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare what a function needs of the data: `@requires(column=("patient",))`; "{key}" stands for the value of its option `key`."""

    def mark(make: Callable[..., Any]) -> Callable[..., Any]:
        make.__requires__ = needs  # type: ignore[attr-defined]
        return make

    return mark


def joint(option: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare that rows of a loss or a pair rule depend on each other (a softmax over anchors, say), always or where `option` is on.

    With several processes each then computes it over the anchors of all, so that it equals the loss of the whole batch.
    """

    def mark(make: Callable[..., Any]) -> Callable[..., Any]:
        make.__joint__ = option or True  # type: ignore[attr-defined]
        return make

    return mark


def provides(**gifts: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare what a function brings (a column that a round writes, a key that a view adds), in the form of `requires`."""

    def mark(make: Callable[..., Any]) -> Callable[..., Any]:
        make.__provides__ = gifts  # type: ignore[attr-defined]
        return make

    return mark


@dataclass(frozen=True)
class Modality:
    """One kind of observation in a data set.

    kind:  image volume video audio series table graph text interactions triples points skeleton array.
    shape: of one item, without the batch: image (c, h, w), series (c, t), table (columns,), text (tokens,), array (d,).
    info:  what an encoder needs beside it, plain values only: series {"ragged": bool}; table {"numeric": k, "categories": (sizes…)};
           text {"vocabulary": size}; image {"mean": […], "std": […]}.
    """

    kind: str
    shape: tuple[int, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """What is known of the data before training; given to every builder.

    columns: name → (number of distinct known values, share of items where it is known).
    """

    items: int
    modalities: Mapping[str, Modality]
    columns: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """The kind of the only modality, or "paired" where there are several."""
        return next(iter(self.modalities.values())).kind if len(self.modalities) == 1 else "paired"

    @property
    def only(self) -> Modality:
        """The only modality; an error where there are several."""
        if len(self.modalities) != 1:
            raise RequirementError(f"this works on one modality and the data have {len(self.modalities)}: {', '.join(self.modalities)}")
        return next(iter(self.modalities.values()))


@dataclass(frozen=True)
class Claim:
    """A paper's headline, put small; `counterpoint claim SLUG` runs it.

    data:      name and size, "cifar10[8000]".   read: options of reading it (label, text, kind …).
    metric:    the figure that decides, one of those the protocol gives.   direction: "higher" or "lower" is better.
    paper:     its own words and figures.
    protocol:  a module of `counterpoint.evaluation.protocols`, and `options` of its function.
    arms:      name → slug of a method, or changes: options of the method and dotted paths ("method" names another one). "baseline" is
               the method's baseline where it is not given; "method", the method as it is, need not be given.
    settings:  options of `fit` that all arms share (epochs, batch, lr …): an equal number of steps for all.
    trial:     dotted name of (seed, **changes) -> {figure: number}, in place of training and protocol, for what trains no encoder.
    note:      what was seen, further tries with their figures, and why, above all where it does not hold.
    """

    data: str
    metric: str
    paper: str
    arms: Mapping[str, Mapping[str, Any] | str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)
    protocol: str = "labels"
    options: Mapping[str, Any] = field(default_factory=dict)
    direction: Literal["higher", "lower"] = "higher"
    trial: str | None = None
    note: str = ""


def match(name: str, globs: Sequence[str]) -> bool:
    """Whether a dotted part name falls under one of the globs ("encoder" covers "encoder.block")."""
    return "*" in globs or any(fnmatch(name, g) or fnmatch(name, f"{g}.*") for g in globs)


__all__ = [
    "UNKNOWN", "Batch", "Claim", "Contrast", "Embeddings", "Generator", "Graph", "Modality", "Model", "Objective", "Part", "Progress",
    "Recipe", "Round", "RowLoss", "Rows", "Select", "Spec", "Stage", "Term", "Update", "Value", "View", "joint", "match", "nn", "pick",
    "provides", "requires", "value_of",
]  # fmt: skip
