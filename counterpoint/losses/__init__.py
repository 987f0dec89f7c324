"""Losses: pure functions of (Scores, Pairs) or of aligned rows, with options; RowLoss. And the fixed names over plain tensors."""

from counterpoint.losses.adaptive import adaptive
from counterpoint.losses.boosting import boosted
from counterpoint.losses.cacr import cacr
from counterpoint.losses.cluster_proxies import cluster_proxies
from counterpoint.losses.decorrelation import barlow_twins, vicreg, whitening
from counterpoint.losses.decoupled import decoupled
from counterpoint.losses.density_ratio import density_ratio
from counterpoint.losses.diagnosis import Diagnosis, diagnose
from counterpoint.losses.distance import squared_distance
from counterpoint.losses.distillation import distillation, similarity_distillation
from counterpoint.losses.gap import score_gap
from counterpoint.losses.gradient_scale import gradient_scale
from counterpoint.losses.hard_negatives import mixed_negatives, reweighted
from counterpoint.losses.info_nce import info_nce, neighbouring
from counterpoint.losses.margin import active_margin, margin, multi_similarity, triplet
from counterpoint.losses.reconstruction import reconstruction
from counterpoint.losses.regression import cosine_regression
from counterpoint.losses.sigmoid import sigmoid
from counterpoint.losses.sorting import groco
from counterpoint.losses.supervised import supervised
from counterpoint.losses.tensors import clip, decoupled_nt_xent, nt_xent, sup_con
from counterpoint.losses.transformation import transformed

__all__ = [
    "Diagnosis", "active_margin", "adaptive", "barlow_twins", "boosted", "cacr", "clip", "cluster_proxies", "cosine_regression",
    "decoupled", "decoupled_nt_xent", "density_ratio", "diagnose", "distillation", "gradient_scale", "groco", "info_nce", "margin",
    "mixed_negatives", "multi_similarity", "neighbouring", "nt_xent", "reconstruction", "reweighted", "score_gap", "sigmoid",
    "similarity_distillation", "squared_distance", "sup_con", "supervised", "transformed", "triplet", "vicreg", "whitening",
]  # fmt: skip
