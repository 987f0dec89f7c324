"""What `fit --views NAME` does: the views of that name for each modality, put where the method's recipe makes its views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from counterpoint import views
from counterpoint.core import options
from counterpoint.core.errors import OptionError, nearest
from counterpoint.core.options import Part
from counterpoint.core.recipe import Modality, Recipe, Spec
from counterpoint.views.partners import partnered

STRENGTHS = ("weak", "default", "strong")
SAMPLE = 1000  # items on which one modality of several is measured


@dataclass(frozen=True)
class Chosen:
    """Views by modality. record: for config.yaml and the report, modality → {"name", "why", and where they were measured "measured"}."""

    asked: str
    presets: Mapping[str, views.Preset]
    record: Mapping[str, dict[str, Any]] = field(default_factory=dict)


def choose_views(name: str | None, training_set: Any, tell: Callable[[str], None], recipe: Recipe, slug: str) -> Chosen | None:
    """What `views=` names: weak, default, strong, a preset of the kind, or auto, which measures them on the training items.

    Of several modalities each has its own; those whose kind has no views of the name keep the method's. Raises OptionError, before
    anything is measured, where the recipe has no place for other views.
    """
    if name is None:
        return None
    if not isinstance(name, str):
        raise OptionError(f"views = {name!r} is not a word; give weak, default, strong, auto, or the name of a preset")
    _, form = _place(recipe, training_set.spec, name, slug)
    modalities: Mapping[str, Modality] = training_set.spec.modalities
    if name == "auto":
        return _measured(training_set, tell, one_law=form != "two")
    found, refused = {}, []
    for field_, modality in modalities.items():
        try:
            found[field_] = views.named(modality, name=name)
        except OptionError as error:
            refused.append(str(error))
    if not found:
        raise OptionError(f"there are no views called {name!r}; did you mean 'auto'?" if _meant(name, modalities) else "; ".join(refused))
    return Chosen(name, found, {k: {"name": p.name, "why": p.why} for k, p in found.items()})


def _meant(name: str, modalities: Mapping[str, Modality]) -> bool:
    """Whether a name that is not there is most like auto."""
    names = {"auto", *STRENGTHS, *(n for m in modalities.values() for n in views.presets().get(m.kind, ()))}
    return nearest(name, names) == "; did you mean 'auto'?"


def _measured(training_set: Any, tell: Callable[[str], None], one_law: bool) -> Chosen:
    modalities = training_set.spec.modalities
    found, record = {}, {}
    for name, modality in modalities.items():
        alone = len(modalities) == 1
        choice = views.choose(training_set, one_law=one_law) if alone else _of_several(training_set, name, modality)
        tell(choice.why if alone else f"{name}: {choice.why}")
        found[name] = choice.preset
        rows = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in choice.table]
        record[name] = {"name": choice.name, "why": choice.why, "measured": rows}
    return Chosen("auto", found, record)


def _of_several(training_set: Any, name: str, modality: Modality) -> views.Choice:
    """One modality of a set measured alone; its labels are those of the items."""
    chosen = torch.randperm(training_set.items, generator=torch.Generator().manual_seed(0))[:SAMPLE].sort().values
    column = training_set.columns.get("label")
    labels = column[chosen] if column is not None and not column.is_floating_point() else None
    return views.choose(training_set.batch(training_set.ids[chosen]).fields[name], labels, modality=modality, one_law=True)


def put_views(recipe: Recipe, spec: Spec, chosen: Chosen, slug: str) -> Recipe:
    """The recipe with these views in the place of its own."""
    path, form = _place(recipe, spec, chosen.asked, slug)
    if form == "each":
        return recipe.at(f"{path}.transforms", _each(recipe.get(path), chosen))
    preset = next(iter(chosen.presets.values()))
    first, second, *more = preset.transforms
    if form != "crops" and more:
        raise OptionError(
            f"views = {chosen.asked!r} makes {len(preset.transforms)} views of an item, and {slug} takes no small ones; swav does"
        )
    if form == "two":
        recipe = recipe.at(f"{path}.transform", first)
        return recipe.at(f"{path}.second", second) if second != first else recipe
    if second != first and not more:
        raise OptionError(f"views = {chosen.asked!r} makes two different views, and {slug} makes all by one law; give another preset")
    large, little = (first, second)
    if form == "crops":
        large, little = (first, more[-1]) if more else views.crop_transforms(spec.only, first, second)
    return recipe.at(f"{path}.global_transform", large).at(f"{path}.local_transform", little)


def _each(part: Part, chosen: Chosen) -> dict[str, Part]:
    """The transform of every modality; of a preset with two laws a single view would be half of it."""
    made = dict(part.options["transforms"])
    for name, preset in chosen.presets.items():
        if preset.transforms[0] != preset.transforms[-1]:
            raise OptionError(f"views = {chosen.asked!r} makes two different views, and of {name!r} one is looked at; give another preset")
        if name in made:
            made[name] = preset.transforms[0]
    return made


def _place(recipe: Recipe, spec: Spec, asked: str, slug: str) -> tuple[str, str]:
    """(path, form) of the part where views may be put: "two" laws, "crops" of much and of little, the "same" for all, "each" modality.

    A method that takes the default of the kind takes others as well; where its views are its own, it would no longer be that method.
    """
    path = "views"
    while recipe.get(path).make is partnered:
        path += ".views"
    part = recipe.get(path)
    if part.make is views.two and part.effective()["second"] is None:
        return path, "two"
    if part.make is views.modalities and part.effective()["transforms"]:
        return path, "each"
    if part.make is views.multi_crop:
        own = part.options["global_transform"], part.options["local_transform"]
        default = views.default(spec)
        if own == (default, default):
            return path, "same"
        if own == views.default_crop_transforms(spec.only):
            return path, "crops"
    inside = {k: v for k, v in part.effective().items() if isinstance(v, Part)}
    said = ", ".join(f"{path}.{k} ({options.name_of(v.make)})" for k, v in inside.items())
    raise OptionError(
        f"views = {asked!r} cannot be given to {slug}: its own views ({options.name_of(part.make)}) are what it learns from; "
        + (f"single options can be set, inside {said}" if said else "it takes items as they are")
    )
