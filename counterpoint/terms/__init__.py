"""Summands of an objective that are not a contrast: functions (Embeddings, tables, Progress, *, options) -> RowLoss."""

from counterpoint.terms.adaptive_heads import adaptive_heads
from counterpoint.terms.distilled import distilled
from counterpoint.terms.paired import paired
from counterpoint.terms.referenced import clustered, referenced
from counterpoint.terms.swapped import swapped

__all__ = ["adaptive_heads", "clustered", "distilled", "paired", "referenced", "swapped"]
