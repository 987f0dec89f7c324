"""Summands of an objective that are not a contrast: functions (Embeddings, tables, Progress, *, options) -> RowLoss."""

from counterpoint.terms.paired import paired
from counterpoint.terms.swapped import swapped

__all__ = ["paired", "swapped"]
