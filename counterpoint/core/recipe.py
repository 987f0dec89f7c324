"""The types that flow: Batch → [View] → Embeddings → (Scores, Pairs) → RowLoss, and the Recipe that joins them.

Letters in shapes: b items of a batch, n rows (anchors), m rows (candidates), d width, v views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from counterpoint.core import options
from counterpoint.core.errors import OptionError, RequirementError, nearest
from counterpoint.core.options import Part

if TYPE_CHECKING:
    from counterpoint.core.similarity import Pairs, Scores

UNKNOWN = -1  # the value of an integer key that is not known; NaN for real-valued keys


@dataclass(frozen=True)
class Progress:
    """Where a run stands. `share` goes from 0 to 1 over the whole run."""

    step: int = 0
    steps: int = 1
    epoch: int = 0
    epochs: int = 1
    stage: str = ""

    @property
    def share(self) -> float:
        return min(self.step / max(self.steps, 1), 1.0)


Value = float | Part  # a number, or a part `(Progress) -> float` for a number that moves; stateless


def value_of(value: Value, now: Progress) -> float:
    """The number that `value` is at this moment."""
    return float(value(now)) if isinstance(value, Part) else float(value)


@dataclass(frozen=True)
class Batch:
    """Items as they come from the data.

    fields: modality → (b, …) tensor; a set with one modality calls it "x".
    keys:   name → (b,) tensor: "item" (the item's id in the set) always; columns of the data and of the run beside it.
    tables: of the whole set, read-only, shared by all batches: edges, known triples, banks.
    """

    fields: Mapping[str, Any]
    keys: Mapping[str, Tensor]
    tables: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys["item"])

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        def move(x: Any) -> Any:
            return x.to(device, non_blocking=non_blocking) if hasattr(x, "to") else x

        return replace(
            self,
            fields={k: move(v) for k, v in self.fields.items()},
            keys={k: move(v) for k, v in self.keys.items()},
        )


@dataclass(frozen=True)
class View:
    """One observation of each item of a batch.

    name:   its role: "global", "local", "masked", "image" … ; several views may share it.
    fields: modality → (b, …) tensor.
    keys:   "item" and what was done: crop box, flip, mask, strength, time … (b,) or (b, k).
    """

    name: str
    fields: Mapping[str, Any]
    keys: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.keys["item"])

    def part(self, start: int, stop: int) -> View:
        """The items start … stop of this view."""
        cut = {k: v[start:stop] for k, v in self.fields.items()}
        return View(self.name, cut, {k: v[start:stop] for k, v in self.keys.items()})


@dataclass(frozen=True)
class Rows:
    """Vectors with identity: projections, tokens, prototypes, a queue, a bank, another modality, a teacher.

    z:      (n, d), not normalised.
    keys:   name → (n,) or (n, k), aligned with z: "item", "view" (position in the list of views), "label" …; −1 / NaN = unknown.
    shared: not made from this batch (parameters, queue, bank): never gathered from other devices, never chunked.
    roles:  the names of the views that the key "view" counts.
    """

    z: Tensor
    keys: Mapping[str, Tensor]
    shared: bool = False
    roles: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.z)

    def where(self, mask: Tensor) -> Rows:
        """The rows of a boolean mask or of a tensor of positions."""
        return replace(self, z=self.z[mask], keys={k: v[mask] for k, v in self.keys.items()})

    def detach(self) -> Rows:
        return replace(self, z=self.z.detach())

    @staticmethod
    def cat(parts: Sequence[Rows]) -> Rows:
        """Rows below each other. A key that one of them lacks is unknown there; `shared` only if all are."""
        if len(parts) == 1:
            return parts[0]
        names = {name: next(p.keys[name] for p in parts if name in p.keys) for p in parts for name in p.keys}
        keys = {}
        for name, like in names.items():
            filler = math.nan if like.is_floating_point() else UNKNOWN
            keys[name] = torch.cat(
                [p.keys.get(name, like.new_full((len(p), *like.shape[1:]), filler)).to(like.device) for p in parts]
            )
        roles = max((p.roles for p in parts), key=len)
        return Rows(torch.cat([p.z for p in parts]), keys, all(p.shared for p in parts), roles)


Embeddings = dict[str, Rows]  # space → rows; the views of a space are stacked, keys["view"] tells them apart


@dataclass(frozen=True)
class RowLoss:
    """A loss, row by row: the engine averages `values` over `counted` rows of all devices.

    values (n,), 0 where not counted; counted (n,) bool; chance: the value at random embeddings, None where it has none.
    """

    values: Tensor
    counted: Tensor
    chance: float | None = None

    def mean(self) -> Tensor:
        """Mean over counted rows; zero with a graph attached when there are none."""
        return self.values.sum() / self.counted.sum().clamp(min=1)


@dataclass(frozen=True)
class Select:
    """Some rows of a space: those of the views with these roles (or these positions), and with these key values."""

    space: str
    views: tuple[str | int, ...] | None = None
    where: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, out: Mapping[str, Rows]) -> Rows:
        if self.space not in out:
            raise RequirementError(f"the model emits no space {self.space!r}{nearest(self.space, out)}")
        rows = out[self.space]
        mask = None
        if self.views is not None:
            wanted = [i for i, role in enumerate(rows.roles) if role in self.views or i in self.views]
            mask = torch.isin(rows.keys["view"], torch.tensor(wanted, device=rows.z.device))
        for key, wanted_value in self.where.items():
            hit = rows.keys[key] == wanted_value
            mask = hit if mask is None else mask & hit
        return rows if mask is None else rows.where(mask)


Spaces = str | Select | tuple[str | Select, ...]


def pick(out: Mapping[str, Rows], spaces: Spaces) -> Rows:
    """The rows of a space, of a selection, or of several below each other."""
    several = spaces if isinstance(spaces, tuple) else (spaces,)
    return Rows.cat([(Select(s) if isinstance(s, str) else s)(out) for s in several])


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
    anchors, candidates: a space, a Select, or (candidates) several, concatenated. "a/*" against "b/*" is zipped and averaged.
    similarity: (anchors (n, d), candidates (m, d)) -> Scores; cosine by default.
    scale:      a space with one row that holds the logarithm of a learned scale; multiplies the scores.
    bias:       a space with one row that holds a learned bias; added after the scale.
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

    def __call__(self, out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss:
        if isinstance(self.anchors, str) and self.anchors.endswith("/*"):
            return self._zipped(out, tables, now)
        from counterpoint.core import similarity

        anchors, candidates = pick(out, self.anchors), pick(out, self.candidates)
        pairs: Pairs = self.pairs(anchors, candidates, tables)
        scores: Scores = (self.similarity or Part(similarity.cosine))(anchors.z, candidates.z)
        if self.scale is not None:
            scores = scores.times(out[self.scale].z.reshape(()).exp())
        if self.bias is not None:
            scores = scores.plus(out[self.bias].z.reshape(()))
        moving = {k: value_of(v, now) for k, v in self.loss.options.items() if isinstance(v, Part) and _is_value(self.loss, k)}
        return cast(RowLoss, self.loss(scores, pairs, **moving))

    def _zipped(self, out: Embeddings, tables: Mapping[str, Any], now: Progress) -> RowLoss:
        stems = [str(s).removesuffix("/*") for s in (self.anchors, self.candidates)]
        names = [sorted(s for s in out if s.startswith(f"{stem}/")) for stem in stems]
        if not names[0] or len(names[0]) != len(names[1]):
            raise RequirementError(f"{self.anchors} names {len(names[0])} spaces and {self.candidates} {len(names[1])}")
        each = [replace(self, anchors=a, candidates=c)(out, tables, now) for a, c in zip(*names, strict=True)]
        chances = [r.chance for r in each if r.chance is not None]
        return RowLoss(
            torch.cat([r.values for r in each]),
            torch.cat([r.counted for r in each]),
            sum(chances) / len(chances) if chances else None,
        )


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
                    provided |= {(kind, one) for one in (resolved if isinstance(resolved, (tuple, list)) else [resolved])}
        always = {("column", "item"), ("column", "view"), ("column", "position")}
        return {k: {n: p for n, p in v.items() if (k, n) not in provided | always} for k, v in needed.items()}


def requires(**needs: tuple[str, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare what a function needs of the data: `@requires(column=("patient",))`; "{key}" stands for the value of its option `key`."""

    def mark(make: Callable[..., Any]) -> Callable[..., Any]:
        make.__requires__ = needs  # type: ignore[attr-defined]
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
            raise RequirementError(
                f"this works on one modality and the data have {len(self.modalities)}: {', '.join(self.modalities)}"
            )
        return next(iter(self.modalities.values()))


@dataclass(frozen=True)
class Claim:
    """A paper's headline, put small.

    data:     name and size, "cifar10[8000]".   metric: "knn", "linear", "acc" …   paper: its own words and figures.
    arms:     name → dotted changes to the method's recipe, or the slug of a recipe; "baseline" by default the method's baseline.
    settings: options of `fit` that all arms share.   budget: "steps" | "passes" | "seconds", equal for all arms.
    """

    data: str
    metric: str
    paper: str
    arms: Mapping[str, Mapping[str, Any] | str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    direction: str = "higher"
    budget: str = "steps"


def match(name: str, globs: Sequence[str]) -> bool:
    """Whether a dotted part name falls under one of the globs ("encoder" covers "encoder.block")."""
    return any(fnmatch(name, g) or fnmatch(name, f"{g}.*") for g in globs)


__all__ = [
    "UNKNOWN", "Batch", "Claim", "Contrast", "Embeddings", "Generator", "Modality", "Model", "Objective", "Part", "Progress", "Recipe",
    "Round", "RowLoss", "Rows", "Select", "Spec", "Stage", "Term", "Update", "Value", "View", "match", "nn", "pick", "provides", "requires",
    "value_of",
]  # fmt: skip
