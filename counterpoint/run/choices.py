"""What `fit` chooses where nothing is said: the method, the split, batch and epochs; and the checks before anything is built."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from torch import Tensor

from counterpoint import encoders, evaluation
from counterpoint.core import options, registry
from counterpoint.core.errors import OptionError, RequirementError, nearest
from counterpoint.core.recipe import Recipe, Spec
from counterpoint.run.views import Chosen, put_views
from counterpoint.training.settings import Settings

READING = ("kind", "label", "text", "columns", "modalities", "size", "limit", "memory", "on_bad", "tokenizer")
HOLDOUT = 0.2
WHOLE_GRAPH = 2**26  # features of all nodes that are encoded at every step, at most


def default_method(spec: Spec) -> str:
    return "clip" if spec.kind == "paired" else "simclr"


def sort_options(chosen: registry.Method, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The method's own options, and dotted paths; an unknown name is refused with the nearest of all that would do."""
    known = options.parameters(chosen.build)
    own = {k: v for k, v in given.items() if k in known}
    dotted = {k: v for k, v in given.items() if k not in known and "." in k}
    for name in given:
        if name not in own and name not in dotted:
            everything = [*known, *Settings.names(), *READING, "encoder", "views", "objective.…"]
            raise OptionError(f"{chosen.slug} and fit have no option {name!r}{nearest(name, everything)}")
    return own, dotted


def build_recipe(
    chosen: registry.Method, spec: Spec, own: Mapping[str, Any], dotted: Mapping[str, Any], encoder: str | None, given: Chosen | None
) -> Recipe:
    """The method's recipe with the encoder and views that `fit` was given, then the dotted paths."""
    recipe = chosen(spec, **own)
    if encoder is not None:
        recipe = recipe.at("encoder.backbone", encoders.named(spec, encoder))
    if given is not None:
        recipe = put_views(recipe, spec, given, chosen.slug)
    for path, value in dotted.items():
        recipe = recipe.at(path, value)
    return recipe


def check_requirements(recipe: Recipe, spec: Spec, slug: str) -> None:
    have = {"column": spec.columns, "table": spec.tables, "modality": spec.modalities}
    for kind, names in recipe.requires().items():
        for name, path in names.items():
            if name not in have[kind]:
                there = ", ".join(sorted(have[kind])) or "none"
                what = "a label: give --label NAME" if (kind, name) == ("column", "label") else f"the {kind} {name!r}"
                would = [m.slug for m in registry.methods(spec.kind) if m.slug != slug and not m.needs()]
                raise RequirementError(
                    f"{slug} needs {what} ({path}); the data have {kind}s: {there}; without it these would do: {', '.join(would[:6])}"
                )


def hold_out(seed: int) -> Callable[[Any, Any], Any]:
    """What data.read asks where the data have no test part: a fifth where there are labels to score with, else nothing."""

    def holdout(labels: Any, groups: Any) -> np.ndarray:
        items = len(labels) if labels is not None else 0
        if labels is None or items < 20 or int((labels >= 0).sum()) < 10:
            return np.full(items, -1, np.int8) if labels is not None else np.int8(-1)  # type: ignore[return-value]
        return evaluation.holdout(labels, groups, share=HOLDOUT, seed=seed)

    return holdout


def split_of(given: Any, seed: int) -> Tensor:
    """The parts of a data set (0 train, 1 held out, −1 neither): its own, or drawn where labels were given later."""
    if bool((given.split == 1).any()):
        return cast(Tensor, given.split)
    labels, groups = (None if given.columns.get(n) is None else given.columns[n].numpy() for n in ("label", "group"))
    drawn = torch.full((given.items,), -1, dtype=torch.int8)
    return drawn.copy_(torch.as_tensor(hold_out(seed)(labels, groups)))


def budget(settings: Settings, training_set: Any, recipe: Recipe) -> Settings:
    """What was not said: at least 32 steps a pass, epochs so that a laptop sees some 400,000 items, a small lr for what is pre-trained.

    A graph that is small enough is encoded whole at every step, which is then made for 2,048 nodes; of a larger one 10 neighbours of each
    node of a batch and 10 of theirs come along.
    """
    items, epochs, neighbours = training_set.items, settings.epochs, settings.neighbours
    if neighbours is not None and not training_set.linked:
        raise OptionError(f"neighbours = {list(neighbours)} is for the nodes of a graph; these data have no links")
    if neighbours is None and training_set.linked:
        features = sum(math.prod(m.shape) for m in training_set.spec.modalities.values())
        neighbours = () if len(training_set.parts) * features <= WHOLE_GRAPH else (10, 10)
    if epochs is None and settings.time is None:
        epochs = int(min(max(400_000 // max(items, 1), 3), 200))
    known = {k: v for _, part in recipe.parts() for k, v in part.options.items() if k in ("path", "pretrained_path")}
    batch = settings.batch or min(max(items // 32, 16), 256, settings.effective_batch or 256)
    if neighbours == () and settings.batch is None:
        batch = min(items, 2048, settings.effective_batch or 2048)
    lr = settings.lr or (3e-5 if any(known.values()) else 1e-3)
    return dataclasses.replace(settings, batch=batch, epochs=epochs, lr=lr, neighbours=neighbours)


def training_part(given: Any, split: Tensor) -> Any:
    """The items that are not held out."""
    return given.subset(given.ids[split != 1]) if bool((split == 1).any()) else given


def unfold(path: Path) -> dict[str, Any]:
    """What a config.yaml asks for, as keywords of `fit`: its method, options, set, encoder, views, settings and data.

    The entries "recipe", "versions" and the like record what it came to and are not read.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"config = {str(path)!r} cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OptionError(f"config = {str(path)!r} is not YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(tree, dict):
        raise OptionError(f"config = {str(path)!r} holds no entries; it should hold method, options, set, settings, data")
    asked = ("method", "options", "set", "encoder", "views", "settings", "data")
    recorded = ("counterpoint", "views_chosen", "recipe", "versions", "started")
    for key in tree:
        if key not in (*asked, *recorded):
            raise OptionError(f"{path} has an entry {key!r}{nearest(str(key), asked)}")
    found: dict[str, Any] = {k: tree[k] for k in ("method", "encoder", "views") if tree.get(k) is not None}
    for key in ("options", "set", "settings"):
        found |= {k: options.from_plain(v) for k, v in (tree.get(key) or {}).items() if v is not None}
    about = tree.get("data") or {}
    found |= about.get("read") or {}
    return found | ({"source": about["source"]} if about.get("source") is not None else {})


def merge(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`more` before `base`; a budget given in one replaces the other kind of budget."""
    budgets = {"epochs", "time"}
    kept = {k: v for k, v in base.items() if not (k in budgets and budgets & more.keys())}
    return {**kept, **more}


def plain_only(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Options of reading that config.yaml can hold: names and numbers, not labels or columns that were given as values."""

    def plain(value: Any) -> bool:
        if isinstance(value, Mapping):
            return all(map(plain, value.values()))
        return value is None or isinstance(value, (str, int, float, bool)) or (isinstance(value, (tuple, list)) and len(value) <= 3)

    return {k: v for k, v in reading.items() if plain(v)}
