"""How well few labels do on new groups (patients, speakers): a linear probe from a share of the training labels."""

from __future__ import annotations

import numpy as np

from counterpoint.core.errors import RequirementError
from counterpoint.core.options import Count, Share
from counterpoint.evaluation.probe import fit_probe
from counterpoint.evaluation.subject import Subject


def few_labels(
    subject: Subject, *, label: str = "label", group: str = "group", shares: tuple[Share, ...] = (1.0, 0.1), draws: Count = 5
) -> dict[str, float]:
    """Macro F1 of a linear probe on the held-out items: "f1" with all training labels, "f1_10" with a tenth of them …

    A share is drawn `draws` times, as evenly over the classes as all labels are, and averaged. "group" is the share of training items
    whose group a probe names after it saw the other half: how much of the identity the embedding holds; "group_chance" that of guessing.

    label: the column of the classes.
    group: the column that must not be on both sides; it is kept whole, too, where the probe's regularisation is chosen.
    shares: of the training labels that are used.
    draws: how often a share below 1 is drawn.

    Raises RequirementError where a column is missing, nothing is held out, or a group is on both sides.
    """
    from sklearn.metrics import f1_score

    for name in (label, group):
        if name not in subject.whole.columns:
            raise RequirementError(f"the protocol reads the column {name!r} and the data have {', '.join(subject.whole.columns) or 'none'}")
    if not subject.held_out:
        raise RequirementError("few_labels needs held-out items, and the data have none")
    (known, truth), (own, other) = ([part.columns[name].numpy() for part in (subject.train, subject.test)] for name in (label, group))
    both = np.intersect1d(own, other)
    if len(both):
        raise RequirementError(f"{len(both)} values of {group!r} are in training and in the test, such as {both[0]}; keep groups whole")
    train, test = subject.embed(subject.train), subject.embed(subject.test)
    rng = np.random.default_rng(subject.seed)
    found: dict[str, float] = {}
    for share in shares:
        scores = []
        for _ in range(1 if share == 1 else draws):
            order = rng.permutation(len(train))
            each = [order[known[order] == c] for c in np.unique(known[known >= 0])]
            kept = np.concatenate([members[: max(1, round(share * len(members)))] for members in each])
            probe = fit_probe(train[kept], known[kept], groups=own[kept], seed=subject.seed)
            scores.append(f1_score(truth, probe.predict(test).cpu().numpy(), average="macro"))
        found["f1" if share == 1 else f"f1_{share * 100:g}"] = float(np.mean(scores))
    half = rng.permutation(len(train)) < len(train) // 2
    named = fit_probe(train[half], own[half], grid=(0.1,), seed=subject.seed).predict(train[~half]).cpu().numpy()
    found["group"] = float((named == own[~half]).mean())
    found["group_chance"] = float(np.bincount(own[own >= 0]).max() / len(own))
    return found
