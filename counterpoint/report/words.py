"""Numbers and facts as a reader would say them, and what each score means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

NONE = "–"  # what stands where there is no number


@dataclass(frozen=True)
class Metric:
    """How a score is called and read.

    better: 1 = higher is better, −1 = lower is better, 0 = neither.   percent: a share, shown in %; else with `places` decimals.
    """

    title: str
    meaning: str
    better: int = 1
    percent: bool = False
    places: int = 3


METRICS: dict[str, Metric] = {
    "knn": Metric(
        "kNN accuracy", "Share of held-out items whose nearest neighbours in the training part vote for the right label.", 1, True
    ),
    "linear": Metric("Linear probe", "Accuracy on held-out items of a linear classifier trained on the embeddings.", 1, True),
    "acc": Metric("Clustering accuracy", "k-means groups matched one to one with the labels; share of items that agree.", 1, True),
    "nmi": Metric("NMI", "Normalised mutual information of k-means groups and labels: 0 unrelated, 1 the same.", 1),
    "ari": Metric("ARI", "Adjusted Rand index of k-means groups and labels: 0 chance, 1 the same.", 1),
    "silhouette": Metric("Silhouette", "How much nearer items are to their own group than to the next one, from −1 to 1.", 1),
    "recall_at_1": Metric("Recall at 1", "Share of items whose nearest other item has the same label.", 1, True),
    "recall_at_5": Metric("Recall at 5", "Share of items with the same label among the five nearest.", 1, True),
    "recall_at_10": Metric("Recall at 10", "Share of items with the same label among the ten nearest.", 1, True),
    "map": Metric("Mean average precision", "How early items of the same label come when all others are ranked by similarity.", 1),
    "alignment": Metric(
        "Alignment", "Mean squared distance between two views of an item. Small only means something beside uniformity.", 0
    ),
    "uniformity": Metric(
        "Uniformity", "Log of the mean Gaussian potential of all pairs: the lower, the more evenly the sphere is used.", 0, places=2
    ),
    "effective_rank": Metric("Effective rank", "How many directions the embeddings really use.", 0, places=1),
    "neighbour_agreement": Metric("Neighbour agreement", "Share of nearest neighbours that two views of an item have in common.", 1, True),
    "raw_agreement": Metric(
        "Agreement with raw input", "Share of an item's nearest neighbours that are its neighbours in the raw input too.", 0, True
    ),
}
ALIASES = {"r@1": "recall_at_1", "r@5": "recall_at_5", "r@10": "recall_at_10", "mAP": "map", "kmeans_acc": "acc"}
ARMS = {
    "trained": "Trained",
    "untrained": "Untrained",
    "pca": "PCA",
    "raw": "Raw input",
}


def plain(name: str) -> str:
    """A score's usual name."""
    return ALIASES.get(name, name)


def metric(name: str) -> Metric:
    """What is known of a score; a score that is not known is shown under its own name and nothing is said of it."""
    return METRICS.get(plain(name), Metric(name.replace("_", " "), "", 0))


def arm(name: str) -> str:
    return ARMS.get(name, name.replace("_", " "))


def real(value: Any) -> float | None:
    """A finite float, or None. A score given as {"mean": …} counts with its mean."""
    if isinstance(value, dict):
        value = value.get("mean", value.get("value"))
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def spread(value: Any) -> float | None:
    """The ± of a score given as {"mean": …, "std": …}."""
    return (
        next((found for key in ("std", "spread") if (found := real(value.get(key))) is not None), None) if isinstance(value, dict) else None
    )


def number(value: Any, digits: int = 3) -> str:
    """A number with `digits` significant digits, thousands grouped, never in scientific notation unless tiny or huge."""
    x = real(value)
    if x is None:
        return NONE
    if x == int(x) and abs(x) < 1e15:
        return f"{int(x):,}".replace("-", "−")
    if abs(x) >= 1e6 or abs(x) < 1e-4:
        return f"{x:.{max(digits - 1, 0)}e}".replace("-", "−").replace("e+0", "e").replace("e−0", "e−")
    places = max(digits - 1 - math.floor(math.log10(abs(x))), 0)
    return f"{x:,.{min(places, 6)}f}".replace("-", "−")


def score(name: str, value: Any) -> str:
    """A score as it stands in a table: percent with one decimal, everything else with as many as its kind asks for."""
    x = real(value)
    if x is None:
        return NONE
    off = spread(value)
    about = metric(name)
    if about.percent:
        return f"{100 * x:.1f}%" + (f" ± {100 * off:.1f}" if off is not None else "")
    return (f"{x:,.{about.places}f}" + (f" ± {off:.{about.places}f}" if off is not None else "")).replace("-", "−")


def best(name: str, values: dict[str, Any]) -> set[str]:
    """The arms with the best value of a score as it is shown; empty where neither high nor low is better or all are equal."""
    better = metric(name).better
    known = {key: round(x, 4) for key, value in values.items() if (x := real(value)) is not None}
    if not better or len(set(known.values())) < 2:
        return set()
    top = max(x * better for x in known.values())
    return {key for key, x in known.items() if x * better == top}


def duration(seconds: Any) -> str:
    """75 → "1 min 15 s"."""
    x = real(seconds)
    if x is None or x < 0:
        return NONE
    if x < 10:
        return f"{x:.1f} s"
    minutes, rest = divmod(round(x), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def count(n: int, one: str, many: str | None = None) -> str:
    """3, "epoch" → "3 epochs"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def short(text: Any, length: int = 60) -> str:
    """A text in one line, cut at `length` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


VERDICTS = {
    "healthy": ("Healthy", "Nothing in the training looked wrong."),
    "warning": ("Look again", "The training finished, and something about it deserves a look."),
    "failed": ("Failed", "Do not use these embeddings: the training went wrong."),
}


def verdict(health: dict[str, Any] | None) -> tuple[str, str, str]:
    """(kind, word, sentence) of a health.json; kind is "healthy", "warning", "failed" or "unknown"."""
    kind = str((health or {}).get("verdict", "unknown"))
    if kind in VERDICTS:
        return kind, *VERDICTS[kind]
    return "unknown", "No verdict", "The training left no health check behind."
