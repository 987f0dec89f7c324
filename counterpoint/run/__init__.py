"""From data to a run folder and back: fit, load, and what a finished run can do."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from counterpoint import __version__, data, encoders
from counterpoint.core import options, registry
from counterpoint.core.errors import DataError, OptionError, RunError
from counterpoint.core.recipe import Recipe, Spec
from counterpoint.run.choices import (
    READING,
    budget,
    build_recipe,
    check_requirements,
    default_method,
    hold_out,
    merge,
    plain_only,
    sort_options,
    split_of,
    training_part,
    unfold,
)
from counterpoint.run.folder import (
    fingerprint,
    new_folder,
    now,
    read_config,
    save_embeddings,
    save_model,
    save_views,
    source_name,
    spec_from,
    versions,
    write_config,
)  # fmt: skip
from counterpoint.run.scores import embed, evaluate
from counterpoint.run.views import choose_views
from counterpoint.training import state
from counterpoint.training.loop import Training
from counterpoint.training.settings import Settings

__all__ = ["Run", "fit", "load"]


class Run:
    """A run folder, opened: embed, evaluate, search, report.

    folder: Path.   model: the encoder in eval mode.   recipe: Recipe.   config: the content of config.yaml.
    """

    def __init__(self, folder: Path, model: nn.Module, recipe: Recipe, spec: Spec, config: dict[str, Any], preprocessing: Any) -> None:
        self.folder, self.model, self.recipe, self.spec = folder, model.eval(), recipe, spec
        self.config, self.preprocessing = config, preprocessing
        self._data: Any = None

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, method={self.config['method']!r}, kind={self.spec.kind!r})"

    @property
    def data(self) -> Any:
        """The data set the run was trained on, read again where it came from a path."""
        if self._data is None:
            source = self.config["data"].get("source")
            if source is None:
                raise DataError(f"{self.folder} was trained on data in memory; give the data")
            seed = self.config["settings"]["seed"]
            self._data = data.read(source, preprocessing=self.preprocessing, holdout=hold_out(seed), **self.config["data"]["read"])
        return self._data

    def read(self, source: Any, **how: Any) -> Any:
        """New data, prepared exactly as the training data were."""
        kept = {k: v for k, v in self.config["data"]["read"].items() if k in ("kind", "text", "modalities", "tokenizer")}
        return data.read(source, preprocessing=self.preprocessing, **{**kept, **how})

    def embed(self, source: Any, *, batch: int = 512) -> np.ndarray:
        """Embeddings (n, d) float32 of new data, in their order.

        source: anything that `fit` takes, of the same kind and shape.
        """
        return embed(self.model, self.read(source), batch)

    def evaluate(self, source: Any = None, labels: Any = None, *, seed: int | None = None, label: str | None = None) -> dict[str, Any]:
        """Scores of the trained encoder beside the untrained one, PCA and the raw input, and the protocol they follow.

        source: data; the training data where it is None (their held-out part is the test).
        labels: (n,) numbers or words; the data's own labels where it is None.
        """
        seed = self.config["settings"]["seed"] if seed is None else seed
        how = {"label": label} if label else {}
        given = self.data if source is None else self.read(source, **how)
        if labels is not None:
            given = given.with_columns({"label": labels})
        return evaluate(self, given, self.split(given), seed)

    def split(self, given: Any) -> Tensor:
        """0 = train, 1 = held out, by item: as it was when the run was trained."""
        return split_of(given, self.config["settings"]["seed"])

    def search(self, queries: Any, source: Any = None, *, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """(cosines, ids), both (q, k): the k items nearest to each query.

        source: what to search in; the training data where it is None.
        """
        from counterpoint.index import Index

        if source is None:
            vectors, ids = self._stored()
        else:
            vectors = self.embed(source)
            ids = np.arange(len(vectors))
        return Index(vectors, ids).search(self.embed(queries), k)

    def _stored(self) -> tuple[np.ndarray, np.ndarray]:
        import pyarrow.parquet as pq

        path = self.folder / "embeddings.parquet"
        try:
            table = pq.read_table(path, columns=["id", "vector"])
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{path} is missing or broken ({str(error).splitlines()[0]})") from None
        flat = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(table), -1).astype(np.float32), table["id"].to_numpy()

    def report(self) -> Path:
        """Write report.html again from the folder's files."""
        from counterpoint.report import write

        return write(self.folder)


