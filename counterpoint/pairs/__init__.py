"""Pair rules: (anchors: Rows, candidates: Rows, tables, *, options) -> Pairs. They read keys and tables, never vectors."""

from counterpoint.pairs.same import same

__all__ = ["same"]
