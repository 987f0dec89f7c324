"""What a run folder says, in words and charts: what was understood, how long it took, how training went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from counterpoint.report import words
from counterpoint.report.charts import Chart, Line, histogram, lines
from counterpoint.report.folder import Folder, Items

MOST_TERMS = 6


def find(folder: Folder, *paths: str) -> Any:
    """The first of some dotted paths that the model card or the configuration has."""
    for path in paths:
        for source in (folder.model, folder.config):
            node: Any = source
            for key in path.split("."):
                node = node.get(key) if isinstance(node, Mapping) else None
            if node is not None:
                return node
    return None


def understood(folder: Folder) -> str:
    """The sentence that `fit` printed about the data."""
    found = find(folder, "understood", "data.understood")
    return words.short(found, 300) if isinstance(found, str) else ""


def facts(folder: Folder) -> list[tuple[str, str, str]]:
    """(name, value, a smaller word beside it) of what a reader asks first."""
    last: Mapping[str, Any] = folder.metrics[-1] if folder.metrics else {}
    found: list[tuple[str, str, str]] = []
    method = find(folder, "method")
    if isinstance(method, str):
        found.append(("Method", words.short(method, 40), ""))
    steps, epochs = (None if (x := words.real(last.get(name))) is None else round(x) for name in ("step", "epoch"))
    if steps is not None:
        done = words.count(steps, "step")
        found.append(("Trained", words.count(epochs, "epoch"), done) if epochs else ("Trained", done, ""))
    rates = sorted(r for line in folder.metrics if (r := words.real(line.get("items_per_second"))) is not None)
    if words.real(last.get("time")) is not None:
        speed = f"{words.number(round(rates[len(rates) // 2]))} items per second" if rates else ""
        found.append(("Time", words.duration(last["time"]), speed))
    encoder, size = _part(find(folder, "encoder")), words.real(find(folder, "parameters"))
    if encoder or size:
        counted = f"{words.number(size)} parameters" if size else ""
        found.append(("Encoder", encoder, counted) if encoder else ("Encoder", counted, ""))
    if folder.items is not None:
        found.append(("Embeddings", words.count(folder.items.total, "item"), words.count(folder.items.vectors.shape[1], "dimension")))
    seed = find(folder, "settings.seed", "seed")
    if isinstance(seed, int):
        found.append(("Seed", str(seed), ""))
    return found


def _part(node: Any) -> str:
    """The short name of an encoder: its backbone's where it names one."""
    if isinstance(node, Mapping):
        backbone = node.get("backbone")
        return _part(backbone if isinstance(backbone, (str, Mapping)) else node.get("use"))
    return words.short(node.removeprefix("encoders."), 40) if isinstance(node, str) else ""


def verdict(health: dict[str, Any]) -> dict[str, Any]:
    """The health verdict in words, with its findings."""
    kind, word, sentence = words.verdict(health)
    found = health.get("findings")
    findings = [
        {
            "name": words.short(one.get("name", "finding"), 60),
            "severity": one.get("severity") if one.get("severity") in ("warning", "failed") else "warning",
            **{key: _sentence(one.get(key)) for key in ("what", "cause", "advice")},
        }
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
    ]
    return {"kind": kind, "word": word, "sentence": sentence, "findings": findings}


def _sentence(text: Any) -> str:
    """First letter large (but for a word like kNN), a full stop at the end."""
    line = words.short(text, 400) if text else ""
    return (
        (line if line[1:2].isupper() else line[:1].upper() + line[1:]) + ("" if line.endswith((".", "!", "?", "…")) else ".")
        if line
        else ""
    )


def versions(folder: Folder) -> list[tuple[str, str]]:
    found = find(folder, "versions")
    return [(words.short(k, 40), words.short(v, 60)) for k, v in found.items()] if isinstance(found, Mapping) else []


# ---- scores ----------------------------------------------------------------------------------------------------------


