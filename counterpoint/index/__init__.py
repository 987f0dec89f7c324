"""Search among embeddings."""

from counterpoint.index.search import Index

__all__ = ["Index"]
