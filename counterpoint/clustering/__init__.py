"""Clustering: functions of arrays, used by parts, by rounds and by the evaluation. Imports core only."""

from counterpoint.clustering.sinkhorn import sinkhorn

__all__ = ["sinkhorn"]
