"""Losses: pure functions of (Scores, Pairs) or of aligned rows, with options; RowLoss. And the fixed names over plain tensors."""

from counterpoint.losses.decorrelation import barlow_twins, vicreg, whitening
from counterpoint.losses.decoupled import decoupled
from counterpoint.losses.info_nce import info_nce
from counterpoint.losses.regression import cosine_regression
from counterpoint.losses.sigmoid import sigmoid
from counterpoint.losses.supervised import supervised
from counterpoint.losses.tensors import clip, decoupled_nt_xent, nt_xent, sup_con

__all__ = [
    "barlow_twins", "clip", "cosine_regression", "decoupled", "decoupled_nt_xent", "info_nce", "nt_xent", "sigmoid", "sup_con",
    "supervised", "vicreg", "whitening",
]  # fmt: skip
