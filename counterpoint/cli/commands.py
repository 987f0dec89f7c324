"""The verbs. Each takes its words, calls the function of the same name, prints what came out. Heavy modules are imported inside."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from counterpoint import __version__

app = typer.Typer(
    name="counterpoint",
    help="Contrastive representation learning for any kind of data: embeddings, groups, search, and a score to believe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
methods_app = typer.Typer(help="The methods there are.", no_args_is_help=True, rich_markup_mode=None)
data_app = typer.Typer(help="The data sets that can be used by name.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(methods_app, name="methods")
app.add_typer(data_app, name="data")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Folder = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="DIR")]
Settings = Annotated[
    list[str], typer.Option("--set", help="An option of training, the method or any part: name=value.", metavar="NAME=VALUE")
]
Label = Annotated[Optional[str], typer.Option(help="Column that holds the labels (used for scores, and by methods that need them).")]  # noqa: UP045
Kind = Annotated[Optional[str], typer.Option(help="image, table, series, text, array, … where it is not recognised.")]  # noqa: UP045
Text = Annotated[Optional[str], typer.Option(help="Column that holds the text.")]  # noqa: UP045
Column = Annotated[list[str], typer.Option(help="A column to keep as a key: name=column (group=patient).", metavar="NAME=COLUMN")]


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def fit(
    source: Annotated[Optional[str], typer.Argument(help="Folder, file or name of a data set.", metavar="DATA")] = None,  # noqa: UP045
    method: Annotated[Optional[str], typer.Option(help="Method; see: counterpoint methods list.")] = None,  # noqa: UP045
    kind: Kind = None,
    label: Label = None,
    text: Text = None,
    column: Column = [],  # noqa: B006
    modality: Annotated[list[str], typer.Option(help="Paired data: modality=column.", metavar="NAME=COLUMN")] = [],  # noqa: B006
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the data.")] = None,  # noqa: UP045
    time: Annotated[Optional[str], typer.Option(help="Budget in place of epochs: 90s, 5m, 1h30m.")] = None,  # noqa: UP045
    seed: Annotated[Optional[int], typer.Option(help="Of everything random; 0 by default.")] = None,  # noqa: UP045
    out: Annotated[Optional[Path], typer.Option(help="Folder of the run; a new one under runs/ by default.", metavar="DIR")] = None,  # noqa: UP045
    encoder: Annotated[Optional[str], typer.Option(help="A timm model's name, or the folder of a transformers text encoder.")] = None,  # noqa: UP045
    views: Annotated[Optional[str], typer.Option(help="weak, default, strong, a preset, or auto (measured).")] = None,  # noqa: UP045
    size: Annotated[Optional[int], typer.Option(help="Side to which images are resized.")] = None,  # noqa: UP045
    limit: Annotated[Optional[int], typer.Option(help="Use only this many items, drawn at random.")] = None,  # noqa: UP045
    memory: Annotated[Optional[str], typer.Option(help="Stream from disk what is larger than this (8GB).")] = None,  # noqa: UP045
    on_bad: Annotated[Optional[str], typer.Option(help="What to do with unreadable items: error or skip.")] = None,  # noqa: UP045
    settings: Settings = [],  # noqa: B006
    config: Annotated[Optional[Path], typer.Option(help="A config.yaml to repeat or start from.", metavar="FILE")] = None,  # noqa: UP045
    resume: Annotated[Optional[Path], typer.Option(help="Continue the run of this folder.", metavar="DIR")] = None,  # noqa: UP045
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Learn a representation and keep everything in a run folder."""
    from counterpoint.cli.live import Live
    from counterpoint.cli.words import assignments, names
    from counterpoint.run import fit as run_fit

    given: dict[str, Any] = {
        "method": method, "kind": kind, "label": label, "text": text, "epochs": epochs, "time": time, "seed": seed, "encoder": encoder,
        "views": views, "size": size, "limit": limit, "memory": memory, "on_bad": on_bad,
        "columns": names(column, "--column") or None, "modalities": names(modality, "--modality") or None,
    }  # fmt: skip
    given = {k: v for k, v in given.items() if v is not None} | assignments(settings)
    live = Live(quiet)
    with live:
        run = run_fit(source, out=out, resume=resume, config=config, say=live.say, on_step=live.step, **given)
    live.end(run)


