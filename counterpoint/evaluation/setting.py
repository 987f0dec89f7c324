"""What all arms of a score table share: which rows are train and test, their labels, the options, and the protocol in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from counterpoint.core.errors import LabelError
from counterpoint.evaluation.inputs import codes, sample
from counterpoint.evaluation.splits import crossing, holdout

CLUSTERS_WITHOUT_LABELS = 10
STARTS = 5


@dataclass
class Setting:
    """labels (n,) −1 unknown; groups (n,) or None; train, test: row numbers; how the split was made; options; notes for the protocol."""

    labels: Tensor
    groups: Tensor | None
    train: Tensor
    test: Tensor
    how: str
    seed: int
    k: int
    temperature: float
    grid: Sequence[float]
    notes: list[str] = field(default_factory=list)
    chosen: dict[str, float] = field(default_factory=dict)

    def known(self, rows: Tensor) -> Tensor:
        """Those of the rows that have a label."""
        return rows[self.labels[rows] >= 0]

    def classes(self, rows: Tensor) -> int:
        """The number of classes among the rows."""
        return len(torch.unique(self.labels[self.known(rows)]))

    @property
    def items(self) -> int:
        return len(self.labels)

    @property
    def here(self) -> Tensor:
        """Rows on which everything that needs no training is measured: the test part, or all where there is none."""
        return self.test if len(self.test) else torch.arange(self.items)

    @property
    def seeds(self) -> tuple[int, int, int]:
        return self.seed, self.seed + 1, self.seed + 2

    def note(self, text: str) -> None:
        """Say something in the protocol, once."""
        if text not in self.notes:
            self.notes.append(text)

    def protocol(self, about: str) -> str:
        """How everything was measured, as one sentence that stands beside the figures."""
        train, test = self.known(self.train), self.known(self.test)
        part = "the test items" if len(self.test) else "all items"
        parts = f"{len(self.train)} train and {len(self.test)} test items"
        text = [about, f"split {self.how}: {parts}" if len(self.train) else f"no train part: all {len(self.test)} items measured"]
        if bool((self.labels >= 0).any()):
            unknown = len(self.train) + len(self.test) - len(train) - len(test)
            text[-1] += f", {unknown} of them without a label and left out of all that needs labels" * bool(unknown)
            if self.chosen:
                values = ", ".join(f"{name} {c:g}" for name, c in self.chosen.items())
                text.append(f"kNN k={min(self.k, len(train))}, cosine, votes weighted exp(s/{self.temperature:g}), train→test")
                text.append(
                    "linear: L2 logistic regression on features standardised by train, C of "
                    f"{{{', '.join(f'{c:g}' for c in sorted(self.grid))}}} chosen on a fifth of train ({values}), "
                    "then fitted on all of train, train→test"
                )
        number = self.classes(self.here)
        what = f"{number} (known classes), one Hungarian match" if number > 1 else f"{CLUSTERS_WITHOUT_LABELS} (no classes known)"
        text.append(
            f"clusters: k-means on rows of length 1, k={what}, {STARTS} starts, mean of seeds {', '.join(map(str, self.seeds))}, "
            f"on {part}; silhouette of these clusters on at most 2000 items"
        )
        if number > 1:
            text.append(f"retrieval: at most 2000 of {part} search the others, cosine, map over the whole ranking")
        text.append(f"uniformity t=2 and effective rank (entropy of singular values, not centred) on {part}")
        text.append(f"agreement: shared among {min(self.k, max(len(self.here) - 1, 1))} nearest others")
        text.append(f"PCA fitted on {'train' if len(self.train) else 'all items'}")
        return "; ".join(text + self.notes) + "."


def arrange(
    items: int,
    labels: Any,
    split: Any,
    groups: Any,
    *,
    share: float,
    limit: int,
    seed: int,
    k: int,
    temperature: float,
    grid: Sequence[float],
) -> Setting:
    """Check labels, split and groups against the number of items, and lay down who is train and who is test, so that nothing leaks."""
    known = torch.full((items,), -1) if labels is None else codes(labels, items)
    group = None if groups is None else codes(groups, items, "groups")
    if split is None:
        side = torch.as_tensor(holdout(known, group, share=share, seed=seed))
        how = f"drawn, {share:.0%} of the items for the test, seed {seed}"
        how += ", classes in equal shares" * bool((known >= 0).any()) + ", groups kept whole" * (group is not None)
    else:
        side, how = torch.as_tensor(split).cpu(), "given"
        if side.shape != (items,) or not bool(torch.isin(side, torch.tensor([-1, 0, 1])).all()):
            raise LabelError(f"split of shape {tuple(side.shape)} for {items} items; each needs 0 (train), 1 (test) or −1 (neither)")
    notes, test = [], side == 1
    if group is not None:
        leaking = torch.as_tensor(crossing(side, group))
        test &= ~leaking
        if bool(leaking.any()):
            notes.append(f"{int(leaking.sum())} test items left out because their group is in train as well")
    parts = []
    for name, part in (("train", side == 0), ("test", test)):
        rows = torch.nonzero(part).flatten()
        if len(rows) > limit:
            notes.append(f"{limit} of {len(rows)} {name} items drawn, seed {seed}")
            rows = rows[sample(len(rows), limit, seed)]
        parts.append(rows)
    return Setting(known, group, parts[0], parts[1], how, seed, k, temperature, grid, notes)
