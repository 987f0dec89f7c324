"""Counterpoint: contrastive representation learning for any kind of data."""

__version__ = "0.1.0"
__all__ = ["__version__"]
