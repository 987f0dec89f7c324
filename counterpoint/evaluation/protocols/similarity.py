"""Semantic similarity: whether cosines of pairs of texts are ordered as people's scores (the STS tasks)."""

from __future__ import annotations

import numpy as np
import torch

from counterpoint.core.errors import DataError, RequirementError
from counterpoint.evaluation.geometry import alignment, effective_rank, uniformity
from counterpoint.evaluation.subject import Subject


def similarity(subject: Subject, *, pair: str = "pair", score: str = "score", close: float = 4.0) -> dict[str, float]:
    """{"spearman" (rank correlation of cosine and score over the pairs of the test part, in [−1, 1]), "pearson", "uniformity",
    "effective_rank" (of its items), "alignment" (of its pairs with a score of at least `close`)}.

    pair: a column with the same number for the two items of a pair.
    score: their similarity as people see it, equal for both.
    close: from which score on the two say the same.
    """
    from scipy.stats import pearsonr, spearmanr

    for name in (pair, score):
        if name not in subject.test.columns:
            raise RequirementError(f"similarity reads the column {name!r} and the data have {', '.join(subject.test.columns) or 'none'}")
    number, told = np.asarray(subject.test.columns[pair]), np.asarray(subject.test.columns[score], np.float64)
    z = torch.as_tensor(subject.embed(subject.test)).float()
    order = np.flatnonzero((number >= 0) & np.isfinite(told))
    order = order[np.argsort(number[order], kind="stable")]
    sizes = np.unique(number[order], return_counts=True)[1]
    if len(sizes) < 3 or (sizes != 2).any():
        raise DataError(f"similarity needs three pairs or more of two items each; of {len(sizes)} numbers {int((sizes != 2).sum())} differ")
    first, second = z[order[0::2]], z[order[1::2]]
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=1).numpy()
    known = told[order[0::2]]
    near = known >= close
    found = {
        "spearman": float(spearmanr(cosine, known).statistic),
        "pearson": float(pearsonr(cosine, known).statistic),
        "uniformity": uniformity(z, seed=subject.seed),
        "effective_rank": effective_rank(z, seed=subject.seed),
    }
    return found | ({"alignment": alignment(first[near], second[near])} if near.sum() > 1 else {})