def arms(evaluation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """arm → score → value, the trained encoder first, then what it is measured against; nested scores flattened.

    A value is a number, or {"mean": …, "std": …} where the evaluation tells how far it varies.
    """
    found, spreads = evaluation.get("scores"), evaluation.get("spread")
    if not isinstance(found, dict):
        return {}
    order = {name: i for i, name in enumerate(words.ARMS)}
    result: dict[str, dict[str, Any]] = {}
    for name in sorted(found, key=lambda a: order.get(a, 0.5)):
        if isinstance(found[name], dict) and found[name]:
            own = spreads.get(name) if isinstance(spreads, dict) else None
            off = own if isinstance(own, dict) else {}
            result[str(name)] = {k: {"mean": v, "std": off[k]} if words.real(off.get(k)) else v for k, v in _flat(found[name])}
    return result


def _flat(scores: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in scores.items():
        if isinstance(value, Mapping) and not {"mean", "value"} & set(value):
            yield from _flat(value, f"{before}{name} ")
        else:
            yield f"{before}{name}", value


def score_names(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The scores that at least one arm has, in the order in which they are explained."""
    names = dict.fromkeys(n for scores in found.values() for n in scores if any(words.real(s.get(n)) is not None for s in found.values()))
    known = {name: place for place, name in enumerate(words.METRICS)}
    return sorted(names, key=lambda n: known.get(words.plain(n), len(known)))


def protocol(evaluation: dict[str, Any]) -> list[str]:
    """How the scores were measured, a sentence each."""
    found, majority = evaluation.get("protocol"), words.real(evaluation.get("majority"))
    told = [_sentence(part.strip()) for part in found[:4000].split("; ")] if isinstance(found, str) else []
    if majority is not None:
        told.append(f"Guessing the most frequent class would be right for {words.score('knn', majority)} of the items.")
    return [part for part in told if part]


# ---- training --------------------------------------------------------------------------------------------------------


def _column(metrics: Sequence[Mapping[str, Any]], *path: str) -> list[Any]:
    column = []
    for line in metrics:
        node: Any = line
        for key in path:
            node = node.get(key) if isinstance(node, Mapping) else None
        column.append(node)
    return column


def curves(metrics: list[dict[str, Any]]) -> list[Chart]:
    """Loss beside its chance level, each term's, cosines of pairs, spread, effective rank, learning rate and speed, where written down."""
    step = _column(metrics, "step")
    names = list(dict.fromkeys(str(n) for line in metrics if isinstance(line.get("terms"), dict) for n in line["terms"]))
    found = [lines("Loss", step, [Line("loss", _column(metrics, "loss")), Line("chance level", _column(metrics, "chance"), "chance")])]
    if len(names) > 1:
        found += [
            lines(
                f"Term {words.short(name, 30)}",
                step,
                [
                    Line("value", _column(metrics, "terms", name, "value")),
                    Line("chance level", _column(metrics, "terms", name, "chance"), "chance"),
                ],
            )
            for name in names[:MOST_TERMS]
        ]
    looked = [line for line in metrics if {"spread", "positive", "negative"} & line.keys()]  # not every line has a look at the embeddings
    pair = [Line("positives", _column(looked, "positive")), Line("negatives", _column(looked, "negative"), "second")]
    found.append(lines("Mean cosine of pairs", _column(looked, "step"), pair, limits=(0.0, 1.0)))
    for title, name, note in (
        ("Spread of the embeddings", "spread", "1 = evenly over the sphere, 0 = all the same."),
        ("Effective rank", "effective_rank", "How many directions a batch of embeddings uses."),
        ("Learning rate", "lr", ""),
        ("Speed", "items_per_second", "Items per second, views and gradients included."),
    ):
        those = [line for line in metrics if name in line]
        found.append(lines(title, _column(those, "step"), [Line(title.lower(), _column(those, name))], zero=True, note=note))
    return [chart for chart in found if chart is not None]


def histograms(metrics: list[dict[str, Any]]) -> list[Chart]:
    """Distributions of the cosines of positives and of negatives at the start, in the middle and at the end of training."""
    found = []
    drawn = [line for line in metrics if isinstance(line.get("histogram"), dict)]
    steps = [words.real(line.get("step")) or 0.0 for line in drawn]
    middle = min(range(len(drawn)), key=lambda i: abs(steps[i] - steps[-1] / 2), default=0)
    chosen = [drawn[i] for i in sorted({0, middle, len(drawn) - 1})] if drawn else []
    for line in chosen:
        sides = line["histogram"]
        positive, negative = (h if isinstance(h := sides.get(name), list) else [] for name in ("positive", "negative"))
        bins = max(len(positive), len(negative))
        edges = sides.get("edges") if isinstance(sides.get("edges"), list) else [-1 + 2 * i / max(bins, 1) for i in range(bins + 1)]
        found.append(
            histogram(
                f"At step {words.number(line.get('step'))}", edges, [Line("positives", positive), Line("negatives", negative, "second")]
            )
        )
    return [chart for chart in found if chart is not None]


# ---- sentences about items --------------------------------------------------------------------------------------------


def map_sentence(items: Items) -> str:
    """What the map shows and what it leaves out."""
    parts = ["Every point is an item; near points have similar embeddings. Distances between far groups mean little."]
    if len(items) < items.total - items.dropped:
        parts.append(f"{len(items):,} of {items.total:,} items, drawn at random.")
    if items.dropped:
        parts.append(f"{words.count(items.dropped, 'item')} left out: the embedding is not finite.")
    previews = len(items.pictures) + len(items.texts)
    if 0 < previews < len(items):
        parts.append(f"{previews:,} of them have a preview.")
    return " ".join(parts)


def groups_sentence(items: Items, shown: int, groups: int) -> str:
    text = f"k-means found {words.count(groups, 'group')} without looking at labels; below, each with the items nearest to its centre"
    text += ", and the labels inside it; an item of another label than most is named." if "label" in items.columns else "."
    return text if shown == groups else f"{text} The {shown} largest are shown."


def neighbours_sentence(items: Items) -> str:
    previews = len(items.pictures) + len(items.texts)
    among = f"the {previews:,} items with a preview" if 0 < previews < len(items) else f"{len(items):,} items"
    text = f"Some items, and the six nearest to each by cosine similarity (the number) among {among}."
    return text + (" A dashed frame marks another label." if "label" in items.columns and items.pictures else "")