@app.command()
def embed(
    folder: Folder,
    source: Annotated[str, typer.Argument(help="Data of the same kind.", metavar="DATA")],
    out: Annotated[Path, typer.Option(help="Where the embeddings go: .parquet, .npy or .npz.", metavar="FILE")],
    text: Text = None,
) -> None:
    """Embed new data with the encoder of a run."""
    from counterpoint.cli.words import write_vectors
    from counterpoint.run import load

    run = load(folder)
    given = run.read(source, **({"text": text} if text else {}))
    vectors = run.embed(given)
    write_vectors(out, vectors, given.ids.numpy())
    print(f"{len(vectors):,} embeddings of {vectors.shape[1]} dimensions are in {out}")


@app.command()
def evaluate(
    folder: Folder,
    source: Annotated[Optional[str], typer.Argument(help="Data; those of the run by default.", metavar="DATA")] = None,  # noqa: UP045
    label: Label = None,
    seed: Annotated[Optional[int], typer.Option(help="Of splits and k-means; the run's by default.")] = None,  # noqa: UP045
    as_json: Json = False,
) -> None:
    """Score a run beside the untrained encoder, PCA and the raw input."""
    from counterpoint.run import load

    result = load(folder).evaluate(source, label=label, seed=seed)
    if as_json:
        print(json.dumps(result))
        return
    from rich.console import Console

    from counterpoint.report.terminal import score_table

    console = Console()
    console.print(score_table(result))
    console.print(result["protocol"], style="dim", highlight=False)


@app.command()
def search(
    folder: Folder,
    query: Annotated[str, typer.Argument(help="A file with what to look for (or a text, for text data).", metavar="QUERY")],
    source: Annotated[Optional[str], typer.Option("--in", help="Where to look; the run's own data by default.", metavar="DATA")] = None,  # noqa: UP045
    k: Annotated[int, typer.Option("-k", help="Number of neighbours.", min=1)] = 10,
    as_json: Json = False,
) -> None:
    """Find the items nearest to a query."""
    from counterpoint.cli.words import print_neighbours
    from counterpoint.run import load

    run = load(folder)
    text = run.spec.kind == "text" and not Path(query).exists()
    cosines, ids = run.search([query] if text else query, source, k=k)
    if as_json:
        print(json.dumps([{"cosines": c.tolist(), "ids": i.tolist()} for c, i in zip(cosines, ids, strict=True)]))
    else:
        print_neighbours(run, cosines, ids, source)


