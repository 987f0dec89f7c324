"""Evaluation: functions of embeddings and labels. They import no model and no data; the protocol is part of the result."""

from counterpoint.evaluation.agreement import neighbour_agreement
from counterpoint.evaluation.clusters import cluster_accuracy, clusters
from counterpoint.evaluation.discovery import class_number, discovery
from counterpoint.evaluation.geometry import alignment, effective_rank, spectrum, uniformity
from counterpoint.evaluation.neighbours import knn, knn_predict
from counterpoint.evaluation.probe import Probe, fit_probe, linear_probe
from counterpoint.evaluation.probes import robustness
from counterpoint.evaluation.retrieval import paired_retrieval, retrieval
from counterpoint.evaluation.splits import crossing, holdout
from counterpoint.evaluation.table import table

__all__ = [
    "Probe",
    "alignment",
    "class_number",
    "cluster_accuracy",
    "clusters",
    "crossing",
    "discovery",
    "effective_rank",
    "fit_probe",
    "holdout",
    "knn",
    "knn_predict",
    "linear_probe",
    "neighbour_agreement",
    "paired_retrieval",
    "retrieval",
    "robustness",
    "spectrum",
    "table",
    "uniformity",
]
