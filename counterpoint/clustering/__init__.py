"""Clustering: functions of arrays, used by parts, by rounds and by the evaluation. Imports core only."""

from counterpoint.clustering.balance import even_assignment
from counterpoint.clustering.communities import communities, neighbour_graph
from counterpoint.clustering.kmeans import Clusters, kmeans
from counterpoint.clustering.matching import contingency, matched
from counterpoint.clustering.neighbours import nearest
from counterpoint.clustering.number import number_of_clusters
from counterpoint.clustering.sinkhorn import sinkhorn
from counterpoint.clustering.student import sharpened, student_t

__all__ = [
    "Clusters",
    "communities",
    "contingency",
    "even_assignment",
    "kmeans",
    "matched",
    "nearest",
    "neighbour_graph",
    "number_of_clusters",
    "sharpened",
    "sinkhorn",
    "student_t",
]