def fit(
    source: Any = None,
    *,
    method: str | None = None,
    epochs: int | None = None,
    time: float | str | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    resume: str | os.PathLike[str] | None = None,
    evaluate: bool = True,
    report: bool = True,
    say: Callable[[str], None] | None = None,
    on_step: Callable[[Training, dict[str, Any]], None] | None = None,
    **chosen: Any,
) -> Run:
    """Learn a representation of `source` and keep everything in a run folder.

    source: a path, an array, a DataFrame, a list of texts, a dictionary modality → any of these.
    method: slug; chosen by the kind of data where it is None.
    epochs, time, seed: the budget and the seed; see Settings for more options of training (batch, lr …).
    out: the folder; a new one under runs/ where it is None.
    config: a config.yaml (a run's own repeats that run); what is given beside it goes before it.
    resume: a folder to continue; everything but `source` comes from its config.yaml then.
    evaluate, report: whether the score table and the report are made, the latter with its map and its picture of views.
    chosen: options of reading (label, kind, text …), of training, of the method, or dotted paths of the recipe.
    """
    tell = say or (lambda text: None)
    if resume is not None:
        reading = {k: chosen.pop(k) for k in READING if k in chosen}
        if chosen or method or epochs or time or config or out or seed is not None:
            raise OptionError(f"resume continues {resume} with its own options; only the data may be given beside it")
        return _resume(source, reading, Path(resume), tell, on_step, evaluate, report)
    base = unfold(Path(config)) if config is not None else {}
    source = base.pop("source", None) if source is None else source
    if source is None:
        raise DataError("no data were given: fit takes a path, an array, a table or a list of texts")
    named = {"method": method, "epochs": epochs, "time": time, "seed": seed}
    chosen = merge(base, {**{k: v for k, v in named.items() if v is not None}, **chosen})
    method = chosen.pop("method", None)
    reading = {k: chosen.pop(k) for k in READING if k in chosen}
    settings = Settings(**{k: chosen.pop(k) for k in Settings.names() if k in chosen})
    encoder, views_preset = chosen.pop("encoder", None), chosen.pop("views", None)
    if encoder == "minilm" or (isinstance(encoder, str) and Path(encoder).expanduser().is_dir()):
        encoder = encoders.text_folder(encoder)  # a text encoder reads the ids of its own tokeniser
        reading.setdefault("tokenizer", encoder)
    started = now()
    given = data.read(source, holdout=hold_out(settings.seed), **reading)
    tell(given.summary())
    slug = method or default_method(given.spec)
    spec = given.spec
    chosen_method = registry.get(slug)
    own, dotted = sort_options(chosen_method, chosen)
    split = split_of(given, settings.seed)
    training_set = training_part(given, split)
    views_chosen = choose_views(views_preset, training_set, tell, chosen_method(spec, **own), slug)
    recipe = build_recipe(chosen_method, spec, own, dotted, encoder, views_chosen)
    check_requirements(recipe, spec, slug)
    settings = budget(settings, training_set, recipe)
    folder = new_folder(out, slug)
    record = {
        "counterpoint": __version__,
        "method": slug,
        "options": options.to_plain(own),
        "set": options.to_plain(dotted),
        "encoder": encoder,
        "views": views_preset,
        "settings": settings.plain(),
        "data": {
            "source": source_name(source),
            "read": plain_only(reading),
            "understood": given.summary(),
            "fingerprint": fingerprint(given),
        },
        **({"views_chosen": options.to_plain(views_chosen.record)} if views_chosen else {}),
        "recipe": options.to_plain(recipe),
        "versions": versions(),
        "started": started,
    }
    training = Training(recipe, training_set, settings, folder)  # what can be wrong is wrong before anything is written
    training.folder = folder = training.fabric.broadcast(folder)
    if training.fabric.global_rank == 0:
        write_config(folder, record)
    return _train(training, given, split, folder, record, spec, tell, on_step, evaluate, report)


def _train(
    training: Training, given: Any, split: Tensor, folder: Path, config: dict[str, Any], spec: Spec,
    tell: Callable[[str], None], on_step: Any, with_evaluation: bool, with_report: bool,
) -> Run:  # fmt: skip
    training.fit(on_step)
    run = Run(folder, training.model, training.whole, spec, config, given.preprocessing)
    run._data = given
    if not training.finished or training.fabric.global_rank != 0:
        return run
    save_model(run)
    verdict = training.verdict()
    state.write_text(folder / "health.json", json.dumps(verdict, indent=1))
    save_embeddings(run, given, split, mapped=with_report)
    if with_report:
        save_views(run, given)
    if with_evaluation:
        tell("evaluating")
        result = evaluate(run, given, split, config["settings"]["seed"])
        state.write_text(folder / "evaluation.json", json.dumps(result, indent=1))
    if with_report:
        run.report()
    return run


def _resume(
    source: Any, reading: dict[str, Any], folder: Path, tell: Callable[[str], None], on_step: Any, with_evaluation: bool, with_report: bool
) -> Run:
    config = read_config(folder)
    where = source if source is not None else config["data"]["source"]
    if where is None:
        raise DataError(f"{folder} was started on data in memory; give them again to resume")
    given = data.read(where, holdout=hold_out(config["settings"]["seed"]), **{**config["data"]["read"], **reading})
    if fingerprint(given) != config["data"]["fingerprint"]:
        raise RunError(f"{where} is not what {folder} was started on ({config['data']['understood']}); resume needs the same data")
    recipe = options.from_plain(config["recipe"])
    settings = Settings(**config["settings"])
    if settings.pause_after is not None:
        settings = dataclasses.replace(settings, pause_after=None)
    split = split_of(given, settings.seed)
    training_set = training_part(given, split)
    training = Training(recipe, training_set, settings, folder)
    training.resume()
    tell(f"{given.summary()}; resumed at step {training.now.step} of {training.now.steps}")
    return _train(training, given, split, folder, config, given.spec, tell, on_step, with_evaluation, with_report)


def load(folder: str | os.PathLike[str]) -> Run:
    """Open the folder of a finished run."""
    folder = Path(folder)
    config = read_config(folder)
    try:
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except OSError:
        unfinished = (folder / "checkpoint" / "latest").exists()
        hint = f"it is unfinished; continue it with: counterpoint fit --resume {folder}" if unfinished else "is this the folder of a run?"
        raise RunError(f"{folder} holds no model.json: {hint}") from None
    except ValueError as error:
        raise RunError(f"{folder / 'model.json'} is broken ({error})") from None
    try:
        spec = spec_from(card["spec"])
        recipe = options.from_plain(config["recipe"])
        preprocessing = card["preprocessing"]
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder / 'model.json'} is broken: {type(error).__name__} {error}") from None
    model = recipe.encoder(spec)
    try:
        model.load_state_dict(state.read_tensors(folder / "model.safetensors"))
    except RuntimeError as error:
        raise RunError(f"{folder / 'model.safetensors'} does not fit model.json ({str(error).splitlines()[0]})") from None
    return Run(folder, model, recipe, spec, config, preprocessing)
