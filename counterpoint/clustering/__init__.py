"""Clustering: functions of arrays, used by parts, by rounds and by the evaluation. Imports core only."""

from counterpoint.clustering.balance import even_assignment
from counterpoint.clustering.communities import communities, neighbour_graph
from counterpoint.clustering.guided import guided_kmeans
from counterpoint.clustering.kmeans import Clusters, kmeans
from counterpoint.clustering.matching import contingency, matched
from counterpoint.clustering.near_classes import classes_near, nearest_classes
from counterpoint.clustering.neighbours import nearest
from counterpoint.clustering.number import number_of_clusters
from counterpoint.clustering.prior import class_prior, estimate_prior
from counterpoint.clustering.sinkhorn import sinkhorn
from counterpoint.clustering.student import sharpened, start_centres, student_t

__all__ = [
    "Clusters",
    "class_prior",
    "classes_near",
    "communities",
    "contingency",
    "estimate_prior",
    "even_assignment",
    "guided_kmeans",
    "kmeans",
    "matched",
    "nearest",
    "nearest_classes",
    "neighbour_graph",
    "number_of_clusters",
    "sharpened",
    "sinkhorn",
    "start_centres",
    "student_t",
]