@app.command()
def report(folder: Folder) -> None:
    """Write report.html again."""
    from counterpoint.report import write
    from counterpoint.run.folder import read_config

    read_config(folder)
    print(write(folder))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the run.", metavar="DIR")] = Path("demo"),
    time: Annotated[str, typer.Option(help="Budget of training.")] = "5m",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """5,000 handwritten digits without labels, from pixels to a report."""
    from counterpoint.cli.demo import run_demo

    run_demo(out, time, seed)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed, which devices there are, and a self-test."""
    from counterpoint.cli.doctor import examine

    sys.exit(examine(as_json))


@app.command()
def compare(
    source: Annotated[str, typer.Argument(help="Folder, file or name of a data set.", metavar="DATA")],
    methods: Annotated[str, typer.Option(help="Methods, with commas between: simclr,dcl,cacr.", metavar="A,B,C")],
    seeds: Annotated[int, typer.Option(help="Each method is trained with seeds 0, 1, … .", min=1)] = 3,
    metric: Annotated[Optional[str], typer.Option(help="The figure that decides; kNN where there are labels.")] = None,  # noqa: UP045
    kind: Kind = None,
    label: Label = None,
    text: Text = None,
    epochs: Annotated[Optional[int], typer.Option(help="Passes over the data, the same for all.")] = None,  # noqa: UP045
    time: Annotated[Optional[str], typer.Option(help="Budget in place of epochs: 90s, 5m.")] = None,  # noqa: UP045
    limit: Annotated[Optional[int], typer.Option(help="Use only this many items, drawn at random.")] = None,  # noqa: UP045
    settings: Settings = [],  # noqa: B006
    out: Annotated[Optional[Path], typer.Option(help="Folder for comparison.json and comparison.html.", metavar="DIR")] = None,  # noqa: UP045
    as_json: Json = False,
) -> None:
    """Train several methods at equal budget and compare them: mean ± spread, a paired test, a table and a plot."""
    from counterpoint.cli.words import assignments
    from counterpoint.run.compare import compare as run_compare
    from counterpoint.run.folder import new_folder

    given: dict[str, Any] = {"kind": kind, "label": label, "text": text, "epochs": epochs, "time": time, "limit": limit}
    given = {k: v for k, v in given.items() if v is not None} | assignments(settings)
    slugs = [name.strip() for name in methods.split(",") if name.strip()]
    folder = new_folder(out, "comparison")
    say = (lambda text: print(text, file=sys.stderr)) if as_json else print
    result = run_compare(source, slugs, seeds=seeds, metric=metric, out=folder, say=say, **given)
    if as_json:
        print(json.dumps(result))
        return
    from rich.console import Console

    from counterpoint.report.comparison import terminal

    Console(highlight=False).print(terminal(result))
    print(f"page: {folder / 'comparison.html'}")


@app.command()
def claim(
    slugs: Annotated[Optional[list[str]], typer.Argument(help="Methods whose claim is run.", metavar="SLUG…")] = None,  # noqa: UP045
    every: Annotated[bool, typer.Option("--all", help="Run every claim there is (hours).")] = False,
    seeds: Annotated[int, typer.Option(help="Each arm is trained with seeds 0, 1, … .", min=1)] = 3,
    arm: Annotated[list[str], typer.Option(help="Run only this arm beside baseline and method.", metavar="NAME")] = [],  # noqa: B006
    data: Annotated[Optional[str], typer.Option(help="A further try: other data.", metavar="NAME")] = None,  # noqa: UP045
    settings: Annotated[list[str], typer.Option("--set", help="A further try: another setting of training.", metavar="NAME=VALUE")] = [],  # noqa: B006
    out: Annotated[Path, typer.Option(help="Folder for SLUG.json.", metavar="DIR")] = Path("claims/results"),
    as_json: Json = False,
) -> None:
    """Put a paper's claim to a small test: the method, its baseline and one arm a change, at equal budget.

    With --data or --set it is a further try, kept beside the result of the claim as it is stated.
    """
    from counterpoint.cli.words import assignments, print_claim
    from counterpoint.core.errors import CounterpointError, OptionError
    from counterpoint.run import claims

    if bool(slugs) == every:
        raise OptionError("name the methods whose claims to run, or --all; with a claim are: " + ", ".join(claims.claims()))
    say = (lambda text: print(text, file=sys.stderr, flush=True)) if as_json else (lambda text: print(text, flush=True))
    changed = assignments(settings)
    tried = changed | ({"data": data} if data else {})
    chosen = arm or ([] if tried else None)
    failed = []
    wanted = claims.claims() if every else slugs or []
    for slug in wanted:
        try:
            result = claims.run_claim(slug, seeds=range(seeds), arms=chosen, data=data, settings=changed, say=say)
            path = claims.save_try(result, tried, out) if tried else claims.save(result, out)
        except CounterpointError as error:
            if len(wanted) == 1:
                raise
            failed.append(slug)
            print(f"error: {slug}: {error}", file=sys.stderr, flush=True)
            continue
        if as_json:
            print(json.dumps(result))
        else:
            print_claim(result)
            print(path)
    if failed:
        raise OptionError(f"{len(failed)} of {len(wanted)} claims did not run: {', '.join(failed)}")


@methods_app.command("list")
def methods_list(
    kind: Kind = None,
    as_json: Json = False,
) -> None:
    """All methods: what each changes and needs."""
    from counterpoint.core import registry

    cards = registry.cards(kind)
    if as_json:
        print(json.dumps(cards))
        return
    from counterpoint.cli.words import print_methods

    print_methods(cards)


@methods_app.command("show")
def methods_show(slug: Annotated[str, typer.Argument(metavar="SLUG")]) -> None:
    """A method: its paper, its options, its recipe, and every path that --set can change."""
    from counterpoint.cli.words import print_method
    from counterpoint.core import registry

    print_method(registry.get(slug))


@data_app.command("list")
def data_list(as_json: Json = False) -> None:
    """Data sets that can be used by name in place of a path."""
    from counterpoint.cli.words import print_sets
    from counterpoint.data import sets

    found = sets()
    if as_json:
        print(json.dumps(found))
    else:
        print_sets(found)


@data_app.command("show")
def data_show(
    source: Annotated[str, typer.Argument(help="A data set's name, or a path.", metavar="DATA")],
    kind: Kind = None,
    label: Label = None,
    text: Text = None,
) -> None:
    """What `fit` would understand of some data."""
    from counterpoint import data

    how: dict[str, Any] = {"kind": kind, "label": label, "text": text}
    given = data.read(os.fspath(source), **{k: v for k, v in how.items() if v is not None})
    print(given.summary())
    for name, modality in given.spec.modalities.items():
        print(f"  {name}: {modality.kind} {'×'.join(map(str, modality.shape))}")
    for name, (distinct, known) in given.spec.columns.items():
        print(f"  column {name}: {distinct} distinct values, known for {known:.0%}")
