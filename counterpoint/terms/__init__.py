"""Summands of an objective that are not a contrast: functions (Embeddings, tables, Progress, *, options) -> RowLoss."""

from counterpoint.terms.adaptive_heads import adaptive_heads
from counterpoint.terms.classes import apart, classified, even_prediction, pseudo_labels
from counterpoint.terms.communities import communal, dense_communities
from counterpoint.terms.debiased import debiased
from counterpoint.terms.distilled import distilled
from counterpoint.terms.diversity import diversity
from counterpoint.terms.kernel import at_zero, kernel_entropy, uniformity
from counterpoint.terms.paired import paired
from counterpoint.terms.placed import cells_apart, placed
from counterpoint.terms.predicted import predicted
from counterpoint.terms.referenced import clustered, referenced
from counterpoint.terms.self_training import self_training
from counterpoint.terms.swapped import swapped

__all__ = [
    "adaptive_heads",
    "apart",
    "at_zero",
    "cells_apart",
    "classified",
    "clustered",
    "communal",
    "debiased",
    "dense_communities",
    "distilled",
    "diversity",
    "even_prediction",
    "kernel_entropy",
    "paired",
    "placed",
    "predicted",
    "pseudo_labels",
    "referenced",
    "self_training",
    "swapped",
    "uniformity",
]
